package schedule

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"fleet/unit"
)

// The engine keeps the records of a template's instances: name@1 to name@N,
// with the template's target state and file. They are marked Managed; an
// instance whose record isn't is the user's, and left alone.

// isTemplate reports whether the unit is a template. One belongs on no machine
// itself, whatever its target state.
func (n *node) isTemplate() bool { return n.template != "" && n.template == n.name }

// instances returns how many instances the engine keeps of the template; ok is
// false if that isn't known.
func (n *node) instances() (count int, ok bool) {
	switch {
	case n == nil || n.unit == nil:
		return 0, true
	case !n.readable():
		return 0, false
	case n.wants.Instances == nil:
		return 0, true
	}
	return min(n.asked(), nameable(n.name)), true
}

// asked returns how many instances the user asks for of a template that has
// Instances=.
func (n *node) asked() int {
	if s := n.unit.Scaled; s != nil && s.From == *n.wants.Instances {
		return min(max(0, s.To), unit.MaxInstances)
	}
	return *n.wants.Instances
}

// nameable returns how many instances of the template have a name that isn't
// too long.
func nameable(template string) int {
	count := 0
	for digits := unit.MaxNameSize - len(template); digits > 0 && count < unit.MaxInstances; digits-- {
		count = 10*count + 9
	}
	return count
}

// instance returns the name of the template's instance with the number.
func instance(template string, number int) string {
	at := strings.IndexByte(template, '@') + 1
	return template[:at] + strconv.Itoa(number) + template[at:]
}

// number returns the number in an instance's name, 0 if that is none that the
// engine would give.
func (n *node) number() int {
	at := strings.IndexByte(n.template, '@') + 1
	text := n.name[at : len(n.name)-(len(n.template)-at)]
	i, err := strconv.Atoi(text)
	if err != nil || strconv.Itoa(i) != text || i < 0 {
		return 0
	}
	return i
}

// managed reports whether the engine keeps the instance.
func (n *node) managed() bool { return n.unit != nil && n.unit.Managed }

// recount has it looked at which instances a template should have.
func (c *Cluster) recount(f *family) {
	f.changed = true
	c.agenda.family(f)
}

// keepInstances brings the records of the template's instances to what the
// template says: at once, save that a new file goes to one after the other.
func (p *planner) keepInstances(f *family) {
	if f.changed {
		f.changed = false
		p.countInstances(f)
	}
	p.roll(f)
}

func (p *planner) countInstances(f *family) {
	f.behind, f.creating = nil, 0
	count, ok := f.head.instances()
	if !ok || count == 0 && f.managed == 0 {
		return
	}
	for _, n := range f.surplus(count) {
		if !p.promised(key{kind: unitKind, unit: n.name}) {
			p.keep(f, n, nil, fmt.Sprintf("%s is not among the %d instances of %s", n.name, count, f.template))
		}
	}
	for i := 1; i <= count; i++ {
		name, t := instance(f.template, i), f.head.unit
		n := p.units[name]
		next := unit.Unit{Name: name, Hash: t.Hash, DesiredState: t.DesiredState, Managed: true}
		f.creating += tallied(n == nil || n.unit == nil)
		switch {
		case p.promised(key{kind: unitKind, unit: name}):
		case n == nil || n.unit == nil:
			p.keep(f, n, &next, fmt.Sprintf("%s is one of the %d instances of %s", name, count, f.template))
		case !n.unit.Managed:
		default:
			if n.unit.Hash != t.Hash {
				f.behind = append(f.behind, n)
			}
			if n.unit.DesiredState != t.DesiredState {
				next.Hash = n.unit.Hash
				p.keep(f, n, &next, name+" follows "+f.template+": "+string(t.DesiredState))
			}
		}
	}
}

// surplus returns the managed instances beyond so many, highest numbers first.
func (f *family) surplus(count int) []*node {
	var surplus []*node
	for n := range f.members {
		if n.managed() && (n.number() < 1 || n.number() > count) {
			surplus = append(surplus, n)
		}
	}
	slices.SortFunc(surplus, func(a, b *node) int {
		return cmp.Or(cmp.Compare(b.number(), a.number()), strings.Compare(a.name, b.name))
	})
	return surplus
}

