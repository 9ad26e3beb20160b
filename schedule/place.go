package schedule

import "slices"

// planGroup decides about units that can only be placed together, or about
// one alone.
func (p *planner) planGroup(group []*node) {
	for _, n := range group {
		p.agenda.unwait(n)
		if n.family != nil {
			delete(n.family.waiting, n)
		}
	}
	if slices.ContainsFunc(group, (*node).inFlight) {
		return // what comes back has it decided about again
	}
	if p.finish(group) {
		return
	}
	tidied := false
	for _, n := range group {
		tidied = p.tidy(n) || tidied
	}
	if tidied {
		return
	}
	p.giveWay(group)
	waits := p.settle(group)
	if !slices.ContainsFunc(group, (*node).inFlight) {
		waits = p.relocate(group) || waits
	}
	for _, n := range group {
		if !n.inFlight() {
			p.bury(n, group)
		}
		if !n.inFlight() {
			p.update(n, group)
			p.told(n)
		}
	}
	if !slices.ContainsFunc(group, (*node).inFlight) {
		waits = p.reschedule(group) || waits
	}
	for _, n := range group {
		if !n.inFlight() {
			p.recover(n)
		}
	}
	if waits {
		for _, n := range group {
			p.agenda.wait(n)
		}
	}
}

// tidy ends the placements that a unit no longer needs, and reports whether
// there were any.
func (p *planner) tidy(n *node) bool {
	done := false
	keep := p.bestRun(n)
	for _, s := range slices.Clone(n.slots) {
		switch {
		case s.planned != nil:
		case s.order() == Run && s != keep:
			p.release(s, "it belongs on one machine, and stays on "+keep.machine.id)
			done = true
		case s.order() == Held && s.machine.facts.here && keep != nil && keep.settled():
			p.release(s, keep.machine.id+" has taken over")
			done = true
		}
	}
	return done
}

// bestRun returns the run placement that stays if there are several, as where
// a unit is no longer global.
func (c *Cluster) bestRun(n *node) *slot {
	var best *slot
	var rank int
	for _, s := range n.slots {
		if s.order() != Run {
			continue
		}
		r := c.runRank(s)
		if best == nil || r > rank || r == rank && better(s.machine, best.machine) {
			best, rank = s, r
		}
	}
	return best
}

func (c *Cluster) runRank(s *slot) int {
	a := ask{c: c, n: s.node, m: s.machine}
	switch {
	case s.machine.lost:
		return 0
	case !s.machine.facts.here:
		return 1
	case a.check(staying).kind != fits:
		return 2
	}
	return 3
}

// placed reports whether the unit has a machine that isn't lost.
func (n *node) placed() bool {
	s := n.running()
	return s != nil && !s.machine.lost
}

// settle places those of the group that have no machine, or a lost one, and
// reports whether any has to wait.
func (p *planner) settle(group []*node) (waits bool) {
	for _, part := range p.parts(movers(group)) {
		if p.planReplacement(part, group) {
			waits = true
			continue
		}
		if !p.place(part, group) {
			waits = true
			p.settleSome(part, group)
			p.redirect(part, group)
		}
	}
	return waits
}

// settleSome does what can be done for units that no machine takes together.
// queryFor follows the same steps.
func (p *planner) settleSome(part, group []*node) {
	if p.dislodge(part, group) {
		return
	}
	for _, smaller := range p.smaller(part) {
		if !slices.ContainsFunc(smaller, (*node).inFlight) {
			p.place(smaller, group)
		}
	}
}

// smaller returns what of a part may be placed without the rest: those that
// ran before, for which newcomers that fit nowhere are no reason to wait, and
// each alone that can run on where it is.
func (c *Cluster) smaller(part []*node) [][]*node {
	var ran []*node
	var alone [][]*node
	for _, n := range part {
		back := n.heldLive() != nil
		if back || n.running() != nil {
			ran = append(ran, n)
		}
		if back {
			alone = append(alone, []*node{n})
		}
	}
	if len(ran) == len(part) {
		return alone
	}
	return append(c.parts(ran), alone...)
}

