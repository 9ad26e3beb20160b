package schedule

// view is what the indexes hold of a slot.
type view struct {
	order Order
	claim
	to, unit string // the bookings that its release makes
}

func (s *slot) view() view {
	to, unit := s.bookings()
	return view{s.order(), s.claim(), to, unit}
}

// claim is what a unit has of a machine, as far as others are concerned.
type claim struct {
	claimed  bool // it has a place there, or is about to
	occupied bool // it may be there: who conflicts with it keeps off
	stands   bool // its template's instances are spread with it
	amounts       // reserved
}

// claim returns what the unit has there: a place where it is placed, whatever
// the order, until it has stopped, or where room is booked for it.
func (s *slot) claim() claim {
	booked := s.booked()
	c := claim{claimed: s.placement() != nil && !s.confirmed() || booked, amounts: s.holds()}
	c.occupied, c.stands = c.claimed || s.reported(), s.stands()
	if booked {
		c.amounts = c.most(s.node.wants.reserves())
	}
	return c
}

// holds returns what is reserved for the unit there, bookings aside: what its
// placement says until that is gone, and without one what its file says while
// the machine reports it.
func (s *slot) holds() amounts {
	var a amounts
	if p := s.placement(); p != nil {
		if !s.confirmed() {
			a = p.reserves()
		}
	} else if s.reported() {
		a = s.node.wants.reserves()
	}
	if s.planned != nil && s.place != nil && !s.confirms(s.place) {
		// What the write would free is taken until it is known to be written.
		a = a.most(s.place.reserves())
	}
	return a
}

// occupied reports whether the unit is on the machine as far as others are
// concerned: it has a place there, or is still reported.
func (s *slot) occupied() bool { return s.claim().occupied }

// occupies reports the same of the unit's slot there, if it has one.
func (n *node) occupies(m *machine) bool {
	s := n.on(m)
	return s != nil && s.occupied()
}

// reindex brings every index from what the slot was to what it is.
func (c *Cluster) reindex(s *slot, was view) {
	c.reckon(s.node)
	now := s.view()
	if now == was {
		return
	}
	m := s.machine
	m.load += change(was.claimed, now.claimed)
	c.reserve(m, was.amounts, now.amounts)
	c.rerank(m, s.node.name, int64(change(was.occupied, now.occupied)))
	switch change(was.occupied, now.occupied) {
	case 1:
		m.crowd.enter(s.node)
	case -1:
		m.crowd.leave(s.node)
		c.vacated(s)
	}
	if by := change(was.stands, now.stands); by != 0 {
		c.tallied(s.node, m, by)
	}
	if now.order != was.order {
		c.touchFollowers(s)
	}
	c.rebook(s, was, now)
}

// change is what a condition that counts as one has changed by.
func change(was, is bool) int {
	switch {
	case is && !was:
		return 1
	case was && !is:
		return -1
	}
	return 0
}

// touchFollowers has those decided about whose place depends on whether the
// slot's unit is there: its group, which other units' changes mark, is not
// among them.
func (c *Cluster) touchFollowers(s *slot) {
	for _, name := range s.node.wants.MachineOf {
		if t := c.units[name]; t.finished() {
			c.agenda.mark(t) // it may go when its last follower has
		}
	}
	for f := range s.node.follows {
		switch {
		case f.global():
			c.agenda.pair(f, s.machine)
		case s.node.pinned():
			c.agenda.mark(f)
		}
	}
}

// reserve counts what a unit has of the machine.
func (c *Cluster) reserve(m *machine, was, now amounts) {
	m.used = m.used.plus(now).minus(was)
	if was.exceeds(now) {
		m.raise()
		c.agenda.free(m)
	}
}

// vacated has those decided about whom the slot's unit kept off its machine.
func (c *Cluster) vacated(s *slot) {
	c.touchClashing(s.node)
	for g := range c.globals {
		if clashes(g, s.node) {
			c.agenda.pair(g, s.machine)
		}
	}
}

// touchClashing has those waiting units decided about that conflict with n.
func (c *Cluster) touchClashing(n *node) {
	for w := range c.agenda.waiting {
		if clashes(w, n) {
			c.agenda.mark(w)
		}
	}
}

// conflictsGone has those decided about whom n avoided before what it asks for
// changed.
func (c *Cluster) conflictsGone(n *node, old *wants) {
	if len(old.avoids) == 0 {
		return
	}
	for w := range c.agenda.waiting {
		if old.avoidsUnit(w.name) {
			c.agenda.mark(w)
		}
	}
	for g := range c.globals {
		if !old.avoidsUnit(g.name) {
			continue
		}
		for _, s := range n.slots {
			c.agenda.pair(g, s.machine)
		}
	}
}
