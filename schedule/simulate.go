package schedule

import (
	"fmt"
	"slices"
	"time"

	"fleet/unit"
)

// Simulate tells what would follow in the cluster u if all of w happened at
// once, at the time now. Plan decides, and every machine that is there does
// what it is told, at once and with success; units that have failed stay so,
// and those that run run on. What was under way in u comes to its end first,
// and is not told. Nothing of u is changed.
func Simulate(u Update, p Policy, now time.Time, w WhatIf) (Outcome, error) {
	s := &simulation{c: NewCluster(), now: now, files: make(map[string]*unit.File)}
	s.c.SetPolicy(p)
	s.c.Apply(u)
	s.finish(u)
	if !s.run() {
		return Outcome{}, fmt.Errorf("the cluster does not come to rest as it is: %s", s.last)
	}
	s.before = make(map[string]*past)
	waited := s.unplaced()
	var out Outcome
	var err error
	if out.Lost, err = s.lose(w); err != nil {
		return out, err
	}
	if out.Added, err = s.add(w); err != nil {
		return out, err
	}
	if err := s.start(w.Start); err != nil {
		return out, err
	}
	out.Restless = !s.run()
	s.tell(&out)
	s.tellPending(&out, waited)
	return out, nil
}

// simulation is a cluster and its machines in the making.
type simulation struct {
	c     *Cluster
	now   time.Time
	files map[string]*unit.File // by hash
	last  string                // the reason of the last decision

	// before is how units were when they were first decided about, nil while
	// nobody asks.
	before map[string]*past
}

// past is how a unit was.
type past struct {
	runs   []Placement
	reason string // why it is not so any more
}

// write applies changes as one revision.
func (s *simulation) write(changes ...Change) {
	u := Update{Revision: s.c.Revision() + 1, Changes: changes}
	for i := range changes {
		ch := &changes[i]
		ch.Revision = u.Revision
		if ch.Unit != nil && ch.File == nil && !ch.Deleted {
			ch.File = s.files[ch.Unit.Hash]
		}
	}
	s.c.Apply(u)
}

// finish has the machines do what they are about to.
func (s *simulation) finish(u Update) {
	var states []Change
	for i := range u.Changes {
		ch := &u.Changes[i]
		if ch.Unit != nil && ch.File != nil {
			s.files[ch.Unit.Hash] = ch.File
		}
		if ch.Placement != nil {
			states = s.obey(states, ch.Placement.Unit, ch.Placement.MachineID)
		}
		if ch.State != nil {
			states = s.obey(states, ch.State.Name, ch.State.MachineID)
		}
	}
	s.write(states...)
}

// run plans and obeys until nothing is left to decide. It reports whether that
// has been reached.
func (s *simulation) run() bool {
	// A unit is decided about a few times until it is where it belongs.
	for left := 1000 + 20*(len(s.c.units)+len(s.c.machines)*(1+len(s.c.globals))); left > 0; {
		decisions := s.c.Plan(s.now)
		if len(decisions) == 0 {
			return true
		}
		left -= len(decisions)
		s.last = decisions[len(decisions)-1].Reason
		for i := range decisions {
			s.commit(&decisions[i])
		}
		var states []Change
		for i := range decisions {
			for _, w := range decisions[i].Writes {
				states = s.obey(states, w.Placement.Unit, w.Placement.MachineID)
			}
		}
		s.write(states...)
	}
	return false
}

func (s *simulation) commit(d *Decision) {
	changes := make([]Change, 0, len(d.Writes)+len(d.Others))
	for _, w := range d.Writes {
		s.note(w)
		changes = append(changes, Change{Deleted: w.Delete, Placement: &w.Placement})
	}
	s.write(append(changes, d.Others...)...)
}

// note remembers how the unit was, and why it is so no more.
func (s *simulation) note(w Write) {
	if s.before == nil {
		return
	}
	name := w.Placement.Unit
	was := s.before[name]
	if was == nil {
		was = &past{runs: s.runs(name)}
		s.before[name] = was
	}
	if o := w.Placement.Order; was.reason == "" && !w.Delete && o != Held {
		was.reason = w.Placement.Reason
	}
}

// runs returns the unit's run placements.
func (s *simulation) runs(name string) []Placement {
	return slices.DeleteFunc(s.c.Placements(name), func(p Placement) bool { return p.Order != Run })
}

// obey adds what the machine reports once it has done what the placement of
// the unit there says.
func (s *simulation) obey(states []Change, name, id string) []Change {
	m, n := s.c.machines[id], s.c.units[name]
	if m == nil || !m.facts.here || n == nil || n.on(m) == nil {
		return states
	}
	at := n.on(m)
	p, was := at.place, at.state
	if p == nil {
		if was != nil && was.Released {
			states = append(states, Change{Deleted: true, State: &unit.State{Name: name, MachineID: id}})
		}
		return states // without an order nothing stops
	}
	if was != nil && was.Generation == p.Generation &&
		(was.Released || was.Reached.AtLeast(p.Target) && p.Order != Release || was.Failure != "" || was.ActiveState == "failed") {
		return states // it has done that, or failed at it
	}
	is := unit.State{
		Name: name, MachineID: id, Hash: p.Hash, Generation: p.Generation,
		LoadState: "loaded", ActiveState: "inactive", SubState: "dead", Reached: p.Target,
	}
	switch {
	case p.Order == Release:
		is.Released, is.Reached = true, ""
	case p.Target == unit.Launched:
		is.ActiveState, is.SubState = "active", "running"
	}
	return append(states, Change{State: &is})
}
