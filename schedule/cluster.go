package schedule

import (
	"slices"
	"strings"
	"time"

	"fleet/unit"
)

// Cluster is the indexed model of everything that the store says, beside the
// decisions that were planned and not yet seen there. It is not safe for
// concurrent use.
type Cluster struct {
	revision int64
	hold     time.Time // no machine counts as lost before
	policy   Policy

	units    map[string]*node
	machines map[string]*machine
	families map[string]*family // by template
	globals  map[*node]struct{}
	pools    map[string]*pool // by key
	walk     walk             // to be used again
	// replacers are the units with Replaces=, by name.
	replacers map[string]*node

	deleted tombstones
	agenda  agenda
	absent  map[*machine]struct{} // not there, and not taken for lost yet
	pending map[key]pending
	timers  timers
	now     time.Time // of the last Plan

	unitNames, machineIDs order
}

// node is what is known of one unit name: its record, or only that a
// placement, a state or another unit's MachineOf names it.
type node struct {
	name     string
	template string  // app@.service for app@1.service and itself, "" without an @
	family   *family // the template's, nil for what is no instance
	unit     *unit.Unit
	revision int64
	done     *Done
	doneRev  int64
	file     *unit.File
	wants    *wants
	pool     *pool              // of the machines that it may be placed on
	slots    []*slot            // in the machines' order
	follows  map[*node]struct{} // those whose MachineOf names it

	gone  bool // forgotten: what still holds it is to let it go
	dirty bool
	// As counted in the family: down is wanted and not available, turning
	// available and about to be given another file or target state.
	down, turning bool
	untold        bool // the record has changed, and the placements have not followed yet
	// coming is set while the unit is planned before those who make way for it.
	coming bool
}

// machine is what is known of one machine ID, and what is on it.
type machine struct {
	id       string
	record   *Machine
	presence *Presence
	label    *Label
	absence  *Absence
	// The revisions of the four records.
	recordRev, presenceRev, labelRev, absenceRev int64

	gone     bool // forgotten
	lost     bool // taken for lost, at the last Plan
	facts    facts
	metadata map[string]string // effective
	slots    []*slot           // in no order
	load     int               // units that have a place on it
	used     amounts           // reserved of its capacity
	crowd    crowd
	standing int64   // its score for a unit without wishes
	ranks    []*rank // where it is in the pools, empty if it takes no new units
}

// facts are what the indexes hold of a machine.
type facts struct {
	known bool // it has a machine record
	here  bool // it has a presence
	takes bool // new units may be placed on it
	// draining says that it is to be left by what is on it.
	draining bool

	capacity amounts // what units may reserve
}

// slot is where one unit and one machine meet: a placement, a state, a planned
// write of the placement, or room that is kept.
type slot struct {
	node     *node
	machine  *machine
	at       int // in the machine\'s slots
	place    *Placement
	placeRev int64
	planned  *planned
	bookedBy int // releases that keep room here for the unit
	state    *unit.State
	stateRev int64
}

// planned is a write that was decided and has not come back yet.
type planned struct {
	write    *Write // shared with the decision
	revision int64  // of the model it was planned from
}

// NewCluster returns a model of nothing, to be fed a snapshot first.
func NewCluster() *Cluster {
	c := &Cluster{policy: DefaultPolicy()}
	c.reset()
	return c
}

// reset forgets everything but the hold and the policy, which are no records.
func (c *Cluster) reset() {
	*c = Cluster{
		hold:      c.hold,
		policy:    c.policy,
		units:     make(map[string]*node),
		machines:  make(map[string]*machine),
		families:  make(map[string]*family),
		globals:   make(map[*node]struct{}),
		replacers: make(map[string]*node),
		pools:     make(map[string]*pool),
		agenda:    newAgenda(),
		absent:    make(map[*machine]struct{}),
		pending:   make(map[key]pending),
		timers:    newTimers(),
	}
}

// Revision is the store's revision that the model stands at.
func (c *Cluster) Revision() int64 { return c.revision }

// HoldEvictions makes no machine count as lost before until, whatever counted
// as lost so far.
func (c *Cluster) HoldEvictions(until time.Time) {
	c.hold = until
	for _, m := range c.machines {
		if m.record != nil && m.presence == nil {
			c.setLost(m, false)
			c.absent[m] = struct{}{}
		}
	}
}

// Wake tells when Plan should be called next though nothing has changed, and
// whether it should at all.
func (c *Cluster) Wake() (time.Time, bool) {
	at, ok := c.timers.earliest()
	if len(c.absent) > 0 && (!ok || c.hold.Before(at)) {
		return c.hold, true
	}
	return at, ok
}

// LoseMachines takes the absent machines for lost once the hold is over, as
// Plan does at its beginning: for one who explains and never plans.
func (c *Cluster) LoseMachines(now time.Time) {
	c.now = now
	if now.Before(c.hold) {
		return
	}
	for m := range c.absent {
		c.setLost(m, true)
		c.touchSlots(m)
		c.agenda.machine(m)
	}
	clear(c.absent)
}

