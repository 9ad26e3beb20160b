package schedule

// Room is kept for a unit where it is about to be, by the release that it
// waits for: by its own for where it moves to, and by that of a unit which
// makes way for it. In the model a booked slot is as taken as one with a
// placement, so that nothing is promised twice.

// bookings returns the machine that the slot's release keeps room on for its
// own unit, and the unit that it keeps room for on its own machine.
func (s *slot) bookings() (to, unit string) {
	p := s.placement()
	if p == nil || p.Order != Release {
		return "", ""
	}
	if p.For != s.node.name {
		unit = p.For
	}
	return p.To, unit
}

// booked reports whether room is kept there for the unit. What belongs nowhere,
// or everywhere, needs none.
func (s *slot) booked() bool { return s.bookedBy > 0 && s.node.wanted() && !s.node.global() }

// rebook brings the slots that a release books from what it was to what it is.
func (c *Cluster) rebook(s *slot, was, now view) {
	if was.to != now.to {
		c.book(s.node.name, was.to, -1)
		c.book(s.node.name, now.to, 1)
	}
	if was.unit != now.unit {
		c.book(was.unit, s.machine.id, -1)
		c.book(now.unit, s.machine.id, 1)
	}
}

func (c *Cluster) book(unit, machine string, by int) {
	if unit == "" || machine == "" {
		return
	}
	s := c.slot(c.node(unit), c.machine(machine))
	was := s.view()
	s.bookedBy += by
	c.reindex(s, was)
	c.dropSlot(s)
}
