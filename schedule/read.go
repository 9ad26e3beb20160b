package schedule

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"fleet/unit"
)

// The readers tell what the store said last. What they return is the caller's,
// save maps and slices within records, which are not to be changed. The model
// must not change during an iteration.

// Unit returns a unit's record.
func (c *Cluster) Unit(name string) (unit.Unit, bool) {
	n := c.units[name]
	if n == nil || n.unit == nil {
		return unit.Unit{}, false
	}
	return *n.unit, true
}

// File returns a unit's file, nil if it can't be read or there is no such unit.
func (c *Cluster) File(name string) *unit.File {
	if n := c.units[name]; n != nil {
		return n.file
	}
	return nil
}

// Units yields every unit's record, in the order of the names.
func (c *Cluster) Units() iter.Seq[unit.Unit] {
	return func(yield func(unit.Unit) bool) {
		for _, name := range sorted(&c.unitNames, c.units) {
			if n := c.units[name]; n.unit != nil && !yield(*n.unit) {
				return
			}
		}
	}
}

// Machine returns a machine's record.
func (c *Cluster) Machine(id string) (Machine, bool) {
	m := c.machines[id]
	if m == nil || m.record == nil {
		return Machine{}, false
	}
	return *m.record, true
}

// Machines yields every machine's record, in the order of the IDs, whether or
// not the machine is there.
func (c *Cluster) Machines() iter.Seq[Machine] {
	return func(yield func(Machine) bool) {
		for _, id := range sorted(&c.machineIDs, c.machines) {
			if m := c.machines[id]; m.record != nil && !yield(*m.record) {
				return
			}
		}
	}
}

// Presence returns what a machine that is there says of itself.
func (c *Cluster) Presence(machine string) (Presence, bool) {
	m := c.machines[machine]
	if m == nil || m.presence == nil {
		return Presence{}, false
	}
	return *m.presence, true
}

// Label returns what operators have set on a machine.
func (c *Cluster) Label(machine string) (Label, bool) {
	m := c.machines[machine]
	if m == nil || m.label == nil {
		return Label{}, false
	}
	return *m.label, true
}

// Lost reports whether the last Plan took the machine for lost, and nothing has
// been heard of it since.
func (c *Cluster) Lost(machine string) bool {
	m := c.machines[machine]
	return m != nil && m.lost
}

// Use is what units have of a machine.
type Use struct {
	Units  int   `json:"units"`            // that have a place there
	Memory int64 `json:"memory,omitempty"` // bytes reserved
	CPU    int64 `json:"cpu,omitempty"`    // thousandths of a CPU reserved
}

// Use returns what units have of a machine.
func (c *Cluster) Use(machine string) Use {
	m := c.machines[machine]
	if m == nil {
		return Use{}
	}
	return Use{Units: m.load, Memory: m.used.memory, CPU: m.used.cpu}
}

// Done returns that a unit with RunOnce= has finished. It holds for the unit's
// record as it was at Done.Revision.
func (c *Cluster) Done(unit string) (Done, bool) {
	n := c.units[unit]
	if n == nil || n.done == nil {
		return Done{}, false
	}
	return *n.done, true
}

// Absence returns since when a machine has been lost.
func (c *Cluster) Absence(machine string) (Absence, bool) {
	m := c.machines[machine]
	if m == nil || m.absence == nil {
		return Absence{}, false
	}
	return *m.absence, true
}

// EffectiveMetadata returns a machine's metadata as operators have changed it,
// without what fleetd found by itself.
func (c *Cluster) EffectiveMetadata(machine string) map[string]string {
	if m := c.machines[machine]; m != nil {
		return m.labelled()
	}
	return nil
}

// FoundMetadata returns the metadata that a machine's fleetd found by itself.
func (c *Cluster) FoundMetadata(machine string) map[string]string {
	if m := c.machines[machine]; m != nil && m.record != nil {
		return maps.Clone(m.record.Found)
	}
	return nil
}

// Placements returns a unit's placements, in the order of the machines' IDs.
func (c *Cluster) Placements(unit string) []Placement {
	n := c.units[unit]
	if n == nil {
		return nil
	}
	var all []Placement
	for _, s := range n.slots {
		if s.place != nil {
			all = append(all, *s.place)
		}
	}
	return all
}

// PlacementsOn returns a machine's placements, in the order of the units' names.
func (c *Cluster) PlacementsOn(machine string) []Placement {
	m := c.machines[machine]
	if m == nil {
		return nil
	}
	var all []Placement
	for _, s := range m.slots {
		if s.place != nil {
			all = append(all, *s.place)
		}
	}
	slices.SortFunc(all, func(a, b Placement) int { return strings.Compare(a.Unit, b.Unit) })
	return all
}

// States returns what machines report of a unit, in the order of their IDs.
func (c *Cluster) States(name string) []unit.State {
	n := c.units[name]
	if n == nil {
		return nil
	}
	var all []unit.State
	for _, s := range n.slots {
		if s.state != nil {
			all = append(all, *s.state)
		}
	}
	return all
}
