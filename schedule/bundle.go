package schedule

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"fleet/unit"
)

// maxGroup is how many units MachineOf can bind together. A group is moved in
// one transaction, two placements and a unit's record of each, which stores
// take only so much of; a third of the room is left for what else is in it.
const maxGroup = 32

// errCrowd says that a unit would be one too many in its group.
var errCrowd = fmt.Errorf("MachineOf would bind more than %d units together", maxGroup)

// bundles puts units together that MachineOf binds, as long as they don't get
// too many.
type bundles struct {
	c       *Cluster
	of      map[*node][]*node // all that the unit is with; nil if it can't be
	crowded map[*node]bool    // those with whom they would be too many
}

// crowded returns those of the units, none of them broken, by whom a group
// would get too large. Whoever is placed comes first and then the older, so
// that a newcomer changes nothing for the others.
func (c *Cluster) crowded(units []*node) map[*node]bool {
	if len(units) <= maxGroup {
		return nil
	}
	b := bundles{c: c, of: make(map[*node][]*node), crowded: make(map[*node]bool)}
	units = slices.Clone(units)
	slices.SortFunc(units, func(x, y *node) int {
		return cmp.Or(tallied(y.placed())-tallied(x.placed()), cmp.Compare(x.revision, y.revision), strings.Compare(x.name, y.name))
	})
	for _, n := range units {
		b.add(n)
	}
	return b.crowded
}

// add puts the unit to those that it follows, and reports whether it could.
func (b *bundles) add(n *node) bool {
	if all, seen := b.of[n]; seen {
		return all != nil
	}
	b.of[n] = nil
	all := []*node{n}
	for _, name := range n.wants.MachineOf {
		t := b.c.units[name]
		switch {
		case t.pinned() || slices.Contains(all, t):
		case !b.add(t):
			return false
		case !slices.Contains(all, t):
			all = append(all, b.of[t]...)
		}
	}
	if len(all) > maxGroup {
		b.crowded[n] = true
		return false
	}
	for _, x := range all {
		b.of[x] = all
	}
	return true
}

// AdmitScale tells why the template could not be kept at so many instances, as
// Admit does for a file.
func AdmitScale(c *Cluster, template string, count int) error {
	f := c.File(template)
	if f == nil {
		return errNoFile
	}
	a, err := newAdmission(template, f)
	if err != nil {
		return err
	}
	a.c = c
	return a.group(count)
}

// kept is at how many instances the file has its template kept, for all that is
// known of scaling it.
func (a *admission) kept() int {
	r, err := a.file.Requirements(a.template)
	if a.template == "" || err != nil || r.Instances == nil {
		return 0
	}
	if u, ok := a.c.Unit(a.template); ok {
		return u.Scaled.Count(*r.Instances)
	}
	return *r.Instances
}

// group refuses a unit that MachineOf would bind to too many others, wanted or
// not; with a template also those of its instances that the engine would keep.
func (a *admission) group(count int) error {
	mine := a.changed(count)
	bound := func(name string) (unit.Requirements, bool) {
		if r, ok := mine[name]; ok {
			return r, !r.Global
		}
		r, known := a.asks(name)
		return r, !known || !r.Global
	}
	found, seen := []string{a.name}, map[string]bool{a.name: true}
	for i := 0; i < len(found); i++ {
		r, binds := bound(found[i])
		if !binds {
			continue
		}
		next := slices.Clone(r.MachineOf)
		if n := a.c.units[found[i]]; n != nil {
			for f := range n.follows {
				if _, changes := mine[f.name]; !changes && !f.isTemplate() {
					next = append(next, f.name)
				}
			}
		}
		for name, r := range mine {
			if slices.Contains(r.MachineOf, found[i]) {
				next = append(next, name)
			}
		}
		for _, name := range next {
			if _, binds := bound(name); binds && !seen[name] {
				seen[name] = true
				found = append(found, name)
			}
		}
		if len(found) > maxGroup {
			return errCrowd
		}
	}
	return nil
}

// changed returns what the units ask for that would have the file: the one in
// question, or with a template as many of its instances as matter.
func (a *admission) changed(count int) map[string]unit.Requirements {
	mine := make(map[string]unit.Requirements)
	add := func(name string) {
		if r, err := a.file.Requirements(name); err == nil {
			mine[name] = r
		}
	}
	add(a.name)
	for i := range min(count, maxGroup+1) {
		name := instance(a.template, i+1)
		if u, known := a.c.Unit(name); !known || u.Managed {
			add(name)
		}
	}
	return mine
}
