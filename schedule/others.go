package schedule

// pending is a record, no placement, that was decided about and has not come
// back yet: it is not decided about again.
type pending struct {
	change   Change
	revision int64 // of the model it was planned from
}

// keyOf identifies the record that a change is about.
func keyOf(ch Change) key {
	switch {
	case ch.Unit != nil:
		return key{kind: unitKind, unit: ch.Unit.Name}
	case ch.Machine != nil:
		return key{kind: machineKind, machine: ch.Machine.ID}
	case ch.Presence != nil:
		return key{kind: presenceKind, machine: ch.Presence.MachineID}
	case ch.Label != nil:
		return key{kind: labelKind, machine: ch.Label.MachineID}
	case ch.Placement != nil:
		return key{placementKind, ch.Placement.MachineID, ch.Placement.Unit}
	case ch.Done != nil:
		return key{kind: doneKind, unit: ch.Done.Unit}
	case ch.Absence != nil:
		return key{kind: absenceKind, machine: ch.Absence.MachineID}
	}
	return key{stateKind, ch.State.MachineID, ch.State.Name}
}

// promise notes records that were decided about.
func (c *Cluster) promise(changes []Change) {
	for _, ch := range changes {
		c.pending[keyOf(ch)] = pending{ch, c.revision}
	}
}

// promised reports whether a decision about the record has not come back yet.
func (c *Cluster) promised(k key) bool {
	_, ok := c.pending[k]
	return ok
}

// arrive ends a promise: the record is as it was decided, or as someone else
// has made it meanwhile.
func (c *Cluster) arrive(k key, revision int64) {
	if p, ok := c.pending[k]; ok && revision >= p.revision {
		delete(c.pending, k)
	}
}

// unpromise takes back what was not written, and has it decided again.
func (c *Cluster) unpromise(changes []Change) {
	for _, ch := range changes {
		k := keyOf(ch)
		if p, ok := c.pending[k]; !ok || p.change != ch {
			continue
		}
		delete(c.pending, k)
		if m := c.machines[k.machine]; m != nil {
			c.agenda.machine(m)
		}
		if n := c.units[k.unit]; n != nil {
			c.agenda.mark(n)
			c.reckon(n)
		}
		if f := c.families[templateOf(k.unit)]; f != nil {
			c.recount(f)
		}
	}
}
