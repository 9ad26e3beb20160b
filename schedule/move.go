package schedule

import "slices"

// dislodge releases units from machines that came back with them and no longer
// fit, if another machine would take all of the part now.
func (p *planner) dislodge(part, group []*node) bool {
	m, from := p.dislodged(part, group)
	if from == nil {
		return false
	}
	var writes []Write
	for _, s := range from {
		writes = append(writes, p.moving(s, m, s.machine.id+" no longer fits, "+m.id+" does"))
	}
	p.decide(listed(nodeNames(part))+" to go to "+m.id, lostFor(part), writes, p.decidedFrom(part, group)...)
	return true
}

// dislodged returns the slots that dislodge releases, and for which machine.
func (c *Cluster) dislodged(part, group []*node) (to *machine, from []*slot) {
	misfit := func(n *node) bool {
		s := n.heldLive()
		if s == nil {
			return false
		}
		a := ask{c: c, n: n, m: s.machine, group: group}
		return a.check(staying).kind != fits
	}
	if !slices.ContainsFunc(part, misfit) {
		return nil, nil
	}
	q := query{c: c, part: part, group: group, free: true}
	if to = q.best(); to == nil {
		return nil, nil
	}
	for _, n := range part {
		for _, s := range n.slots {
			if s.order() == Held && s.machine.facts.here && s.machine != to {
				from = append(from, s)
			}
		}
	}
	return to, from
}

// relocate releases the group from machines that one of it no longer fits or
// that are being drained, if another machine would take them all now. It
// reports whether the group has to stay although it is to go.
func (p *planner) relocate(group []*node) (waits bool) {
	why, misfit, sure := p.misfit(group)
	if misfit == nil {
		return false
	}
	if !sure {
		return true
	}
	if why.kind == draining && p.overdrawn(group) != nil {
		p.queue(group)
		return false
	}
	q := query{c: p.Cluster, part: group, group: group, free: true}
	m := q.best()
	if m == nil {
		return true
	}
	reason := misfit.running().machine.id + " " + why.phrase(1)
	if len(group) > 1 {
		reason += " (" + misfit.name + ")"
	}
	return !p.move(group, m, reason)
}

// queue has the group decided about again when more of a template's instances
// are available.
func (p *planner) queue(group []*node) {
	for _, n := range group {
		if n.family != nil {
			n.family.waiting[n] = struct{}{}
		}
	}
}

// move releases what of the group runs elsewhere than on the machine, where it
// is to go, and reports whether there was any.
func (p *planner) move(group []*node, m *machine, reason string) bool {
	var writes []Write
	for _, n := range group {
		if s := n.running(); s != nil && s.machine != m {
			writes = append(writes, p.moving(s, m, reason))
		}
	}
	if writes == nil {
		return false
	}
	p.decide(listed(nodeNames(group))+" to go to "+m.id+": "+reason, nil, writes, p.decidedFrom(group, group)...)
	return true
}

// moving is the release of a unit that goes to another machine, where room is
// kept for it. That it failed where it was is remembered, whatever it goes for.
func (p *planner) moving(s *slot, to *machine, reason string) Write {
	pl := p.released(s, reason)
	pl.To = to.id
	if s.node.failing() == s {
		pl.Trouble = pl.Trouble.after(s.machine.id, p.now)
	}
	return s.put(pl)
}

// arrived ends the releases of a unit that is about to be placed on m: those
// that are confirmed go, the others keep no room any more.
func (p *planner) arrived(n *node, m *machine) []Write {
	var writes []Write
	for _, s := range n.slots {
		switch to, _ := s.bookings(); {
		case s.machine == m || s.order() != Release:
		case s.confirmed():
			writes = append(writes, Write{Placement: *s.place, Delete: true, Revision: s.placeRev})
		case to != "":
			writes = append(writes, s.redirected(""))
		}
	}
	return writes
}

// redirect has units that are stopping go elsewhere than where room is kept for
// them, if that doesn't fit any more: where they all fit now, or nowhere yet.
func (p *planner) redirect(part, group []*node) {
	to := p.destination(part)
	if to == nil || slices.ContainsFunc(part, (*node).inFlight) {
		return
	}
	q := query{c: p.Cluster, part: part, group: group, free: true}
	if q.refuses(to).kind != fits {
		to = q.best()
	}
	id, where := "", "nowhere yet"
	if to != nil {
		id, where = to.id, to.id
	}
	var writes []Write
	for _, n := range part {
		for _, s := range n.slots {
			if booked, _ := s.bookings(); booked != "" && booked != id {
				writes = append(writes, s.redirected(id))
			}
		}
	}
	if writes != nil {
		p.decide(listed(nodeNames(part))+" to go to "+where+" instead", nil, writes, p.decidedFrom(part, group)...)
	}
}

// destination returns the machine that keeps room for the units, nil if none
// does.
func (c *Cluster) destination(part []*node) *machine {
	for _, n := range part {
		for _, s := range n.slots {
			if to, _ := s.bookings(); to != "" {
				return c.machines[to]
			}
		}
	}
	return nil
}

// redirected is a release with another destination. The machine has nothing
// new to do.
func (s *slot) redirected(to string) Write {
	pl := *s.place
	pl.To = to
	return s.put(pl)
}

// misfit returns the first of the group that doesn't fit the live machine it
// is on, and why; or that is on one which is being drained. sure is false if
// part of the group is on machines that are not there.
func (c *Cluster) misfit(group []*node) (why refusal, misfit *node, sure bool) {
	why, misfit, sure = c.misfitFor(group, func(a ask) refusal { return a.check(staying) })
	if misfit == nil {
		why, misfit, sure = c.misfitFor(group, isDrained)
	}
	return why, misfit, sure
}

func isDrained(a ask) refusal {
	if a.m.facts.draining {
		return refusal{kind: draining}
	}
	return refusal{}
}

func (c *Cluster) misfitFor(group []*node, check constraint) (why refusal, misfit *node, sure bool) {
	sure = true
	for _, n := range group {
		s := n.running()
		switch {
		case s == nil:
		case !s.machine.facts.here:
			sure = false
		case misfit == nil && s.machine.facts.known:
			a := ask{c: c, n: n, m: s.machine, group: group}
			if r := check(a); r.kind != fits {
				why, misfit = r, n
			}
		}
	}
	return why, misfit, sure
}
