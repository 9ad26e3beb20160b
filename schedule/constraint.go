package schedule

import "slices"

// ask is the question whether a unit fits a machine.
type ask struct {
	c *Cluster
	n *node
	m *machine
	// with are the units that would be on m together with n, n among them; nil
	// for n alone.
	with []*node
	// group is every unit bound to n, directly or not; nil for n alone.
	group []*node
}

// constraint returns why the answer is no, or the zero refusal. The question is
// passed as it is, in registers: a pointer through a variable would have every
// machine that is asked cost an allocation.
type constraint func(ask) refusal

// The hard constraints, in the order in which they are told: what no one can
// help first, so that "is cordoned" means that nothing else is wrong.
var (
	// taking is what a machine must meet to be given the unit.
	taking = []constraint{isThere, isMachine, hasMetadata, hasTargets, hasFollowers, takesUnits, spreadsEvenly, hasRoom, avoidsConflicts}
	// staying is what it must meet to keep it.
	staying = []constraint{isMachine, hasMetadata, keepsTargets, yields}
	// stayingGlobal is what it must meet to keep a global unit.
	stayingGlobal = []constraint{isMachine, hasMetadata, besideTargets, yields}
)

// check returns the first refusal, or the zero one if everything holds.
func (a ask) check(constraints []constraint) refusal {
	for _, holds := range constraints {
		if r := holds(a); r.kind != fits {
			return r
		}
	}
	return refusal{}
}

func isThere(a ask) refusal {
	switch {
	case a.m.facts.here && a.m.facts.known:
		return refusal{}
	case a.m.facts.here:
		return refusal{kind: unregistered}
	case a.m.lost:
		return refusal{kind: lost}
	}
	return refusal{kind: missing}
}

func isMachine(a ask) refusal {
	if id := a.n.wants.MachineID; id != "" && id != a.m.id {
		return refusal{kind: otherMachine, what: id}
	}
	return refusal{}
}

func hasMetadata(a ask) refusal {
	return a.n.wants.lacking(a.m)
}

// hasTargets holds where every unit that n follows is, or would be with it.
func hasTargets(a ask) refusal {
	for _, name := range a.n.wants.MachineOf {
		t := a.c.units[name]
		if slices.Contains(a.with, t) {
			continue
		}
		if s := t.on(a.m); s == nil || s.order() != Run {
			return refusal{kind: lacksUnit, what: name}
		}
	}
	return refusal{}
}

// hasFollowers holds where every unit is that is placed and follows n, or
// would be with it: a newcomer joins those that are placed.
func hasFollowers(a ask) refusal {
	for _, f := range a.group {
		if !f.wants.followsUnit(a.n.name) || slices.Contains(a.with, f) {
			continue
		}
		if s := f.running(); s != nil && !s.machine.lost && s.machine != a.m {
			return refusal{kind: lacksUnit, what: f.name}
		}
	}
	return refusal{}
}

// keepsTargets fails only where a unit that n follows is placed elsewhere: one
// that is not placed has yet to come here.
func keepsTargets(a ask) refusal {
	for _, name := range a.n.wants.MachineOf {
		t := a.c.units[name]
		if slices.Contains(a.with, t) {
			continue
		}
		if s := t.on(a.m); s != nil && s.order() == Run {
			continue
		}
		if t.pinned() {
			return refusal{kind: lacksUnit, what: name}
		}
		if s := t.running(); s != nil && !s.machine.lost {
			return refusal{kind: lacksUnit, what: name}
		}
	}
	return refusal{}
}

// besideTargets fails where a unit that n follows no longer belongs: a global
// unit is where all its targets are.
func besideTargets(a ask) refusal {
	for _, name := range a.n.wants.MachineOf {
		s := a.c.units[name].on(a.m)
		if s == nil || s.order() != Run && s.order() != Held {
			return refusal{kind: lacksUnit, what: name}
		}
	}
	return refusal{}
}

func takesUnits(a ask) refusal {
	switch m := a.m; {
	case m.facts.takes:
		return refusal{}
	case m.label != nil && m.label.Cordoned:
		return refusal{kind: cordoned}
	case m.label != nil && m.label.Draining:
		return refusal{kind: draining}
	default:
		return refusal{kind: notReady, what: m.presence.Problem}
	}
}

// avoidsConflicts holds where nobody is, nor would be with it, that conflicts
// with n.
func avoidsConflicts(a ask) refusal {
	for _, o := range a.with {
		if clashes(a.n, o) {
			return refusal{kind: conflicts, what: o.name}
		}
	}
	if !a.c.clash(a.n, a.m) {
		return refusal{}
	}
	return clashRefusal(a.n, firstClash(a.n, a.m, (*slot).occupied))
}

// yields fails where n conflicts with a unit that stays and is the one of the
// two to go.
func yields(a ask) refusal {
	if !a.c.clash(a.n, a.m) {
		return refusal{}
	}
	goes := func(s *slot) bool {
		o := s.order()
		return (o == Run || o == Held) && yieldsTo(a.n, s.node)
	}
	if s := firstClash(a.n, a.m, goes); s != nil {
		return clashRefusal(a.n, s)
	}
	return refusal{}
}

// yieldsTo reports which of two placed units that conflict goes: the one that
// the other replaces, or else the one that was changed later, since it brought
// the conflict about. Two that replace each other stay.
func yieldsTo(n, o *node) bool {
	switch {
	case n.replaces(o):
		return false
	case o.replaces(n):
		return true
	case n.revision != o.revision:
		return n.revision > o.revision
	}
	return n.name > o.name
}

// clashRefusal says why n keeps off the slot's unit.
func clashRefusal(n *node, s *slot) refusal {
	r := refusal{kind: conflicts, what: s.node.name}
	switch {
	case s.node.replaces(n):
		r.kind = replaced
	case n.replaces(s.node) && s.order() == Release:
		r.kind = leaving
	case n.replaces(s.node):
		r.kind = immovable
	}
	return r
}

// firstClash returns the slot on m, of those that count, with the first name
// whose unit conflicts with n.
func firstClash(n *node, m *machine, counts func(*slot) bool) *slot {
	var first *slot
	for _, s := range m.slots {
		if (first == nil || s.node.name < first.node.name) && clashes(n, s.node) && counts(s) {
			first = s
		}
	}
	return first
}
