package schedule

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Explanation says why a unit is where it is, or why it is nowhere.
type Explanation struct {
	Unit    string   `json:"unit"`
	Placed  []string `json:"placed,omitempty"`  // the machines that it is to run on
	Pending bool     `json:"pending,omitempty"` // it belongs on a machine and has none, or a lost one
	// Fits are the machines that would take it now, the one that Plan takes
	// first.
	Fits []string `json:"fits,omitempty"`
	// Reasons say why other machines don't, those with most machines first.
	Reasons []Reason `json:"reasons,omitempty"`
	Summary string   `json:"summary"` // all of it in a sentence

	// By ExplainFully alone:
	Best []Score  `json:"best,omitempty"` // the best machines that fit, and the one that it is on
	With []string `json:"with,omitempty"` // the units that MachineOf binds to it
	// Moving is where it is about to go, once it has stopped where it is.
	Moving *Move `json:"moving,omitempty"`
}

// Reason says what is wrong with some machines.
type Reason struct {
	Text     string   `json:"text"` // after their number: "lack metadata region=eu"
	Machines []string `json:"machines"`
}

// String returns the summary.
func (e Explanation) String() string { return e.Summary }

// Explain says why a unit is where it is, or why it is nowhere, as of the last
// Plan. It looks at every machine.
func (c *Cluster) Explain(name string) Explanation {
	e := Explanation{Unit: name}
	n := c.units[name]
	if n == nil {
		e.Summary = name + " is unknown"
		return e
	}
	for _, s := range n.slots {
		if s.order() == Run {
			e.Placed = append(e.Placed, s.machine.id)
		}
	}
	switch {
	case n.isTemplate():
		e.Summary = c.explainTemplate(n)
	case !n.wanted():
		e.Summary = n.explainUnwanted()
	case !n.readable():
		e.unplaced(n.wants.err.Error())
	case n.global():
		c.explainGlobal(&e, n)
	case n.finished():
		e.Summary = n.explainFinished()
	default:
		c.explainOne(&e, n)
	}
	return e
}

// unplaced says why the unit can't be placed by anyone.
func (e *Explanation) unplaced(why string) {
	e.Pending = len(e.Placed) == 0
	e.Summary = why
	if !e.Pending {
		e.Summary = "placed on " + listed(e.Placed) + ", but " + why
	}
}

func (n *node) explainUnwanted() string {
	var ids []string
	for _, s := range n.slots {
		if s.order() != "" || s.machine.facts.here && s.reported() {
			ids = append(ids, s.machine.id)
		}
	}
	switch {
	case len(ids) > 0:
		return waitsFor(ids, "it")
	case n.unit == nil:
		return n.name + " is unknown"
	}
	return "inactive: it belongs on no machine"
}

func waitsFor(machines []string, unit string) string {
	return "waits for " + listed(machines) + " to confirm that " + unit + " has stopped there"
}

func (c *Cluster) explainGlobal(e *Explanation, n *node) {
	var t table
	for _, m := range c.everyMachine() {
		s := n.on(m)
		a := ask{c: c, n: n, m: m}
		switch {
		case s != nil && s.order() == Run:
		case s != nil && s.order() == Release:
			t.refused(m, refusal{kind: stopping})
		default:
			t.add(m, a.check(taking))
		}
	}
	e.Fits, e.Reasons = t.fits, t.reasons()
	e.Pending = len(e.Placed) == 0
	if e.Pending {
		e.Summary = t.sentence()
		return
	}
	e.Summary = "placed on " + listed(e.Placed)
	if len(e.Placed) > 3 {
		e.Summary = fmt.Sprintf("placed on %d machines", len(e.Placed))
	}
	if len(e.Reasons) > 0 {
		e.Summary += "; of the others " + counted(e.Reasons)
	}
}

func (c *Cluster) explainOne(e *Explanation, n *node) {
	group, broken := c.groupOf(n)
	switch {
	case broken != "":
		e.unplaced(broken)
	case n.placed():
		c.explainPlaced(e, n, group)
	default:
		c.explainPending(e, n, group)
	}
}

func (c *Cluster) explainPlaced(e *Explanation, n *node, group []*node) {
	s := n.running()
	e.Summary = "placed on " + s.machine.id
	if !s.machine.facts.here {
		e.Summary += ", which " + refusal{kind: missing}.phrase(1)
		return
	}
	why, misfit, sure := c.misfit(group)
	if misfit == nil || !sure {
		if text := c.explainFailing(e, n, group); text != "" {
			e.Summary += text
			return
		}
		if r := s.placement().Reason; r != "" {
			e.Summary += ": " + r
		}
		return
	}
	if misfit != n {
		why.whom = misfit.name
	}
	e.Summary += fmt.Sprintf(", but %s %s", misfit.running().machine.id, why.phrase(1))
	if o := c.overdrawn(group); why.kind == draining && o != nil {
		e.Summary += "; " + c.overdrawnText(n, o)
		return
	}
	t := c.tabulate(n, &query{c: c, part: group, group: group, free: true})
	e.Fits, e.Reasons = t.fits, t.reasons()
	e.Summary += "; " + t.sentence()
}

