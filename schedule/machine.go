package schedule

import (
	"maps"
	"slices"
)

// refresh brings every index to what the machine's records say now.
func (c *Cluster) refresh(m *machine) {
	was, old := m.facts, m.metadata
	m.facts, m.metadata = m.readFacts(), m.effective()
	relabelled := !maps.Equal(old, m.metadata)
	if m.facts == was && !relabelled {
		return
	}
	c.rank(m, old)
	c.agenda.machine(m)
	if m.facts.here != was.here {
		for _, s := range m.slots {
			c.reckon(s.node)
		}
	}
	switch {
	case m.facts.here || !m.facts.known:
		m.lost = false
		delete(c.absent, m)
	case !m.lost:
		c.absent[m] = struct{}{}
	}
	toStay := m.facts
	toStay.takes = was.takes // is nothing to those that are there
	switch {
	case toStay != was || relabelled:
		c.touchSlots(m)
	case m.facts.takes != was.takes:
		c.touchBooked(m)
	}
	c.offer(m)
}

func (m *machine) readFacts() facts {
	f := facts{known: m.record != nil, here: m.presence != nil}
	f.takes = f.known && f.here && m.presence.Ready &&
		(m.label == nil || !m.label.Cordoned && !m.label.Draining)
	f.draining = m.label != nil && m.label.Draining
	if f.known {
		f.capacity = m.record.capacity()
	}
	return f
}

// effective returns the metadata from the machine's configuration, as
// operators have changed it.
func (m *machine) effective() map[string]string {
	if m.record == nil {
		return nil
	}
	if m.label == nil {
		return m.record.Metadata
	}
	metadata := make(map[string]string, len(m.record.Metadata)+len(m.label.Set))
	maps.Copy(metadata, m.record.Metadata)
	maps.Copy(metadata, m.label.Set)
	for _, k := range m.label.Removed {
		delete(metadata, k)
	}
	return metadata
}

// rank puts the machine in the load orders where it takes new units; old is
// the metadata that it was there with.
func (c *Cluster) rank(m *machine, old map[string]string) {
	m.leaveAll()
	for k, v := range old {
		if l := c.byMeta[label{k, v}]; l != nil && l.Len() == 0 {
			delete(c.byMeta, label{k, v})
		}
	}
	if !m.facts.takes {
		return
	}
	c.byLoad.add(m)
	for k, v := range m.metadata {
		l := c.byMeta[label{k, v}]
		if l == nil {
			l = &loads{}
			c.byMeta[label{k, v}] = l
		}
		l.add(m)
	}
}

// offer has those decided about whom the machine, as it is now, may help.
func (c *Cluster) offer(m *machine) {
	for g := range c.globals {
		c.agenda.pair(g, m)
	}
	if !m.facts.takes {
		return
	}
	for n := range c.agenda.waiting {
		if n.suits(m) {
			c.agenda.mark(n)
		}
	}
}

// suits reports whether the machine is one that the unit asks for. One that
// isn't can't help the unit's group either.
func (n *node) suits(m *machine) bool {
	return (n.wants.MachineID == "" || n.wants.MachineID == m.id) && n.wants.lacking(m) == nil
}

// lacking returns the first metadata requirement that the machine doesn't
// meet, or nil.
func (w *wants) lacking(m *machine) *need {
	i := slices.IndexFunc(w.needs, func(n need) bool { return !n.metBy(m.metadata) })
	if i < 0 {
		return nil
	}
	return &w.needs[i]
}
