package schedule

import (
	"cmp"
	"slices"
	"strings"
)

// planReplacement has room made for units with Replaces= that have no machine,
// and reports whether they are to wait for that rather than to be placed.
func (p *planner) planReplacement(part, group []*node) bool {
	if !replaceAny(part) {
		return false
	}
	if m, ready := p.awaited(part, group); m != nil {
		return !ready
	}
	m, ways := p.displacement(part, group)
	for _, w := range ways {
		p.makeWay(m, w, part)
	}
	return m != nil
}

// way is how units leave a machine that others are to have.
type way struct {
	group []*node  // the units, all that MachineOf binds together
	to    *machine // where they go
}

// makeWay releases what of a group is on the machine, for the part to come.
func (p *planner) makeWay(m *machine, w way, part []*node) {
	by := replacerOf(w.group, part)
	reason := by.name + " replaces " + victimOf(w.group, by).name + " on " + m.id
	var writes []Write
	for _, n := range w.group {
		s := n.running()
		if s == nil || s.machine == w.to {
			continue
		}
		write := p.moving(s, w.to, reason)
		if s.machine == m {
			write.Placement.For = by.name
		}
		writes = append(writes, write)
	}
	units := append(p.decidedFrom(w.group, w.group), part...)
	p.decide(listed(nodeNames(w.group))+" to go to "+w.to.id+": "+reason, lostFor(part), writes, units...)
}

// replacerOf returns the first of the part that replaces one of the group.
func replacerOf(group, part []*node) *node {
	for _, n := range part {
		if victimOf(group, n) != nil {
			return n
		}
	}
	return nil
}

// victimOf returns the first of the group that n replaces.
func victimOf(group []*node, n *node) *node {
	for _, o := range group {
		if n.replaces(o) {
			return o
		}
	}
	return nil
}

// replaces reports whether n takes the other's place where both would be.
func (n *node) replaces(o *node) bool { return n != o && n.wants.replacesUnit(o.name) }

// displacement returns the best machine that takes the part once the units
// there that it replaces have gone, if every one of those has another machine
// now; and how they go.
func (c *Cluster) displacement(part, group []*node) (*machine, []way) {
	if c.destination(part) != nil {
		return nil, nil // what makes way for others displaces nobody
	}
	q := &query{c: c, part: part, group: group}
	near, only := q.near()
	for _, m := range c.held(q) {
		if only && !slices.Contains(near, m) {
			continue
		}
		if ways := c.ways(q, m); ways != nil {
			return m, ways
		}
	}
	return nil, nil
}

// held returns the machines that hold units which some of the part replace,
// best first.
func (c *Cluster) held(q *query) []*machine {
	found := make(map[*machine]bool)
	var machines []*machine
	visit := func(o *node) {
		if s := o.running(); s != nil && s.machine.facts.takes && !found[s.machine] {
			found[s.machine] = true
			machines = append(machines, s.machine)
		}
	}
	for _, n := range q.part {
		for i := range n.wants.replaced {
			c.eachMatch(&n.wants.replaced[i], c.units, visit)
		}
	}
	slices.SortFunc(machines, func(a, b *machine) int {
		return cmp.Or(cmp.Compare(q.score(b), q.score(a)), strings.Compare(a.id, b.id))
	})
	return machines
}

// eachMatch calls fn with the units that the pattern matches; those that only
// a glob finds are looked for among some.
func (c *Cluster) eachMatch(p *pattern, among map[string]*node, fn func(*node)) {
	switch p.kind {
	case plain:
		if o := c.units[p.key]; o != nil {
			fn(o)
		}
	case instances:
		if f := c.families[p.key]; f != nil {
			for o := range f.members {
				fn(o)
			}
		}
	default:
		for name, o := range among {
			if p.matches(name) {
				fn(o)
			}
		}
	}
}

// ways returns how the units that the part replaces leave the machine, nil if
// they can't, or if it wouldn't take the part then. Each is looked for a machine
// with the ones before it, and the part, where they are to be.
func (c *Cluster) ways(q *query, m *machine) []way {
	groups := c.victims(q, m)
	if groups == nil {
		return nil
	}
	t := c.try()
	defer t.undo()
	for _, g := range groups {
		for _, n := range g {
			if s := n.on(m); s != nil {
				t.set(s, nil, nil)
			}
		}
	}
	if q.refuses(m).kind != fits {
		return nil
	}
	t.place(q.part, m)
	var ways []way
	for _, g := range groups {
		to := (&query{c: c, part: g, group: g, free: true}).best()
		if to == nil {
			return nil
		}
		t.place(g, to)
		ways = append(ways, way{g, to})
	}
	// Where they are now may be what keeps the part away: an instance counts
	// wherever it is for those that are to be even with it.
	t.back(q.part, m)
	if q.refuses(m).kind != fits {
		return nil
	}
	return ways
}

