package schedule

import (
	"maps"
	"strings"

	"fleet/unit"
)

// refresh brings every index to what the machine's records say now.
func (c *Cluster) refresh(m *machine) {
	was, metadata := m.facts, m.effective()
	m.facts = m.readFacts()
	relabelled := !maps.Equal(metadata, m.metadata)
	if m.facts == was && !relabelled {
		return
	}
	if relabelled {
		c.talliedAll(m, -1)
		m.metadata = metadata
		c.talliedAll(m, 1)
	}
	c.rank(m)
	c.agenda.machine(m)
	if m.facts.here != was.here {
		for _, s := range m.slots {
			c.reckon(s.node)
		}
	}
	switch {
	case m.facts.here || !m.facts.known:
		c.setLost(m, false)
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

// effective returns the metadata that constraints and wishes are about: what
// operators make of the machine's configuration, and what fleetd found.
func (m *machine) effective() map[string]string {
	metadata := m.labelled()
	if m.record == nil || len(m.record.Found) == 0 {
		return metadata
	}
	all := make(map[string]string, len(metadata)+len(m.record.Found))
	maps.Copy(all, metadata)
	maps.Copy(all, m.record.Found)
	return all
}

// labelled returns the metadata from the machine's configuration, as operators
// have changed it. What fleetd finds by itself is not theirs to say.
func (m *machine) labelled() map[string]string {
	if m.record == nil {
		return nil
	}
	metadata := make(map[string]string, len(m.record.Metadata))
	maps.Copy(metadata, m.record.Metadata)
	if m.label != nil {
		maps.Copy(metadata, m.label.Set)
		for _, k := range m.label.Removed {
			delete(metadata, k)
		}
	}
	maps.DeleteFunc(metadata, func(k, _ string) bool { return strings.HasPrefix(k, FoundPrefix) })
	return metadata
}

// offer has those decided about whom the machine, as it is now, may help.
func (c *Cluster) offer(m *machine) {
	for g := range c.globals {
		c.agenda.pair(g, m)
	}
	if !m.facts.takes {
		return
	}
	c.agenda.retry()
	for n := range c.agenda.waiting {
		if n.suits(m) && m.mayTake(n) {
			c.agenda.mark(n)
		}
	}
}

// suits reports whether the machine is one that the unit asks for. One that
// isn't can't help the unit's group either.
func (n *node) suits(m *machine) bool {
	return (n.wants.MachineID == "" || n.wants.MachineID == m.id) && n.wants.lacking(m).kind == fits
}

// lacking returns the first metadata requirement that the machine doesn't
// meet.
func (w *wants) lacking(m *machine) refusal {
	for i := range w.needs {
		if n := &w.needs[i]; !n.metBy(m.metadata) {
			return refusal{kind: lacksMetadata, what: n.text}
		}
	}
	for i := range w.conds {
		switch c := &w.conds[i]; {
		case c.Holds(m.metadata):
		case c.Op == unit.Absent:
			return refusal{kind: unwantedMetadata, what: c.Key}
		case c.Op == unit.Differs:
			return refusal{kind: unwantedMetadata, what: c.Key + "=" + c.Value}
		default:
			return refusal{kind: lacksMetadata, what: c.text}
		}
	}
	return refusal{}
}
