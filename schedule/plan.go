package schedule

import (
	"slices"
	"time"

	"fleet/unit"
)

// Plan decides about what has changed since the last Plan, and about what has
// waited for time to pass. The model stays as it is: what is decided comes
// back through Apply. Until then, or until Retry, a unit that was decided about
// is not decided about again, and others count with it where it will be.
//
// A machine is live if it has a presence, and lost if it has a record but no
// presence and evictions are not held. In between it is neither: nothing is
// placed there and nothing evicted. A machine that is not ready or cordoned
// takes no new units and keeps its own; one that is being drained keeps those
// that can't move. What a placement reserves is taken on its machine until the
// unit has stopped; no decision promises more than a machine has.
//
// What there is to decide about is taken in turn: the highest Priority= first,
// of a group the highest in it, then the oldest record.
//
// A unit that is not global and whose target state is at least loaded belongs
// on one machine:
//
//   - The unit is gone or inactive: its placements become release. A release
//     that its machine has confirmed is deleted; one on a lost machine stays
//     until the machine is back. Neither hinders anything.
//   - It moves to another machine, for one of the reasons below: a release names
//     its destination, and room is kept for it there as if it were placed
//     already. Once the release is confirmed, one decision deletes it and places
//     the unit, there if it still fits. If it doesn't fit there any more while
//     it stops, the release names another destination, or none.
//   - Its target state or file changed: its placements are rewritten with a new
//     generation, held ones too, so that a returning machine follows. A live
//     machine that the new file doesn't fit keeps the earlier file, and any
//     that has no room for what it reserves.
//   - Its machine is lost: the placement becomes held and another is made
//     elsewhere, in one decision. If nothing fits, nothing is written. A live
//     machine with a held placement that still fits is preferred: the unit runs
//     there, so the placement becomes run with its generation as it was. One
//     that doesn't fit any more is released if another machine would take over.
//   - It no longer fits its live machine: the placement becomes release if
//     another machine would take the unit now, and otherwise stays. Of two
//     placed units that conflict, the one changed later goes.
//   - Its live machine is being drained: the same, and within MaxUnavailable=.
//     Of a template's instances that many may be unavailable at once: those
//     that are wanted and not, on a live machine, as their target state asks,
//     or failed, or still starting. A move that takes down one too many waits;
//     one of those that are down anyway doesn't.
//   - A placed unit and one that its Replaces= matches share no machine, and the
//     other goes, if another machine would take its group now. A unit that is
//     not placed prefers the machines with units that it replaces, if it fits
//     there otherwise and all of them have somewhere to go, each found with the
//     ones before it where they will be. They go first: their releases name the
//     unit that comes, and its place is kept. It is placed once they have
//     stopped, before their releases are deleted. If they can't go, it takes a
//     machine without them, or waits. Units that make way displace nobody in
//     turn, and those that replace each other in a circle are not placed.
//   - A held placement on a machine that is back becomes release once the
//     replacement has got as far as it should, and run if there is none.
//   - It failed to start as often as Reschedule= says: it moves, and where it
//     failed comes last. If no other machine takes it, it stays.
//   - It has RunOnce= and is done: that is written down, and it is not placed
//     again until its record is another.
//   - It is not placed: it goes to the machine that fits and has the highest
//     score, the first by ID of several, unless a live or missing machine still
//     has the unit: then it can only go on there.
//   - Nothing else moves anything: no machine that joins, no cordon, no change
//     of leader.
//
// Units bound by MachineOf are a group. A group is placed, moved and released
// as a whole, or not at all; newcomers join those that are placed, or wait. A
// unit whose MachineOf can't be met, because its target is unknown or not
// loaded or follows it in turn, or because the group would get larger than can
// be written at once, is in no group: it is not placed, but stays if it was.
//
// A unit with RunOnce= that has finished is not placed again, and goes from
// where it is only if that machine still runs it or is drained. One with
// Reschedule= that failed to start too often is moved as if its machine no
// longer fitted it, save that it backs off.
//
// Beside placements Plan decides about records that the engine keeps: those of
// the instances of templates with Instances=, that units have finished, since
// when machines have been lost, and in the end that those are forgotten.
//
// A global unit has a placement on every machine that fits, which with
// MachineOf are those with run placements of all its targets. It stays on lost
// machines as it is, and is released where it no longer fits or a target no
// longer belongs.
//
// Nothing is decided about a unit whose file can't be read.
//
// The engine keeps the instances of a template with Instances=, and rolls a new
// file over them within MaxUnavailable=. It forgets machines that have been
// lost for as long as the policy says.
func (c *Cluster) Plan(now time.Time) []Decision {
	c.LoseMachines(now)
	c.ring(now)
	p := &planner{Cluster: c}
	for c.wake() {
		tasks := c.take()
		if len(tasks) > 1 {
			p.decisions = slices.Grow(p.decisions, len(tasks)) // most come to one
		}
		for _, t := range tasks {
			p.do(t)
		}
		for _, f := range c.agenda.takeFamilies() {
			p.planFamily(f)
		}
		for _, m := range c.agenda.takeMachines() {
			p.keepAbsence(m)
		}
	}
	if len(p.decisions) == 0 {
		return nil
	}
	return p.decisions
}

