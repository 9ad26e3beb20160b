package schedule

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// agenda is what the next Plan has to look at.
type agenda struct {
	nodes []*node // those with dirty set
	pairs map[task]struct{}
	// waiting units are not where they should be, and nothing can be done until
	// a machine changes or a conflict ends.
	waiting map[*node]struct{}
	// blocked are those of them with Replaces=: anything that helps those that
	// are in their way helps them.
	blocked map[*node]struct{}
	// freed are machines where less is reserved since the last Plan.
	freed map[*machine]struct{}
	// uneven are the counts that have changed since; nil among them says that
	// machines have.
	uneven map[*tally]struct{}
	// families are those of which a member has gone down or come up.
	families map[*family]struct{}
	// machines are those that have gone, come back or are to be forgotten.
	machines map[*machine]struct{}
	quiet    bool // nothing is noted: the model is changed and changed back
}

// task is a unit to decide about: everywhere, or on one machine.
type task struct {
	node    *node
	machine *machine

	// Where it stands in the order, once it is taken.
	priority int
	revision int64
}

func newAgenda() agenda {
	return agenda{
		pairs:    make(map[task]struct{}),
		waiting:  make(map[*node]struct{}),
		blocked:  make(map[*node]struct{}),
		freed:    make(map[*machine]struct{}),
		uneven:   make(map[*tally]struct{}),
		families: make(map[*family]struct{}),
		machines: make(map[*machine]struct{}),
	}
}

// mark has the unit decided about.
func (t *agenda) mark(n *node) {
	if !n.dirty && !t.quiet {
		n.dirty = true
		t.nodes = append(t.nodes, n)
	}
}

// pair has the unit decided about on one machine.
func (t *agenda) pair(n *node, m *machine) {
	if !t.quiet {
		t.pairs[task{node: n, machine: m}] = struct{}{}
	}
}

// family has those of a template decided about that wait for each other.
func (t *agenda) family(f *family) {
	if !t.quiet {
		t.families[f] = struct{}{}
	}
}

// machine has a machine itself decided about.
func (t *agenda) machine(m *machine) { t.machines[m] = struct{}{} }

// free has those decided about who wait for room.
func (t *agenda) free(m *machine) {
	if !t.quiet {
		t.freed[m] = struct{}{}
	}
}

// even has those decided about who wait for a count to change, or for any.
func (t *agenda) even(count *tally) {
	if !t.quiet {
		t.uneven[count] = struct{}{}
	}
}

// wait has the unit decided about when something is better than it was.
func (t *agenda) wait(n *node) {
	t.waiting[n] = struct{}{}
	if len(n.wants.replaced) > 0 {
		t.blocked[n] = struct{}{}
	}
}

// unwait ends what wait began.
func (t *agenda) unwait(n *node) {
	delete(t.waiting, n)
	delete(t.blocked, n)
}

// retry has those decided about that others may be in the way of.
func (t *agenda) retry() {
	for n := range t.blocked {
		t.mark(n)
	}
}

func (t *agenda) forget(n *node) {
	n.dirty = false
	t.unwait(n)
}

// take returns all there is to do, highest priority first, then oldest first,
// and forgets it, save that a unit stays dirty until its turn. The order
// depends on nothing else.
func (c *Cluster) take() []task {
	t := &c.agenda
	tasks := make([]task, 0, len(t.nodes)+len(t.pairs))
	for _, n := range t.nodes {
		tasks = append(tasks, task{node: n})
	}
	for p := range t.pairs {
		tasks = append(tasks, p)
	}
	t.nodes = nil
	clear(t.pairs)
	for i := range tasks {
		n := tasks[i].node
		tasks[i].priority, tasks[i].revision = c.priority(n), n.revision
	}
	slices.SortFunc(tasks, func(a, b task) int {
		switch {
		case a.priority != b.priority:
			return cmp.Compare(b.priority, a.priority)
		case a.revision != b.revision:
			return cmp.Compare(a.revision, b.revision)
		}
		return cmp.Or(strings.Compare(a.node.name, b.node.name), strings.Compare(a.machineID(), b.machineID()))
	})
	return tasks
}

