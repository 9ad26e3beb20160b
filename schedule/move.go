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
		writes = append(writes, s.put(p.released(s, s.machine.id+" no longer fits, "+m.id+" does")))
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

// relocate releases the group from machines that one of it no longer fits, if
// another machine would take them all now. It reports whether the group has to
// stay where it doesn't fit.
func (p *planner) relocate(group []*node) (waits bool) {
	why, misfit, sure := p.misfit(group)
	if misfit == nil {
		return false
	}
	if !sure {
		return true
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
	var writes []Write
	for _, n := range group {
		if s := n.running(); s != nil && s.machine != m {
			writes = append(writes, s.put(p.released(s, reason)))
		}
	}
	if writes == nil {
		return true
	}
	p.decide(listed(nodeNames(group))+" to go to "+m.id+": "+reason, nil, writes, p.decidedFrom(group, group)...)
	return false
}

// misfit returns the first of the group that doesn't fit the live machine it
// is on, and why. sure is false if part of the group is on machines that are
// not there.
func (c *Cluster) misfit(group []*node) (why refusal, misfit *node, sure bool) {
	sure = true
	for _, n := range group {
		s := n.running()
		switch {
		case s == nil:
		case !s.machine.facts.here:
			sure = false
		case misfit == nil && s.machine.facts.known:
			a := ask{c: c, n: n, m: s.machine, group: group}
			if r := a.check(staying); r.kind != fits {
				why, misfit = r, n
			}
		}
	}
	return why, misfit, sure
}
