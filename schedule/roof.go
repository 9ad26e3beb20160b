package schedule

// A pool knows how much no machine of it has free, so that units which are too large
// for all of them needn't ask each, every time that something changes. It is
// raised by every machine that joins and by all that is freed, also in a trial;
// it is lowered only by a search that has asked every machine in vain.

// tooLarge reports whether one of the units fits no machine whatsoever. What a
// unit has somewhere already may be enough for it there.
func (q *query) tooLarge() bool {
	for _, n := range q.part {
		if len(n.slots) == 0 && n.wants.reserves().exceeds(n.pool.most) {
			return true
		}
	}
	return false
}

// raise counts with what is free on the machine now.
func (m *machine) raise() {
	free := m.free()
	for _, r := range m.ranks {
		r.pool.most = r.pool.most.most(free)
	}
}

// lower finds out what the pool's machines have free at the most.
func (p *pool) lower() {
	p.most = amounts{}
	p.each(func(m *machine) { p.most = p.most.most(m.free()) })
}

// each calls f with the machines of the pool, in no order.
func (p *pool) each(f func(*machine)) {
	for _, r := range p.mixed.rungs {
		f(r.rank.machine)
	}
	for _, l := range p.ladders {
		for _, r := range l.rungs {
			f(r.rank.machine)
		}
	}
}

// mayTake reports whether the machine, which has changed, can help a unit that
// waits: one that is larger than what is free there can't be helped by it, save
// by others going.
func (m *machine) mayTake(n *node) bool {
	return len(n.slots) > 0 || len(n.wants.replaced) > 0 || !n.wants.reserves().exceeds(m.free().most(amounts{}))
}