// Retry says that a decision was not written: what it was about is to be
// decided again.
func (c *Cluster) Retry(d Decision) {
	for _, w := range d.Writes {
		n, m := c.units[w.Placement.Unit], c.machines[w.Placement.MachineID]
		if n == nil || m == nil {
			continue
		}
		s := n.on(m)
		if s == nil || s.planned == nil || *s.planned.write != w {
			continue
		}
		was := s.view()
		s.planned = nil
		c.reindex(s, was)
		c.touch(s)
		if m.absence != nil {
			c.agenda.machine(m)
		}
		c.dropSlot(s)
	}
	c.unpromise(d.Others)
	for _, u := range d.Units {
		if n := c.units[u.Name]; n != nil && !n.global() {
			c.agenda.mark(n)
		}
	}
}

// planner is one run of Plan.
type planner struct {
	*Cluster
	decisions []Decision

	// What decisions are made of.
	writes  slab[Write]
	at      slab[UnitAt]
	planned slab[planned]
}

func (p *planner) do(t task) {
	n := t.node
	switch {
	case n.gone, t.machine != nil && t.machine.gone:
		return
	case t.machine == nil && !n.dirty:
		return // decided about with its group
	}
	if t.machine == nil {
		n.dirty = false
	}
	p.agenda.unwait(n)
	switch {
	case p.promised(key{kind: unitKind, unit: n.name}):
		// Its record is about to be another, and has it decided about again.
	case !n.wanted():
		p.retire(n, t.machine)
		p.forgetDone(n)
	case !n.readable():
		p.bury(n, nil)
	case n.global():
		p.planGlobal(n, t.machine)
	case n.finished():
		p.keepFinished(n)
	default:
		p.planBound(n)
	}
}

// decide adds a decision about the placements of units.
func (p *planner) decide(reason string, gone []string, writes []Write, units ...*node) {
	d := Decision{Writes: writes, Units: p.at.list(len(units)), Gone: gone, Reason: reason}
	for i, n := range units {
		d.Units[i] = UnitAt{n.name, n.revision}
	}
	p.make(d, units...)
}

// make adds a decision, and has everyone count with it. Those of its units that
// are at hand needn't be looked up by name.
func (p *planner) make(d Decision, units ...*node) {
	p.decisions = append(p.decisions, d)
	p.promise(d.Others)
	plans := p.planned.list(len(d.Writes))
	for i := range d.Writes {
		w := &d.Writes[i]
		s := p.slotOf(w, units)
		was := s.view()
		plans[i] = planned{write: w, revision: p.revision}
		s.planned = &plans[i]
		p.reindex(s, was)
	}
}

// slotOf returns where the write is to be, looking first among the units.
func (p *planner) slotOf(w *Write, units []*node) *slot {
	for _, n := range units {
		if n.name != w.Placement.Unit {
			continue
		}
		for _, s := range n.slots {
			if s.machine.id == w.Placement.MachineID {
				return s
			}
		}
	}
	return p.slot(p.node(w.Placement.Unit), p.machine(w.Placement.MachineID))
}