// heldLive returns the first slot where the unit is held on a machine that is
// back, or nil.
func (n *node) heldLive() *slot {
	for _, s := range n.slots {
		if s.order() == Held && s.machine.facts.here {
			return s
		}
	}
	return nil
}

// movers returns those of the group that have no machine, or a lost one.
func movers(group []*node) []*node {
	if !slices.ContainsFunc(group, (*node).placed) {
		return group
	}
	var out []*node
	for _, n := range group {
		if !n.placed() {
			out = append(out, n)
		}
	}
	return out
}

// place has the units run on the best machine that takes them all.
func (p *planner) place(part, group []*node) bool {
	q := query{c: p.Cluster, part: part, group: group}
	m := q.best()
	if m == nil {
		return false
	}
	why := p.placeReason(part, group, m)
	gone := lostFor(part)
	writes := p.writes.list(len(part))[:0] // most take no more
	for _, n := range part {
		if s := n.running(); s != nil {
			pl := *s.place
			pl.Order, pl.Reason = Held, "its machine is lost: it runs on there until "+m.id+" has taken over"
			writes = append(writes, s.put(pl))
		}
		writes = append(writes, p.arrived(n, m)...)
		writes = append(writes, p.runOn(n, m, why))
	}
	p.decide(listed(nodeNames(part))+" on "+m.id+": "+why, gone, writes, p.decidedFrom(part, group)...)
	return true
}

// runOn has the unit run on the machine: on as it is, if it is held there.
func (p *planner) runOn(n *node, m *machine, why string) Write {
	s := p.slot(n, m)
	pl := Placement{
		Unit: n.name, MachineID: m.id, Hash: n.unit.Hash, Target: n.unit.DesiredState,
		Order: Run, Generation: p.revision, Reason: why,
		Attempts: n.wants.Reschedule, Trouble: n.trouble(),
	}
	pl.reserve(n.wants.reserves())
	if s.order() == Held {
		pl.Reason = "it ran on there, and nothing has taken over"
		if pl.reserves().exceeds(s.place.reserves()) {
			// Whether there is room for the new file is update's to say.
			pl.Hash, pl.Attempts = s.place.Hash, s.place.Attempts
			pl.reserve(s.place.reserves())
		}
		if s.place.Hash == pl.Hash && s.place.Target == pl.Target {
			pl.Generation = s.place.Generation
		}
	}
	return s.put(pl)
}

func (p *planner) placeReason(part, group []*node, m *machine) string {
	for _, n := range part {
		if s := n.running(); s != nil {
			return s.machine.id + " is lost"
		}
	}
	for _, n := range part {
		if s := n.on(m); s == nil || s.bookedBy == 0 {
			continue
		}
		for _, s := range m.inOrder() {
			if _, by := s.bookings(); by == n.name {
				return "it replaces " + s.node.name + " there"
			}
		}
	}
	for _, n := range part {
		for _, s := range n.slots {
			if to, _ := s.bookings(); to == m.id && s.machine != m {
				return "it moved here from " + s.machine.id + ": " + s.place.Reason
			}
		}
	}
	for _, n := range part {
		for _, o := range group {
			if o.placed() && (n.wants.followsUnit(o.name) || o.wants.followsUnit(n.name)) {
				return "it joins " + o.name + " (MachineOf)"
			}
		}
	}
	if p.policy.Strategy == BinPack || m.weigh() != unitLoad*int64(m.load) || slices.ContainsFunc(part, (*node).wishes) {
		return "of the machines that fit it had the best score"
	}
	return "of the machines that fit it had the fewest units"
}

// decidedFrom returns the units whose records a placement was decided from.
func (c *Cluster) decidedFrom(part, group []*node) []*node {
	units := slices.Clip(group) // an append makes a copy
	for _, n := range part {
		for _, name := range n.wants.MachineOf {
			if t := c.units[name]; !slices.Contains(units, t) {
				units = append(units, t)
			}
		}
	}
	return units
}