// victims returns the groups of the units on the machine that the part
// replaces, by name; nil if one of them can't be moved, whatever room there is.
func (c *Cluster) victims(q *query, m *machine) [][]*node {
	var found []*node
	for _, s := range m.slots {
		if replacerOf([]*node{s.node}, q.part) != nil && s.occupied() {
			found = append(found, s.node)
		}
	}
	slices.SortFunc(found, byName)
	var groups [][]*node
	for _, n := range found {
		if slices.ContainsFunc(groups, func(g []*node) bool { return slices.Contains(g, n) }) {
			continue
		}
		if s := n.on(m); s.order() != Run || !n.binds() || slices.Contains(q.group, n) {
			return nil
		}
		g, broken := c.groupOf(n)
		if broken != "" || slices.ContainsFunc(g, (*node).inFlight) || slices.ContainsFunc(g, (*node).adrift) {
			return nil
		}
		groups = append(groups, g)
	}
	return groups
}

// adrift reports whether the unit has no machine that is there.
func (n *node) adrift() bool {
	s := n.running()
	return s == nil || !s.machine.facts.here
}

// awaited returns the machine where room is kept for the part by those who make
// way for it, and whether it fits there already. It is nil if there is none, or
// the part won't fit there once they have stopped.
func (c *Cluster) awaited(part, group []*node) (m *machine, ready bool) {
	q := &query{c: c, part: part, group: group}
	for _, n := range part {
		for _, s := range slices.Clone(n.slots) {
			switch {
			case !s.booked():
			case q.refuses(s.machine).kind == fits:
				return s.machine, true
			case m == nil && c.willFit(q, s.machine):
				m = s.machine
			}
		}
	}
	return m, false
}

// willFit reports whether the machine takes the part once those are gone that
// are making way for it.
func (c *Cluster) willFit(q *query, m *machine) bool {
	t := c.try()
	defer t.undo()
	for _, s := range m.inOrder() {
		_, by := s.bookings()
		if by != "" && slices.Contains(nodeNames(q.part), by) {
			t.set(s, nil, nil)
		}
	}
	return q.refuses(m).kind == fits
}

// giveWay plans first those for whom the group has made way: what keeps their
// place ends when the group's releases do.
func (p *planner) giveWay(group []*node) {
	for _, n := range group {
		for _, s := range slices.Clone(n.slots) {
			if _, by := s.bookings(); by != "" && s.confirmed() {
				p.comeIn(p.units[by], group)
			}
		}
	}
}

// comeIn plans a unit that others make way for, unless it is placed already.
func (p *planner) comeIn(n *node, instead []*node) {
	if !n.binds() || n.placed() || n.coming || slices.Contains(instead, n) {
		return
	}
	n.coming = true // should they have made way for each other
	n.dirty = false
	p.planBound(n)
	n.coming = false
}

// circle returns the units that replace n and are replaced by it, directly or
// not, n among them, by name; nil if there are none.
func (c *Cluster) circle(n *node) []*node {
	if !c.mayBeReplaced(n) {
		return nil
	}
	var circle []*node
	for _, o := range c.replacedBy(n) {
		if o == n || slices.Contains(c.replacedBy(o), n) {
			circle = append(circle, o)
		}
	}
	slices.SortFunc(circle, byName)
	return circle
}

// mayBeReplaced reports whether n is one that others with Replaces= could form
// a circle with.
func (c *Cluster) mayBeReplaced(n *node) bool { return n.binds() && len(n.wants.replaced) > 0 }

// replacedBy returns the units with Replaces= that n replaces, directly or not.
// n is among them only if there is a circle.
func (c *Cluster) replacedBy(n *node) []*node {
	var found []*node
	seen := make(map[*node]bool)
	for next := []*node{n}; len(next) > 0; next = next[1:] {
		by := next[0]
		for i := range by.wants.replaced {
			c.eachMatch(&by.wants.replaced[i], c.replacers, func(o *node) {
				if o != by && !seen[o] && c.mayBeReplaced(o) {
					seen[o] = true
					found, next = append(found, o), append(next, o)
				}
			})
		}
	}
	return found
}

// touchReplaced has those decided about whom n replaces where it is.
func (c *Cluster) touchReplaced(n *node) {
	if len(n.wants.replaced) == 0 {
		return
	}
	for _, s := range n.slots {
		for _, o := range s.machine.slots {
			if s.order() != "" && n.replaces(o.node) {
				c.touch(o)
			}
		}
	}
	for _, o := range c.circle(n) {
		c.agenda.mark(o)
	}
}

// replacementText says whose place the unit is to take, with those that go
// where it goes; "" if there is none.
func (c *Cluster) replacementText(n *node, group []*node) string {
	parts := c.parts(movers(group))
	part := parts[slices.IndexFunc(parts, func(part []*node) bool { return slices.Contains(part, n) })]
	if !replaceAny(part) {
		return ""
	}
	switch m, ready := c.awaited(part, group); {
	case ready:
		return ""
	case m != nil:
		var leaving []*node
		for _, s := range m.inOrder() {
			if _, by := s.bookings(); by != "" && !s.confirmed() && slices.Contains(nodeNames(part), by) {
				leaving = append(leaving, s.node)
			}
		}
		return waitsFor([]string{m.id}, listed(nodeNames(leaving)))
	}
	m, ways := c.displacement(part, group)
	if m == nil {
		return ""
	}
	var leaving []*node
	for _, w := range ways {
		leaving = append(leaving, w.group...)
	}
	return "about to be placed on " + m.id + ", once it has made " + listed(nodeNames(leaving)) + " go elsewhere"
}

func replaceAny(part []*node) bool {
	return slices.ContainsFunc(part, func(n *node) bool { return len(n.wants.replaced) > 0 })
}