// retire ends the placements of a unit that is gone or inactive: on one
// machine, or with nil on all.
func (p *planner) retire(n *node, m *machine) {
	for _, s := range slices.Clone(n.slots) {
		if m != nil && s.machine != m || s.planned != nil {
			continue
		}
		switch o := s.order(); {
		case o == "":
		case s.confirmed():
			p.delete(s)
		case o != Release:
			reason := n.name + " was unloaded"
			if n.unit == nil {
				reason = n.name + " was destroyed"
			}
			p.release(s, reason)
		}
	}
}

// bury deletes the unit's releases that are confirmed. While some of its group
// are still stopping, those stay that keep room for it elsewhere.
func (p *planner) bury(n *node, group []*node) {
	stopping := slices.ContainsFunc(group, (*node).stopping)
	for _, s := range slices.Clone(n.slots) {
		if s.planned != nil || !s.confirmed() {
			continue
		}
		if to, _ := s.bookings(); to == "" || !stopping || n.placed() {
			p.delete(s)
		}
	}
}

// stopping reports whether the unit can't be placed before it has stopped.
func (n *node) stopping() bool {
	return slices.ContainsFunc(n.slots, func(s *slot) bool { return s.order() == Release && s.ties() })
}

func (p *planner) delete(s *slot) {
	w := Write{Placement: *s.placement(), Delete: true, Revision: s.placeRev}
	p.decide(s.node.name+" has stopped on "+s.machine.id, nil, []Write{w}, s.node)
}

// release has the machine stop the unit.
func (p *planner) release(s *slot, reason string) {
	p.decide(s.node.name+" is to stop on "+s.machine.id+": "+reason, nil,
		[]Write{s.put(p.released(s, reason))}, s.node)
}

func (p *planner) released(s *slot, reason string) Placement {
	pl := *s.placement()
	pl.Order, pl.Generation, pl.Reason, pl.To, pl.For = Release, p.revision, reason, "", ""
	return pl
}

// put is the write of a placement in the slot.
func (s *slot) put(pl Placement) Write { return Write{Placement: pl, Revision: s.placeRev} }

// update rewrites the unit's placements where its target state or its file is
// another by now. group is what the unit is bound to; without one the unit
// can't be placed anywhere, and keeps the file it has.
func (p *planner) update(n *node, group []*node) {
	var writes []Write
	var reason string
	for _, s := range n.slots {
		pl := s.placement()
		if pl == nil || pl.Order == Release {
			continue
		}
		next := *pl
		next.Target = n.unit.DesiredState
		if (next.Hash != n.unit.Hash || pl.Finished) && group != nil {
			switch {
			case p.takesFile(s, group):
				next.Hash, next.Finished, next.Attempts = n.unit.Hash, false, n.wants.Reschedule
				next.reserve(n.wants.reserves())
			case pl.Finished && len(group) == 1:
				p.release(s, "it is to run again, and no longer fits here")
				return
			default:
				p.agenda.wait(n)
			}
		}
		if next == *pl {
			continue
		}
		reason = changeReason(pl, &next)
		next.Generation, next.Reason, next.Trouble = p.revision, reason, nil
		writes = append(writes, s.put(next))
	}
	if writes != nil {
		p.decide(n.name+": "+reason, nil, writes, n)
	}
}

// takesFile reports whether the unit's file may go to the machine: what it
// reserves must be free there. One that isn't there follows when it is back.
func (p *planner) takesFile(s *slot, group []*node) bool {
	a := ask{c: p.Cluster, n: s.node, m: s.machine, group: group}
	if hasRoom(a).kind != fits {
		return false
	}
	if !s.machine.facts.here || !s.machine.facts.known {
		return true
	}
	return a.check(staying).kind == fits
}

func changeReason(was, is *Placement) string {
	switch {
	case was.Hash != is.Hash:
		return "its file changed"
	case was.Finished && is.Target == unit.Launched:
		return "it is to run again"
	case is.Target == unit.Launched:
		return "it is to run"
	}
	return "it is to be loaded and not to run"
}

// lostFor returns the machines taken for lost that have placements of the
// units, sorted.
func lostFor(units []*node) []string {
	var ids []string
	for _, n := range units {
		for _, s := range n.slots {
			if s.machine.lost && s.order() != "" {
				ids = append(ids, s.machine.id)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
