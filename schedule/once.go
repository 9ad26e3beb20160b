package schedule

import (
	"slices"
	"time"

	"fleet/unit"
)

// A unit with RunOnce= that was started and is inactive again, not failed, has
// finished. That is written down beside the machines, so that it outlives them:
// the unit is not placed again until its record is another. A machine that is
// lost before it could say so has the unit run again elsewhere, so it is run at
// least once.

// finished reports whether the unit has done its work, as its record is now.
func (n *node) finished() bool {
	return n.done != nil && n.unit != nil && n.done.Revision == n.revision
}

// pinned reports whether MachineOf= can follow the unit and not move it: one
// that belongs on every machine, or that has finished and stays where it is.
func (n *node) pinned() bool { return n.global() || n.finished() }

// hasFinished returns the slot where the unit has just finished, or nil.
func (n *node) hasFinished() *slot {
	if !n.wants.RunOnce {
		return nil
	}
	s := n.running()
	if s == nil || s.planned != nil || !s.settled() || n.outdated() {
		return nil
	}
	if s.place.Finished || s.place.Target != unit.Launched || s.state.ActiveState != "inactive" {
		return nil
	}
	return s
}

// finish writes down which of the units have finished, and reports whether any
// has. The placement stays, so that it is seen where the unit ran, and reserves
// nothing more.
func (p *planner) finish(group []*node) bool {
	any := false
	for _, n := range group {
		s := n.hasFinished()
		if s == nil {
			continue
		}
		pl := *s.place
		pl.Finished, pl.Reason = true, "it has finished: RunOnce=true"
		pl.reserve(amounts{})
		done := &Done{Unit: n.name, Revision: n.revision, Hash: pl.Hash, MachineID: s.machine.id, At: p.now}
		p.make(Decision{
			Writes: []Write{s.put(pl)},
			Others: []Change{{Revision: n.doneRev, Done: done}},
			Units:  []UnitAt{{n.name, n.revision}},
			Reason: n.name + " has finished on " + s.machine.id,
		})
		any = true
	}
	return any
}

// keepFinished decides about a unit that has finished: it goes from machines
// that still run it and from those that are being drained, unless others follow
// it there, and nowhere else.
func (p *planner) keepFinished(n *node) {
	if n.inFlight() || p.tidy(n) {
		return
	}
	for _, s := range slices.Clone(n.slots) {
		switch here := s.machine.facts.here; s.order() {
		case Held:
			if here {
				p.release(s, "it has finished")
			}
		case Run:
			if here && s.machine.facts.draining && !n.followedOn(s.machine) {
				p.release(s, s.machine.id+" is being drained, and it has finished")
			}
		}
	}
	if !n.inFlight() {
		p.bury(n, nil)
	}
}

// followedOn reports whether a unit is on the machine that follows n.
func (n *node) followedOn(m *machine) bool {
	for f := range n.follows {
		if s := f.on(m); s != nil && s.order() == Run {
			return true
		}
	}
	return false
}

// forgetDone deletes that a unit has finished which is gone.
func (p *planner) forgetDone(n *node) {
	if n.unit != nil || n.done == nil || p.promised(key{kind: doneKind, unit: n.name}) {
		return
	}
	p.make(Decision{
		Others: []Change{{Deleted: true, Revision: n.doneRev, Done: &Done{Unit: n.name}}},
		Units:  []UnitAt{{Name: n.name}},
		Reason: n.name + " was destroyed",
	})
}

func (n *node) explainFinished() string {
	return "finished on " + n.done.MachineID + " at " + n.done.At.UTC().Format(time.RFC3339) + ": RunOnce=true"
}
