package agent

import (
	"fmt"
	"strings"

	"fleet/schedule"
	"fleet/unit"
)

// verb is the next thing to do about one unit.
type verb string

const (
	nothing verb = ""
	note    verb = "note"    // record the placement: what it asks for is so already
	load    verb = "load"    // put its file in place
	start   verb = "start"   // start it
	stop    verb = "stop"    // stop it and keep it loaded
	release verb = "release" // stop it, take its file away, confirm
	forget  verb = "forget"  // keep but the generation of a release that was confirmed and done with
)

// action is a verb with the reason for it, for the log.
type action struct {
	verb   verb
	reason string
}

// situation is everything that a decision about one unit is made from.
type situation struct {
	place *schedule.Placement // nil: the store has none
	rec   Record              // zero: never acted on
	seen  Observed            // zero: nothing of it on this machine
	boot  string              // this boot of the machine
	past  int64               // the generation at which the unit was last released for good
	found bool                // rec is an earlier fleetd's, and nothing was done since
}

// decide returns the next step that brings what is seen to what is placed. It
// stops a unit only because its placement says so: it is released, its target
// was lowered, or its file changed. A placement that is missing stops nothing.
func decide(s situation) action {
	if s.place == nil {
		if s.rec.Released != 0 {
			return action{forget, "its release is confirmed"}
		}
		return action{}
	}
	switch s.place.Order {
	case schedule.Release:
		if s.rec.Released == s.place.Generation {
			return action{}
		}
		return action{release, s.place.Reason}
	case schedule.Held:
		return decideHeld(s)
	default:
		return decideRun(s)
	}
}

// decideHeld keeps what runs running and starts nothing: the unit may long
// have been started elsewhere. A target that was lowered is followed.
func decideHeld(s situation) action {
	switch {
	case s.lowered() && s.mayRun():
		return action{stop, "its target state was lowered to loaded"}
	case s.rec.Generation != 0 && s.rec.Generation != s.place.Generation && s.lowered():
		return action{note, "nothing of it runs"}
	}
	return action{}
}

func decideRun(s situation) action {
	p := s.place
	switch {
	case s.seen.Hash != p.Hash && s.seen.Hash != "" && s.mayRun():
		return action{stop, "its file changed"}
	case s.seen.Hash != p.Hash:
		return action{load, "placed here: " + p.Reason}
	case p.Target == unit.Launched:
		return s.decideLaunched()
	case s.lowered() && s.mayRun():
		return action{stop, "its target state was lowered to loaded"}
	case s.rec.Generation != p.Generation || s.rec.Target != p.Target:
		return action{note, "its file is in place"}
	}
	return action{}
}

// decideLaunched starts a unit once for each generation. What it does after
// that is between its file and systemd. A unit that this machine has started
// from this very file in this boot, and that is active still, is adopted. One
// that has finished is never started again.
func (s situation) decideLaunched() action {
	st := s.rec.Started
	began := st != nil && st.Hash == s.place.Hash && st.BootID == s.boot
	switch {
	case s.place.Finished:
		if s.rec.Generation != s.place.Generation || s.rec.Target != s.place.Target || s.rec.Released != 0 {
			return action{note, "it has done its work"}
		}
		return action{}
	case !began:
		return action{start, "its target state is launched"}
	case !st.Done:
		return action{start, "an earlier start was not seen to its end"}
	case st.Generation == s.place.Generation && s.triesAgain():
		return action{start, fmt.Sprintf("it failed to start %d times, of %d before it is tried elsewhere",
			len(s.rec.Failed), s.place.Attempts)}
	case st.Generation == s.place.Generation:
		if s.rec.Generation != s.place.Generation || s.rec.Released != 0 {
			return action{note, "it was started before"}
		}
		return action{}
	case s.seen.active():
		return action{note, "it runs already"}
	}
	return action{start, "its target state is launched anew"}
}

// triesAgain reports whether a unit with Reschedule= that failed to start is
// down and to be tried once more here. One that ran well before it failed is
// left to its Restart=, as every other is. One that failed while fleetd was
// away, so that nobody counted, is tried once more to have it counted.
func (s situation) triesAgain() bool {
	n := len(s.rec.Failed)
	down := s.seen.ActiveState == "failed" || s.seen.ActiveState == "inactive" && s.rec.Started.Failure != ""
	uncounted := s.found && !s.rec.Started.Steady
	return (n > 0 || uncounted) && n < s.place.Attempts && down
}

// lowered reports whether this machine was last asked to launch the unit and
// no longer is.
func (s situation) lowered() bool {
	return s.rec.Target == unit.Launched && s.place.Target != unit.Launched
}

// mayRun reports whether the unit runs for all that this machine knows: what it
// has started in this boot may not have been seen to run yet. Stopping what
// turns out not to run is harmless.
func (s situation) mayRun() bool {
	return s.seen.active() || s.rec.Started != nil && s.rec.Started.BootID == s.boot
}

func (o Observed) active() bool {
	st := unit.State{ActiveState: o.ActiveState}
	return st.Active()
}

// finished reports whether the unit has done all that the placement which this
// machine acts on asks for.
func (s situation) finished() bool {
	return s.place != nil && s.place.Finished && s.place.Generation == s.rec.Generation && s.rec.Target == unit.Launched
}

// state is what is reported of the unit. failure is what kept the machine from
// doing what the placement asks, if anything did.
func (s situation) state(machine, failure string) unit.State {
	st := unit.State{
		Name: s.seen.Name, MachineID: machine, Hash: s.seen.Hash,
		LoadState: s.seen.LoadState, ActiveState: s.seen.ActiveState, SubState: s.seen.SubState,
		Generation: s.rec.Generation, Reached: unit.Inactive, Failure: failure,
	}
	if st.LoadState == "" {
		st.LoadState, st.ActiveState, st.SubState = "not-found", "inactive", "dead"
	}
	switch {
	case s.place == nil && s.rec.Generation == 0:
		st.Orphaned = s.seen.Hash != ""
	case s.rec.Released != 0:
		st.Generation, st.Released = s.rec.Released, true
	case s.seen.Hash == s.rec.Hash && s.rec.Hash != "":
		st.Reached = unit.Loaded
		switch b := s.rec.Started; {
		case s.finished():
			st.Reached = unit.Launched // there is no more to bring it to
		case b == nil || !b.Done || b.Generation != s.rec.Generation || b.BootID != s.boot:
		case b.Failure == "" || s.seen.ActiveState == "active":
			st.Reached = unit.Launched
		case failure == "":
			st.Failure = b.Failure
		}
	}
	if !st.Released {
		st.FailedStarts = len(s.rec.Failed)
	}
	if len(st.Failure) > longestFailure {
		st.Failure = strings.ToValidUTF8(st.Failure[:longestFailure], "") + "…"
	}
	return st
}

// longestFailure bounds what is stored of a failure's text, in bytes: the
// states of many units go into one transaction.
const longestFailure = 1024
