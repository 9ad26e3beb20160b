package schedule

// view is what the indexes hold of a slot.
type view struct {
	order    Order
	claimed  bool
	occupied bool
	to, unit string // the bookings that its release makes
}

func (s *slot) view() view {
	to, unit := s.bookings()
	return view{s.order(), s.claimed(), s.occupied(), to, unit}
}

// claimed reports whether the unit has a place there, or is about to: placed,
// whatever the order, until it has stopped, or booked.
func (s *slot) claimed() bool {
	return s.placement() != nil && !s.confirmed() || s.booked()
}

// occupied reports whether the unit is on the machine as far as others are
// concerned: it has a place there, or is still reported.
func (s *slot) occupied() bool { return s.claimed() || s.reported() }

// reindex brings every index from what the slot was to what it is.
func (c *Cluster) reindex(s *slot, was view) {
	now := s.view()
	if now == was {
		return
	}
	switch {
	case now.claimed && !was.claimed:
		s.machine.addLoad(1)
	case was.claimed && !now.claimed:
		s.machine.addLoad(-1)
	}
	switch {
	case now.occupied && !was.occupied:
		s.machine.crowd.enter(s.node)
	case was.occupied && !now.occupied:
		s.machine.crowd.leave(s.node)
		c.vacated(s)
	}
	if now.order != was.order {
		c.touchFollowers(s)
	}
	c.rebook(s, was, now)
}

// touchFollowers has those decided about whose place depends on whether the
// slot's unit is there: its group, which other units' changes mark, is not
// among them.
func (c *Cluster) touchFollowers(s *slot) {
	for f := range s.node.follows {
		switch {
		case f.global():
			c.agenda.pair(f, s.machine)
		case s.node.global():
			c.agenda.mark(f)
		}
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
