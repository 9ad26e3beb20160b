package schedule

import (
	"maps"
	"slices"

	"fleet/unit"
)

// family is a template and its instances, as far as anything is known of them.
type family struct {
	template string // app@.service
	members  map[*node]struct{}
	down     int // members that are wanted and not available
	// waiting are members that could move but for MaxUnavailable=.
	waiting map[*node]struct{}
}

// join makes a new node one of its template's family. The template itself is
// no member.
func (c *Cluster) join(n *node) {
	if n.template == "" || n.template == n.name {
		return
	}
	f := c.families[n.template]
	if f == nil {
		f = &family{template: n.template, members: make(map[*node]struct{}), waiting: make(map[*node]struct{})}
		c.families[n.template] = f
	}
	f.members[n] = struct{}{}
	n.family = f
}

// part ends what join began.
func (c *Cluster) part(n *node) {
	f := n.family
	if f == nil {
		return
	}
	delete(f.members, n)
	delete(f.waiting, n)
	if len(f.members) == 0 {
		delete(c.families, n.template)
		delete(c.agenda.families, f)
	}
	n.family = nil
}

// available reports whether the unit is where it should be and, if it is to
// run, neither failed nor still on its way up.
func (n *node) available() bool {
	return slices.ContainsFunc(n.slots, func(s *slot) bool { return s.settled() && s.up() })
}

// up reports whether a settled unit is as its target state asks.
func (s *slot) up() bool {
	if !s.placement().Target.AtLeast(unit.Launched) {
		return true
	}
	return s.state.ActiveState != "failed" && s.state.ActiveState != "activating"
}

// reckon brings the family's count of those that are down to what n is now.
func (c *Cluster) reckon(n *node) {
	f := n.family
	if f == nil {
		return
	}
	down := n.wanted() && !n.global() && !n.available()
	if down == n.down {
		return
	}
	if n.down = down; down {
		f.down++
	} else {
		f.down--
	}
	if _, waits := f.waiting[n]; waits && down {
		c.agenda.mark(n) // it may move now, whatever the others do
	}
	c.agenda.family(f)
}

// maxUnavailable is how many of the family may be down for the engine's sake:
// what the template's file says, or while there is none what n's own says.
func (c *Cluster) maxUnavailable(n *node) int {
	w := n.wants
	if t := c.units[n.template]; t != nil && t.unit != nil && t.readable() {
		w = t.wants
	}
	return max(1, w.MaxUnavailable)
}

// overdrawn returns one of the units by whose template not all of them may be
// taken down now, nil if all may. Those that are down anyway don't count.
func (c *Cluster) overdrawn(group []*node) *node {
	for i, n := range group {
		if n.family == nil || n.down {
			continue
		}
		takes := 1
		for _, o := range group[:i] {
			if o.family == n.family && !o.down {
				takes++
			}
		}
		if n.family.down+takes > c.maxUnavailable(n) {
			return n
		}
	}
	return nil
}

// planFamily decides about those of the family that wait for others of it to
// be available, now that something has changed.
func (p *planner) planFamily(f *family) {
	for _, n := range slices.SortedFunc(maps.Keys(f.waiting), byName) {
		if f.down >= p.maxUnavailable(n) {
			return
		}
		delete(f.waiting, n)
		if n.binds() {
			p.planBound(n)
		}
	}
}
