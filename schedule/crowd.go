package schedule

import "fleet/unit"

// crowd counts who is on a machine and whom they avoid, so that a newcomer is
// checked against names and templates instead of against everyone there.
type crowd struct {
	size      int
	families  map[*family]int // who: instances, by template
	plain     map[string]int  // avoided: by name
	instances map[string]int  // avoided: by template
	globs     map[string]int  // avoided: by any other pattern
}

// enter counts a unit in.
func (c *crowd) enter(n *node) { c.count(n, 1) }

// leave counts a unit out, which must still ask for what it asked when it
// entered.
func (c *crowd) leave(n *node) { c.count(n, -1) }

func (c *crowd) count(n *node, by int) {
	c.size += by
	if n.family != nil {
		addTo(&c.families, n.family, by)
	}
	for _, p := range n.wants.avoids {
		addTo(c.avoided(p.kind), p.key, by)
	}
}

func (c *crowd) avoided(k patternKind) *map[string]int {
	switch k {
	case plain:
		return &c.plain
	case instances:
		return &c.instances
	}
	return &c.globs
}

func addTo[K comparable](counts *map[K]int, key K, by int) {
	if *counts == nil {
		*counts = make(map[K]int)
	}
	if (*counts)[key] += by; (*counts)[key] == 0 {
		delete(*counts, key)
	}
}

// clash reports whether n conflicts, in either direction, with another unit on
// m. What n itself adds to the counts, where it is on m already, is taken off.
func (c *Cluster) clash(n *node, m *machine) bool {
	self := 0
	if n.occupies(m) {
		self = 1
	}
	if m.crowd.size == self {
		return false
	}
	return c.avoidsAny(n, m, self) || avoidedByAny(n, &m.crowd, self)
}

func (c *Cluster) avoidsAny(n *node, m *machine, self int) bool {
	for i := range n.wants.avoids {
		p := &n.wants.avoids[i]
		switch p.kind {
		case plain:
			if o := c.units[p.key]; o != nil && o != n && o.occupies(m) {
				return true
			}
		case instances:
			f := c.families[p.key]
			others := m.crowd.families[f]
			if f != nil && n.family == f {
				others -= self
			}
			if others > 0 {
				return true
			}
		default:
			if anyoneMatches(p, n, m) {
				return true
			}
		}
	}
	return false
}

func anyoneMatches(p *pattern, n *node, m *machine) bool {
	for _, s := range m.slots {
		if s.node != n && s.occupied() && p.matches(s.node.name) {
			return true
		}
	}
	return false
}

func avoidedByAny(n *node, c *crowd, self int) bool {
	if !n.wants.avoidsMe {
		self = 0
	}
	own := func(kind patternKind, key string) int {
		if self == 0 {
			return 0
		}
		for _, p := range n.wants.avoids {
			if p.kind == kind && p.key == key {
				return 1
			}
		}
		return 0
	}
	if c.plain[n.name] > own(plain, n.name) {
		return true
	}
	if n.template != "" && c.instances[n.template] > own(instances, n.template) {
		return true
	}
	for text, count := range c.globs {
		if count > own(glob, text) && unit.Match(text, n.name) {
			return true
		}
	}
	return false
}

// clashes reports whether two units conflict, in either direction.
func clashes(a, b *node) bool {
	return a != b && (a.wants.avoidsUnit(b.name) || b.wants.avoidsUnit(a.name))
}