// overdrawnText says why n has to stay for now: it, or o which goes with it,
// is one too many of a template's instances.
func (c *Cluster) overdrawnText(n, o *node) string {
	whose := ""
	if o != n {
		whose = " for " + o.name
	}
	text := fmt.Sprintf("it waits%s, since %s has MaxUnavailable=%d", whose, o.template, c.maxUnavailable(o))
	var down []*node
	for x := range o.family.members {
		if x.down {
			down = append(down, x)
		}
	}
	if len(down) == 0 {
		return text
	}
	slices.SortFunc(down, byName)
	is := " is"
	if len(down) > 1 {
		is = " are"
	}
	names := nodeNames(down)
	if more := len(names) - 3; more > 0 {
		names = append(names[:3], fmt.Sprintf("%d more", more))
	}
	return text + " and " + listed(names) + is + " not available"
}

func (c *Cluster) explainPending(e *Explanation, n *node, group []*node) {
	e.Pending = true
	q := c.queryFor(n, group)
	t := c.tabulate(n, q)
	e.Fits, e.Reasons = t.fits, t.reasons()
	e.Summary = t.sentence()
	if wait := waitText(n, q.part); wait != "" && len(e.Fits) == 0 {
		e.Summary = wait
	}
	if text := c.replacementText(n, group); text != "" {
		e.Fits, e.Summary = nil, text
	}
	if s := n.running(); s != nil {
		e.Summary = onLost(s.machine.id) + e.Summary
	}
}

func onLost(machine string) string { return "placed on " + machine + ", which is lost; " }

// queryFor returns how Plan looks for a machine for a unit that has none.
func (c *Cluster) queryFor(n *node, group []*node) *query {
	has := func(part []*node) bool { return slices.Contains(part, n) }
	parts := c.parts(movers(group))
	whole := parts[slices.IndexFunc(parts, has)]
	q := &query{c: c, part: whole, group: group}
	if _, from := c.dislodged(whole, group); from != nil || q.best() != nil {
		return q
	}
	for _, part := range c.smaller(whole) {
		if !has(part) {
			continue
		}
		if q = (&query{c: c, part: part, group: group}); q.best() != nil {
			return q
		}
	}
	return q
}

// waitText says what the units wait for other than a machine that fits.
func waitText(n *node, part []*node) string {
	for _, o := range part {
		whom := o.name
		if o == n {
			whom = "it"
		}
		for _, s := range o.slots {
			switch {
			case !s.ties():
			case s.order() == Release:
				return waitsFor([]string{s.machine.id}, whom)
			case !s.machine.facts.here:
				return fmt.Sprintf("waits for %s, which is missing and may still have %s", s.machine.id, whom)
			}
		}
	}
	return ""
}

// everyMachine returns the machines, in the order of their IDs.
func (c *Cluster) everyMachine() []*machine {
	var all []*machine
	for _, id := range sorted(&c.machineIDs, c.machines) {
		if m := c.machines[id]; m.record != nil || m.presence != nil {
			all = append(all, m)
		}
	}
	return all
}

// tabulate asks every machine, those first that Plan asks first.
func (c *Cluster) tabulate(n *node, q *query) *table {
	first, _ := q.near()
	all := c.everyMachine()
	scores := make(map[*machine]int64, len(all))
	for _, m := range all {
		scores[m] = q.score(m)
	}
	slices.SortFunc(all, func(a, b *machine) int {
		return cmp.Or(cmp.Compare(scores[b], scores[a]), strings.Compare(a.id, b.id))
	})
	t := &table{}
	for _, m := range first {
		t.add(m, about(n, q.refuses(m)))
	}
	for _, m := range all {
		if !slices.Contains(first, m) {
			t.add(m, about(n, q.refuses(m)))
		}
	}
	return t
}

// table collects what machines answer.
type table struct {
	asked int
	fits  []string
	no    map[refusal][]string
}

// about leaves the unit's name out of a refusal that is about the unit itself.
func about(n *node, r refusal) refusal {
	if r.whom == n.name {
		r.whom = ""
	}
	return r
}

func (t *table) add(m *machine, r refusal) {
	if r.kind != fits {
		t.refused(m, r)
		return
	}
	t.asked++
	t.fits = append(t.fits, m.id)
}

func (t *table) refused(m *machine, r refusal) {
	t.asked++
	if t.no == nil {
		t.no = make(map[refusal][]string)
	}
	t.no[r] = append(t.no[r], m.id)
}

func (t *table) reasons() []Reason {
	var reasons []Reason
	for r, machines := range t.no {
		slices.Sort(machines)
		reasons = append(reasons, Reason{r.phrase(len(machines)), machines})
	}
	slices.SortFunc(reasons, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(len(b.Machines), len(a.Machines)), strings.Compare(a.Text, b.Text))
	})
	return reasons
}

// sentence sums the table up.
func (t *table) sentence() string {
	switch {
	case t.asked == 0:
		return "no machine is there"
	case len(t.fits) == 1:
		return "about to be placed: " + t.fits[0] + " fits"
	case len(t.fits) > 1:
		return fmt.Sprintf("about to be placed: %d machines fit, %s best", len(t.fits), t.fits[0])
	}
	return "no machine fits: " + counted(t.reasons())
}

func counted(reasons []Reason) string {
	parts := make([]string, len(reasons))
	for i, r := range reasons {
		parts[i] = strconv.Itoa(len(r.Machines)) + " " + r.Text
	}
	return strings.Join(parts, ", ")
}
