package fleetctl

import (
	"fmt"

	"fleet/api"
	"fleet/schedule"
	"fleet/unit"
)

// again is how a unit that has ended is started once more.
const again = "stop it and start it to have it run again"

// goal is where a unit is to be brought.
type goal struct {
	name string
	want unit.TargetState // "": gone
	stop bool             // want is loaded, and nowhere will do as well
	same bool             // it was what was wanted before, so that nothing is done

	// template is whose instance the engine is to keep so, with the file of that
	// hash; "" for a unit that was asked to change itself.
	template, hash string
}

// verdict is how far a unit has got towards its goal.
type verdict struct {
	done    string // the line to print, once it is there
	failed  string // why it will not get there
	moving  bool   // a machine is at work on it
	comment string // what there is to know until then
	later   string // what there is to know if that is never
}

// judge compares a unit's status with its goal.
func (g goal) judge(e api.Event) verdict {
	if why := g.behind(e.Unit); why != "" {
		return verdict{later: why}
	}
	switch {
	case g.want == "" && e.Unit != nil:
		return verdict{done: "Destroyed " + g.name} // and made anew since
	case g.want == "" || e.Unit != nil && g.want == unit.Inactive && e.Unit.DesiredState == unit.Inactive:
		return g.judgeGone(e)
	case e.Unit == nil:
		return verdict{failed: "somebody has destroyed it meanwhile"}
	case e.Unit.DesiredState != g.want:
		return verdict{failed: fmt.Sprintf("somebody has set its target state to %s meanwhile", e.Unit.DesiredState)}
	case g.stop && len(e.Placements) == 0:
		return verdict{done: "Unit " + g.name + " inactive"}
	case e.Unit.CurrentState == g.want:
		return verdict{
			done:    fmt.Sprintf("Unit %s %s on %s", g.name, g.want, legend(e.Unit.MachineID, e.Machines, false)),
			comment: g.ended(e),
		}
	}
	return g.judgeRun(e)
}

// behind says what the engine has yet to do about the record of an instance
// that it keeps.
func (g goal) behind(u *unit.Unit) string {
	switch {
	case g.template == "":
	case u == nil && g.want != "":
		return "it has not been made yet"
	case u == nil || !u.Managed: // gone as it should be, or a user's by now
	case g.want == "":
		return "it has not been taken away yet"
	case u.Hash != g.hash:
		return "it has not been given the new file of " + g.template + " yet"
	case u.DesiredState != g.want:
		return "it does not follow " + g.template + " yet"
	}
	return ""
}

// ended says that a unit which was to be started does not run any more, and
// that having been launched before it was left so.
func (g goal) ended(e api.Event) string {
	if !g.same || g.want != unit.Launched {
		return ""
	}
	for _, st := range e.States {
		if st.MachineID == e.Unit.MachineID && !st.Active() {
			return fmt.Sprintf("it was launched before and is %s (%s) now: %s", st.ActiveState, st.SubState, again)
		}
	}
	return ""
}

// judgeGone is about a unit that is to be on no machine.
func (g goal) judgeGone(e api.Event) verdict {
	var v verdict
	lost := ""
	for _, p := range e.Placements {
		if !alive(e, p.MachineID) {
			lost = legend(p.MachineID, e.Machines, false)
			continue
		}
		v.moving = v.moving || busy(e, p)
		v.comment = "being stopped on " + legend(p.MachineID, e.Machines, false)
	}
	if v.comment != "" {
		return v
	}
	v.done = "Unit " + g.name + " inactive"
	if g.want == "" {
		v.done = "Destroyed " + g.name
	}
	if lost != "" {
		v.comment = fmt.Sprintf("machine %s is lost: if the unit still runs there, it is stopped when the machine returns", lost)
	}
	return v
}

// judgeRun is about a unit that is on its way to a machine, or on one.
func (g goal) judgeRun(e api.Event) verdict {
	v := verdict{comment: e.Explanation}
	for _, p := range e.Placements {
		st := report(e, p)
		if st == nil {
			continue
		}
		v.moving = v.moving || busy(e, p)
		on := legend(p.MachineID, e.Machines, false)
		current := p.Order == schedule.Run && p.Target == g.want && p.Hash == e.Unit.Hash && st.Generation == p.Generation
		if current && st.Failure != "" {
			why := fmt.Sprintf("%s: %s", on, st.Failure)
			if p.Attempts > 0 {
				// With Reschedule= a failed start is not the end of it.
				v.moving = v.moving || st.FailedStarts < p.Attempts
				v.comment = fmt.Sprintf("%s (failed start %d of %d before it is tried elsewhere)", why, st.FailedStarts, p.Attempts)
				continue
			}
			if g.same && g.want == unit.Launched {
				why += "; that was before: " + again
			}
			return verdict{failed: why}
		}
		if v.comment == "" && v.moving {
			v.comment = fmt.Sprintf("%s on %s", st.ActiveState, on)
		}
	}
	return v
}

// busy reports whether the placement's machine is starting or stopping it.
func busy(e api.Event, p schedule.Placement) bool {
	st := report(e, p)
	if st == nil {
		return false
	}
	switch st.ActiveState {
	case "activating", "deactivating", "reloading":
		return true
	}
	return false
}

// report returns what the placement's machine reports, or nil.
func report(e api.Event, p schedule.Placement) *unit.State {
	for i := range e.States {
		if e.States[i].MachineID == p.MachineID {
			return &e.States[i]
		}
	}
	return nil
}

func alive(e api.Event, machine string) bool {
	for _, m := range e.Machines {
		if m.ID == machine {
			return m.Alive
		}
	}
	return false
}
