package schedule

import (
	"fleet/unit"
)

// Apply brings the model to u. A snapshot replaces everything, planned writes
// included, and has everything decided anew. A change that the model knows
// already, or knows a later one of, is ignored.
func (c *Cluster) Apply(u Update) {
	if u.Snapshot {
		c.reset()
	}
	for i := range u.Changes {
		c.apply(&u.Changes[i])
	}
	c.revision = max(c.revision, u.Revision)
}

func (c *Cluster) apply(ch *Change) {
	c.revision = max(c.revision, ch.Revision)
	switch {
	case ch.Unit != nil:
		c.applyUnit(ch)
	case ch.Machine != nil:
		m := c.machine(ch.Machine.ID)
		if c.news(key{kind: machineKind, machine: m.id}, ch, &m.recordRev) {
			m.record = kept(ch, ch.Machine)
			c.refresh(m)
		}
		c.dropMachine(m)
	case ch.Presence != nil:
		m := c.machine(ch.Presence.MachineID)
		if c.news(key{kind: presenceKind, machine: m.id}, ch, &m.presenceRev) {
			m.presence = kept(ch, ch.Presence)
			c.refresh(m)
		}
		c.dropMachine(m)
	case ch.Label != nil:
		m := c.machine(ch.Label.MachineID)
		if c.news(key{kind: labelKind, machine: m.id}, ch, &m.labelRev) {
			m.label = kept(ch, ch.Label)
			c.refresh(m)
		}
		c.dropMachine(m)
	case ch.Absence != nil:
		m := c.machine(ch.Absence.MachineID)
		if c.news(keyOf(*ch), ch, &m.absenceRev) {
			m.absence = kept(ch, ch.Absence)
			c.agenda.machine(m)
		}
		c.dropMachine(m)
	case ch.Done != nil:
		n := c.node(ch.Done.Unit)
		if c.news(keyOf(*ch), ch, &n.doneRev) {
			c.touchBound(n)
			n.done = kept(ch, ch.Done)
			c.reckon(n)
			c.touchBound(n)
			c.agenda.mark(n)
		}
		c.dropNode(n)
	case ch.Placement != nil:
		c.applyPlacement(ch)
	case ch.State != nil:
		c.applyState(ch)
	}
}

// news reports whether the change is later than what is known of its record,
// whose revision is at known, and notes it.
func (c *Cluster) news(k key, ch *Change, known *int64) bool {
	if ch.Revision <= *known || *known == 0 && ch.Revision <= c.deleted.revision(k) {
		return false
	}
	c.arrive(k, ch.Revision)
	if ch.Deleted {
		*known = 0
		c.deleted.add(k, ch.Revision)
		return true
	}
	if *known == 0 {
		c.deleted.remove(k)
	}
	*known = ch.Revision
	return true
}

// kept is the record that a change leaves.
func kept[T any](ch *Change, record *T) *T {
	if ch.Deleted {
		return nil
	}
	return record
}

func (c *Cluster) applyUnit(ch *Change) {
	n := c.node(ch.Unit.Name)
	// A file that couldn't be read may follow its record.
	late := !ch.Deleted && n.unit != nil && n.file == nil && ch.File != nil && ch.Revision == n.revision
	if late || c.news(key{kind: unitKind, unit: n.name}, ch, &n.revision) {
		c.touchBound(n)
		c.touchReplaced(n)
		n.untold = true
		c.setUnit(n, ch)
		c.touchBound(n)
		c.touchReplaced(n)
		c.touchClashing(n) // another of them may be the one to go now
		c.agenda.mark(n)
	}
	c.dropNode(n)
}

// setUnit replaces a unit's record and what it asks for, in every index.
func (c *Cluster) setUnit(n *node, ch *Change) {
	was := make([]view, len(n.slots))
	for i, s := range n.slots {
		if was[i] = s.view(); was[i].occupied {
			s.machine.crowd.leave(n)
		}
	}
	old := n.wants
	if f := n.family; f != nil {
		f.managed += tallied(!ch.Deleted && ch.Unit.Managed) - tallied(n.managed())
		c.recount(f)
	}
	n.unit, n.file = kept(ch, ch.Unit), nil
	if !ch.Deleted {
		n.file = ch.File
	}
	w := n.compile()
	c.unfollow(n, w)
	c.withdraw(n)
	c.dropTally(n)
	n.wants = w
	c.follow(n)
	if n.global() {
		c.globals[n] = struct{}{}
	} else {
		delete(c.globals, n)
	}
	if len(w.replaced) > 0 {
		c.replacers[n.name] = n
	} else {
		delete(c.replacers, n.name)
	}
	for i, s := range n.slots {
		if was[i].occupied {
			s.machine.crowd.enter(n)
		}
		c.reindex(s, was[i]) // what is booked depends on the record
	}
	// What is new in the indexes counts all slots as they are now.
	c.enroll(n)
	c.askTally(n)
	c.reckon(n)
	c.conflictsGone(n, old)
}

// unfollow takes n from its targets' followers; those that next follows as
// well are not forgotten meanwhile.
func (c *Cluster) unfollow(n *node, next *wants) {
	for _, name := range n.wants.MachineOf {
		t := c.units[name]
		delete(t.follows, n)
		if !next.followsUnit(name) {
			c.dropNode(t)
		}
	}
}

func (c *Cluster) follow(n *node) {
	for _, name := range n.wants.MachineOf {
		t := c.node(name)
		if t.follows == nil {
			t.follows = make(map[*node]struct{})
		}
		t.follows[n] = struct{}{}
	}
}

func (c *Cluster) applyPlacement(ch *Change) {
	p := ch.Placement
	s := c.slot(c.node(p.Unit), c.machine(p.MachineID))
	if c.news(key{placementKind, p.MachineID, p.Unit}, ch, &s.placeRev) {
		was := s.view()
		s.place = kept(ch, p)
		if s.planned != nil && ch.Revision >= s.planned.revision {
			s.planned = nil
		}
		c.reindex(s, was)
		c.touch(s)
	}
	c.dropSlot(s)
}

func (c *Cluster) applyState(ch *Change) {
	st := ch.State
	s := c.slot(c.node(st.Name), c.machine(st.MachineID))
	if c.news(key{stateKind, st.MachineID, st.Name}, ch, &s.stateRev) {
		was, before := s.view(), s.state
		s.state = kept(ch, st)
		c.reindex(s, was)
		if !sameToPlan(before, s.state) {
			c.touch(s)
		}
	}
	c.dropSlot(s)
}

// sameToPlan reports whether two states of a unit leave the same to decide: a
// unit that its machine restarts over and over is no work for the engine.
func sameToPlan(a, b *unit.State) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Active() == b.Active() && a.Released == b.Released &&
		a.Generation == b.Generation && a.Reached == b.Reached &&
		a.FailedStarts == b.FailedStarts && (a.ActiveState == "failed") == (b.ActiveState == "failed")
}