// priority is the unit's, or the highest of those that it is placed with.
func (c *Cluster) priority(n *node) int {
	most := n.wants.Priority
	if n.binds() && len(n.wants.MachineOf)+len(n.follows) > 0 {
		for _, o := range c.bound(n) {
			most = max(most, o.wants.Priority)
		}
	}
	return most
}

// inTurn compares units as take orders them.
func (c *Cluster) inTurn(a, b *node) int {
	return cmp.Or(cmp.Compare(c.priority(b), c.priority(a)), cmp.Compare(a.revision, b.revision), byName(a, b))
}

// takeFamilies is take for what is to be done once each unit has had its turn.
func (t *agenda) takeFamilies() []*family {
	families := slices.SortedFunc(maps.Keys(t.families), func(a, b *family) int {
		return strings.Compare(a.template, b.template)
	})
	clear(t.families)
	return families
}

// takeMachines is take for the machines themselves.
func (t *agenda) takeMachines() []*machine {
	machines := slices.SortedFunc(maps.Keys(t.machines), func(a, b *machine) int { return strings.Compare(a.id, b.id) })
	clear(t.machines)
	return machines
}

func (t task) machineID() string {
	if t.machine == nil {
		return ""
	}
	return t.machine.id
}

// wake has those waiting units decided about whom it may help that something
// was freed or that instances went or came, and reports whether there is
// anything to decide.
func (c *Cluster) wake() bool {
	t := &c.agenda
	if len(t.nodes)+len(t.pairs)+len(t.families)+len(t.freed)+len(t.uneven) > 0 {
		t.retry()
	}
	c.wakeForRoom()
	c.wakeForEvenness()
	return len(t.nodes)+len(t.pairs)+len(t.families)+len(t.machines) > 0
}

func (c *Cluster) wakeForRoom() {
	t := &c.agenda
	if len(t.freed) == 0 {
		return
	}
	var most amounts
	for m := range t.freed {
		most = most.most(m.free())
	}
	for n := range t.waiting {
		// What it has already, it can only grow by the rest.
		if more := n.wants.reserves(); more != (amounts{}) && (len(n.slots) > 0 || !more.exceeds(most)) {
			t.mark(n)
		}
	}
	for g := range c.globals {
		for m := range t.freed {
			if g.wants.reserves() != (amounts{}) {
				t.pair(g, m)
			}
		}
	}
	clear(t.freed)
}

func (c *Cluster) wakeForEvenness() {
	t := &c.agenda
	if len(t.uneven) == 0 {
		return
	}
	_, all := t.uneven[nil]
	for n := range t.waiting {
		if n.wants.Spread.Hard {
			if _, ok := t.uneven[n.tally()]; ok || all {
				t.mark(n)
			}
		}
	}
	clear(t.uneven)
}

// touch has the unit of a slot decided about that changed there. What is gone
// from everywhere or belongs everywhere is decided machine by machine.
func (c *Cluster) touch(s *slot) {
	if s.node.global() || !s.node.wanted() {
		c.agenda.pair(s.node, s.machine)
		return
	}
	c.agenda.mark(s.node)
}

// touchSlots has everything decided about that is on the machine.
func (c *Cluster) touchSlots(m *machine) {
	for _, s := range m.slots {
		c.touch(s)
	}
}

// touchBooked has those decided about that room is kept for on the machine.
func (c *Cluster) touchBooked(m *machine) {
	for _, s := range m.slots {
		if s.booked() {
			c.touch(s)
		}
	}
}

// touchBound has those decided about that are bound to n by MachineOf, either
// way.
func (c *Cluster) touchBound(n *node) {
	for _, name := range n.wants.MachineOf {
		if t := c.units[name]; !t.global() {
			c.agenda.mark(t)
		}
	}
	for f := range n.follows {
		c.agenda.mark(f)
	}
}