// node returns what is known of a unit name, from now on if nothing was.
func (c *Cluster) node(name string) *node {
	n := c.units[name]
	if n == nil {
		n = &node{name: name, template: templateOf(name), wants: nothing}
		c.units[name] = n
		c.join(n)
		c.unitNames.changed()
	}
	return n
}

// dropNode forgets a unit name that nothing mentions any more.
func (c *Cluster) dropNode(n *node) {
	if n.unit == nil && n.done == nil && len(n.slots) == 0 && len(n.follows) == 0 {
		n.gone = true
		delete(c.units, n.name)
		c.part(n)
		c.agenda.forget(n)
		c.timers.clear(key{kind: unitKind, unit: n.name})
		c.unitNames.changed()
	}
}

// machine returns what is known of a machine ID, from now on if nothing was.
func (c *Cluster) machine(id string) *machine {
	m := c.machines[id]
	if m == nil {
		m = &machine{id: id}
		c.machines[id] = m
		c.machineIDs.changed()
	}
	return m
}

// dropMachine forgets a machine ID that nothing mentions any more.
func (c *Cluster) dropMachine(m *machine) {
	if m.record == nil && m.presence == nil && m.label == nil && m.absence == nil && len(m.slots) == 0 {
		m.gone = true
		delete(c.machines, m.id)
		delete(c.absent, m)
		c.timers.clear(key{kind: absenceKind, machine: m.id})
		c.machineIDs.changed()
	}
}

// slot returns where n and m meet, from now on if they didn't.
func (c *Cluster) slot(n *node, m *machine) *slot {
	i, ok := slices.BinarySearchFunc(n.slots, m.id, slotOrder)
	if ok {
		return n.slots[i]
	}
	s := &slot{node: n, machine: m}
	n.slots = slices.Insert(n.slots, i, s)
	s.at = len(m.slots)
	m.slots = append(m.slots, s)
	return s
}

// dropSlot forgets a slot that nothing is in any more.
func (c *Cluster) dropSlot(s *slot) {
	if s.place != nil || s.planned != nil || s.state != nil || s.bookedBy > 0 {
		return
	}
	if i := slices.Index(s.node.slots, s); i >= 0 {
		s.node.slots = slices.Delete(s.node.slots, i, i+1)
		s.machine.drop(s)
	}
	c.dropNode(s.node)
	c.dropMachine(s.machine)
}

func slotOrder(s *slot, id string) int { return strings.Compare(s.machine.id, id) }

// drop takes a slot from the machine's.
func (m *machine) drop(s *slot) {
	last := len(m.slots) - 1
	m.slots[s.at] = m.slots[last]
	m.slots[s.at].at = s.at
	m.slots[last] = nil
	m.slots = m.slots[:last]
}

// on returns the slot of n on m, or nil. Most units have one or two.
func (n *node) on(m *machine) *slot {
	if len(n.slots) <= 4 {
		for _, s := range n.slots {
			if s.machine == m {
				return s
			}
		}
		return nil
	}
	if i, ok := slices.BinarySearchFunc(n.slots, m.id, slotOrder); ok {
		return n.slots[i]
	}
	return nil
}

// wanted reports whether the unit belongs on a machine.
func (n *node) wanted() bool {
	return n.unit != nil && n.unit.DesiredState.AtLeast(unit.Loaded) && !n.isTemplate()
}

// readable reports whether it is known what the unit asks of its machine.
func (n *node) readable() bool { return n.wants.err == nil }

// global reports whether the unit belongs on every machine that fits.
func (n *node) global() bool { return n.unit != nil && n.wants.Global }

// inFlight reports whether a decision about the unit has not been seen yet.
func (n *node) inFlight() bool {
	return slices.ContainsFunc(n.slots, func(s *slot) bool { return s.planned != nil })
}

// running returns the slot with the unit's run placement, or nil. Of several,
// which tidy ends, it is the first that isn't on a lost machine.
func (n *node) running() *slot {
	var running *slot
	for _, s := range n.slots {
		if s.order() != Run {
			continue
		}
		if !s.machine.lost {
			return s
		}
		if running == nil {
			running = s
		}
	}
	return running
}

// placement returns the placement as it will be once what was planned is
// written, or nil.
func (s *slot) placement() *Placement {
	switch {
	case s.planned == nil:
		return s.place
	case s.planned.write.Delete:
		return nil
	}
	return &s.planned.write.Placement
}

// order returns the placement's order, "" without one.
func (s *slot) order() Order {
	if p := s.placement(); p != nil {
		return p.Order
	}
	return ""
}

// reported reports whether the machine says that it still has the unit.
func (s *slot) reported() bool {
	return s.state != nil && (s.state.Active() || !s.state.Released)
}

// confirmed reports whether the machine has carried out the release.
func (s *slot) confirmed() bool { return s.confirms(s.placement()) }

func (s *slot) confirms(p *Placement) bool {
	return p != nil && p.Order == Release && s.state != nil &&
		s.state.Released && s.state.Generation == p.Generation
}

// settled reports whether the unit has got as far there as it should.
func (s *slot) settled() bool {
	p := s.placement()
	return s.machine.facts.here && p != nil && p.Order == Run && s.state != nil &&
		s.state.Generation == p.Generation && s.state.Reached.AtLeast(p.Target)
}
