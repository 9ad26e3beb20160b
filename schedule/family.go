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
	head     *node // the template, nil while nothing is known of it
	down     int   // members that are wanted and not available
	turning  int   // members that are available and about to be given another file
	// changed says that the records of the template or its instances have, and
	// behind are those that have an earlier file than the template.
	changed  bool
	behind   []*node
	creating int               // instances that have no record yet
	managed  int               // members that the engine keeps
	tallies  map[string]*tally // by the metadata key that members are spread over
	// waiting are members that could move but for MaxUnavailable=.
	waiting map[*node]struct{}
}

// join makes a new node one of its template's family, or its head.
func (c *Cluster) join(n *node) {
	if n.template == "" {
		return
	}
	f := c.families[n.template]
	if f == nil {
		f = &family{template: n.template, members: make(map[*node]struct{}), waiting: make(map[*node]struct{})}
		c.families[n.template] = f
	}
	n.family = f
	if n.isTemplate() {
		f.head = n
		return
	}
	f.members[n] = struct{}{}
}

// part ends what join began.
func (c *Cluster) part(n *node) {
	f := n.family
	if f == nil {
		return
	}
	delete(f.members, n)
	delete(f.waiting, n)
	if f.head == n {
		f.head = nil
	}
	if len(f.members) == 0 && f.head == nil {
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
	if f == nil || n.isTemplate() {
		return
	}
	counts := n.wanted() && !n.pinned()
	down := counts && !n.available()
	turning := counts && !down && (c.promised(key{kind: unitKind, unit: n.name}) || n.untold && n.outdated())
	if down == n.down && turning == n.turning {
		return
	}
	f.down += tallied(down) - tallied(n.down)
	f.turning += tallied(turning) - tallied(n.turning)
	n.down, n.turning = down, turning
	if _, waits := f.waiting[n]; waits && down {
		c.agenda.mark(n) // it may move now, whatever the others do
	}
	c.agenda.family(f)
}

func tallied(is bool) int {
	if is {
		return 1
	}
	return 0
}

// outdated reports whether the unit's placement has another file or target
// state than its record.
func (n *node) outdated() bool {
	s := n.running()
	if s == nil {
		return false
	}
	p := s.placement()
	return p.Hash != n.unit.Hash || p.Target != n.unit.DesiredState
}

// told notes that the unit's placements have been brought to its record, as
// far as can be.
func (c *Cluster) told(n *node) {
	n.untold = false
	c.reckon(n)
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
		takes := 0
		for _, o := range group[:i+1] {
			if o.family == n.family && !o.down && !o.turning {
				takes++
			}
		}
		if n.family.down+n.family.turning+takes > c.maxUnavailable(n) {
			return n
		}
	}
	return nil
}

// planFamily decides about a template's instances as a whole.
func (p *planner) planFamily(f *family) {
	p.planWaiting(f)
	p.keepInstances(f)
}

// planWaiting decides about those of the family that wait for others of it to
// be available, now that something has changed.
func (p *planner) planWaiting(f *family) {
	for _, n := range slices.SortedFunc(maps.Keys(f.waiting), p.inTurn) {
		if f.down+f.turning >= p.maxUnavailable(n) {
			return
		}
		delete(f.waiting, n)
		if n.binds() {
			p.planBound(n)
		}
	}
}
