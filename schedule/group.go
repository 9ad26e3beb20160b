package schedule

import (
	"fmt"
	"slices"
	"strings"
)

// planBound decides about a unit that is not global, and about all that are
// bound to it by MachineOf, directly or not.
func (p *planner) planBound(n *node) {
	if len(n.wants.MachineOf) == 0 && len(n.follows) == 0 && p.circle(n) == nil {
		p.planGroup([]*node{n})
		return
	}
	all := p.bound(n)
	broken := p.broken(all)
	for _, x := range all {
		x.dirty = false
		if _, ok := broken[x]; !ok {
			continue
		}
		p.agenda.unwait(x)
		if x.inFlight() || p.tidy(x) {
			continue
		}
		if p.bury(x, nil); !x.inFlight() {
			p.update(x, nil)
			p.told(x)
		}
	}
	for _, group := range p.parts(whole(all, broken)) {
		p.planGroup(group)
	}
}

// groupOf returns the group that n is in, and why it is in none.
func (c *Cluster) groupOf(n *node) (group []*node, broken string) {
	all := c.bound(n)
	why := c.broken(all)
	if reason, ok := why[n]; ok {
		return nil, reason
	}
	for _, group := range c.parts(whole(all, why)) {
		if slices.Contains(group, n) {
			return group, ""
		}
	}
	return []*node{n}, ""
}

// binds reports whether MachineOf can bind the unit to others: those that have
// one machine.
func (n *node) binds() bool { return n.wanted() && n.readable() && !n.pinned() }

// bound returns n and every unit that MachineOf binds to it, by name.
func (c *Cluster) bound(n *node) []*node {
	return c.reach(n, func(x *node) bool { return x.binds() })
}

// reach returns all units that lead to n through MachineOf, either way, and
// are among those that count, by name.
func (c *Cluster) reach(n *node, counts func(*node) bool) []*node {
	seen := map[*node]bool{n: true}
	found := []*node{n}
	add := func(x *node) {
		if !seen[x] && counts(x) {
			seen[x] = true
			found = append(found, x)
		}
	}
	for i := 0; i < len(found); i++ {
		for _, name := range found[i].wants.MachineOf {
			add(c.units[name])
		}
		for f := range found[i].follows {
			add(f)
		}
	}
	slices.SortFunc(found, byName)
	return found
}

func byName(a, b *node) int { return strings.Compare(a.name, b.name) }

// parts splits units into those that are bound to each other within them.
func (c *Cluster) parts(units []*node) [][]*node {
	switch len(units) {
	case 0:
		return nil
	case 1:
		return [][]*node{units}
	}
	left := make(map[*node]bool, len(units))
	for _, n := range units {
		left[n] = true
	}
	var parts [][]*node
	for _, n := range units {
		if !left[n] {
			continue
		}
		part := c.reach(n, func(x *node) bool { return left[x] })
		for _, x := range part {
			delete(left, x)
		}
		parts = append(parts, part)
	}
	return parts
}

// whole returns the units that are not broken.
func whole(units []*node, broken map[*node]string) []*node {
	if len(broken) == 0 {
		return units
	}
	var ok []*node
	for _, n := range units {
		if _, is := broken[n]; !is {
			ok = append(ok, n)
		}
	}
	return ok
}

// broken tells which of the units, bound to each other, can't be placed
// wherever it is, and why.
func (c *Cluster) broken(units []*node) map[*node]string {
	resolved := make(map[*node]bool, len(units))
	for progress := true; progress; {
		progress = false
		for _, n := range units {
			if !resolved[n] && c.resolves(n, resolved) {
				resolved[n], progress = true, true
			}
		}
	}
	crowded := c.crowded(resolvedOf(units, resolved))
	if len(resolved) == len(units) && len(crowded) == 0 {
		return nil
	}
	why := make(map[*node]string)
	for n := range crowded {
		c.unresolve(n, resolved)
		why[n] = errCrowd.Error()
	}
	for _, n := range units {
		if _, told := why[n]; !told && !resolved[n] {
			why[n] = c.whyBroken(n, resolved)
		}
	}
	return why
}

func resolvedOf(units []*node, resolved map[*node]bool) []*node {
	if len(units) == len(resolved) {
		return units
	}
	return slices.DeleteFunc(slices.Clone(units), func(n *node) bool { return !resolved[n] })
}

// unresolve takes back that n can be placed, and whoever follows it.
func (c *Cluster) unresolve(n *node, resolved map[*node]bool) {
	if !resolved[n] {
		return
	}
	delete(resolved, n)
	for f := range n.follows {
		c.unresolve(f, resolved)
	}
}

// resolves reports whether every unit that n follows is resolved, or global,
// and nothing else is wrong with n.
func (c *Cluster) resolves(n *node, resolved map[*node]bool) bool {
	if c.circle(n) != nil {
		return false
	}
	for _, name := range n.wants.MachineOf {
		if t := c.units[name]; !resolved[t] && !(t.pinned() && t.wanted()) {
			return false
		}
	}
	return true
}

func (c *Cluster) whyBroken(n *node, resolved map[*node]bool) string {
	if cycle := c.cycle(n); cycle != nil {
		return cycleText(nodeNames(cycle))
	}
	if circle := c.circle(n); circle != nil {
		return replacesText(nodeNames(circle))
	}
	for _, name := range n.wants.MachineOf {
		t := c.units[name]
		switch {
		case resolved[t], t.pinned() && t.wanted():
		case t.unit == nil:
			return fmt.Sprintf("MachineOf=%s, which is unknown", name)
		case !t.wanted():
			return fmt.Sprintf("MachineOf=%s, which is not loaded", name)
		case !t.readable():
			return fmt.Sprintf("MachineOf=%s, which can't be placed: %v", name, t.wants.err)
		}
	}
	for _, name := range n.wants.MachineOf {
		if t := c.units[name]; t.binds() && !resolved[t] {
			return fmt.Sprintf("MachineOf=%s, which can't be placed itself", name)
		}
	}
	return ""
}

// cycle returns the units that n follows and that follow n in turn, n among
// them, by name; nil if there are none.
func (c *Cluster) cycle(n *node) []*node {
	var cycle []*node
	for _, t := range c.followed(n) {
		if t == n || slices.Contains(c.followed(t), n) {
			cycle = append(cycle, t)
		}
	}
	slices.SortFunc(cycle, byName)
	return cycle
}

// followed returns the units that n follows, directly or not. n is among them
// only if it follows itself.
func (c *Cluster) followed(n *node) []*node {
	var found []*node
	seen := make(map[*node]bool)
	for next := []*node{n}; len(next) > 0; next = next[1:] {
		for _, name := range next[0].wants.MachineOf {
			if t := c.units[name]; t.binds() && !seen[t] {
				seen[t] = true
				found, next = append(found, t), append(next, t)
			}
		}
	}
	return found
}

func cycleText(names []string) string {
	switch len(names) {
	case 1:
		return names[0] + " asks for its own machine (MachineOf cycle)"
	case 2:
		return listed(names) + " each ask for the other's machine (MachineOf cycle)"
	default:
		return listed(names) + " ask for each other's machine (MachineOf cycle)"
	}
}

func nodeNames(units []*node) []string {
	names := make([]string, len(units))
	for i, n := range units {
		names[i] = n.name
	}
	return names
}

// listed joins names as in a sentence: "a, b and c".
func listed(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