// roll gives the template's new file to instances that have an earlier one, as
// long as no more are down than may be. One that is down anyway costs nothing.
func (p *planner) roll(f *family) {
	if len(f.behind) == 0 {
		return
	}
	missing := f.creating
	for n := range f.members {
		missing += tallied(f.late(n))
	}
	for _, n := range f.behind {
		k := key{kind: unitKind, unit: n.name}
		if !n.managed() || p.promised(k) || n.unit.Hash == f.head.unit.Hash {
			continue
		}
		if n.serves() && f.down+f.turning+missing >= p.maxUnavailable(n) {
			continue
		}
		next := *n.unit
		next.Hash, next.DesiredState = f.head.unit.Hash, f.head.unit.DesiredState
		p.keep(f, n, &next, n.name+" follows "+f.template+": its file changed")
	}
}

// late reports whether the instance should have the template's file by now, and
// goes on with an earlier one, as where the new one doesn't fit.
func (f *family) late(n *node) bool {
	return n.managed() && n.unit.Hash == f.head.unit.Hash && n.serves() && n.outdated()
}

// serves reports whether taking the unit down would take something away.
func (n *node) serves() bool { return n.wanted() && !n.down && !n.turning }

// keep writes an instance's record, or with nil deletes it, if the template is
// as it was.
func (p *planner) keep(f *family, n *node, next *unit.Unit, reason string) {
	ch := Change{Unit: next, Deleted: next == nil}
	if next == nil {
		ch.Unit = &unit.Unit{Name: n.name}
	}
	if n != nil {
		ch.Revision = n.revision
	}
	d := Decision{Others: []Change{ch}, Units: []UnitAt{{Name: f.template}}, Reason: reason}
	if f.head != nil {
		d.Units[0].Revision = f.head.revision
	}
	p.make(d)
	if n != nil {
		p.reckon(n)
	}
}

// explainTemplate says how many instances are kept of a template, and how far
// they have its file.
func (c *Cluster) explainTemplate(n *node) string {
	switch {
	case n.unit == nil:
		return n.name + " is unknown"
	case !n.readable():
		return n.wants.err.Error()
	case n.wants.Instances == nil:
		return "a template without Instances=: its instances are the user's"
	}
	count, _ := n.instances()
	text := fmt.Sprintf("%s kept (Instances=%d)", counting(count, "instance is", "instances are"), *n.wants.Instances)
	if n.asked() != *n.wants.Instances {
		text = fmt.Sprintf("%s kept, scaled from Instances=%d", counting(count, "instance is", "instances are"), *n.wants.Instances)
	}
	if asked := n.asked(); asked > count {
		text += fmt.Sprintf("; of %d, the names of the others would be longer than %d bytes", asked, unit.MaxNameSize)
	}
	if own := c.ownInstances(n, count); len(own) > 0 {
		text += "; " + listed(own) + " " + isAre(len(own)) + " not among them: made by hand"
	}
	if rolling := c.rollText(n, count); rolling != "" {
		text += "; " + rolling
	}
	return text
}

func counting(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// ownInstances names those instances within the count that a user has made.
func (c *Cluster) ownInstances(t *node, count int) []string {
	var own []string
	for _, n := range t.family.sorted() {
		if i := n.number(); n.unit != nil && !n.unit.Managed && i >= 1 && i <= count {
			own = append(own, n.name)
		}
	}
	return own
}

func (f *family) sorted() []*node {
	return slices.SortedFunc(maps.Keys(f.members), func(a, b *node) int {
		return cmp.Or(cmp.Compare(a.number(), b.number()), strings.Compare(a.name, b.name))
	})
}

// rollText says how far a roll has got and what it waits for, "" without one.
func (c *Cluster) rollText(t *node, count int) string {
	var kept, behind int
	var waits []string
	for _, n := range t.family.sorted() {
		if !n.managed() {
			continue
		}
		kept++
		if n.unit.Hash != t.unit.Hash {
			behind++
		}
		if n.down || n.turning || n.family.late(n) {
			waits = append(waits, n.name+", which "+n.downText())
		}
	}
	if behind == 0 {
		return ""
	}
	text := fmt.Sprintf("%d of %d have the new file", kept-behind, kept)
	if len(waits) > 0 {
		text += "; waits for " + strings.Join(waits, " and ")
	}
	return text
}

// downText says why an instance doesn't count as available.
func (n *node) downText() string {
	s := n.running()
	switch {
	case s == nil || s.machine.lost:
		return "has no machine"
	case !s.machine.facts.here:
		return "is on " + s.machine.id + ", which is missing"
	case n.family.late(n):
		return "goes on with its earlier file on " + s.machine.id
	case s.state != nil && s.state.ActiveState == "failed":
		return "is failed on " + s.machine.id
	}
	return "is not up yet on " + s.machine.id
}
