package schedule

import (
	"slices"

	"fleet/unit"
)

// trial changes the model to see what would fit then, and changes it back.
// Nothing is put on the agenda for it.
type trial struct {
	c    *Cluster
	undo func()
	was  []tried
}

// tried is a slot as it was before the trial.
type tried struct {
	slot    *slot
	place   *Placement
	planned *planned
	state   *unit.State
}

func (c *Cluster) try() *trial {
	t := &trial{c: c}
	quiet := c.agenda.quiet
	c.agenda.quiet = true
	t.undo = func() {
		for _, w := range slices.Backward(t.was) {
			view := w.slot.view()
			w.slot.place, w.slot.planned, w.slot.state = w.place, w.planned, w.state
			c.reindex(w.slot, view)
			c.dropSlot(w.slot)
		}
		c.agenda.quiet = quiet
	}
	return t
}

// set makes the slot as if the store said this of it.
func (t *trial) set(s *slot, place *Placement, state *unit.State) {
	t.was = append(t.was, tried{s, s.place, s.planned, s.state})
	view := s.view()
	s.place, s.planned, s.state = place, nil, state
	t.c.reindex(s, view)
}

// place makes the units run on the machine.
func (t *trial) place(units []*node, m *machine) {
	for _, n := range units {
		s := t.c.slot(n, m)
		pl := &Placement{Unit: n.name, MachineID: m.id, Hash: n.unit.Hash, Target: n.unit.DesiredState, Order: Run}
		pl.reserve(n.wants.reserves())
		t.set(s, pl, s.state)
	}
}

// back makes the units' slots on the machine as they were before the trial.
func (t *trial) back(units []*node, m *machine) {
	for _, n := range units {
		i := slices.IndexFunc(t.was, func(w tried) bool { return w.slot.node == n && w.slot.machine == m })
		if i >= 0 {
			t.set(t.was[i].slot, t.was[i].place, t.was[i].state)
		}
	}
}

// inOrder returns what is on the machine, by the units' names.
func (m *machine) inOrder() []*slot {
	return slices.SortedFunc(slices.Values(m.slots), func(a, b *slot) int { return byName(a.node, b.node) })
}
