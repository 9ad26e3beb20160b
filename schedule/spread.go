package schedule

import "fmt"

// tally counts a template's instances by the value that their machines have of
// a metadata key: those that are to run there, or have room booked, on machines
// that aren't lost.
type tally struct {
	users  int // instances that ask for it
	counts map[string]int

	// evenness over the values in pool at its version, kept up with the counts;
	// pool is nil where it has to be found anew.
	evenness
	pool    *pool
	version int
	atLeast int // values that have the least
}

// evenness is how many instances a value has at the least and at the most, of
// the values of machines that take new units and have the metadata that an
// instance asks for.
type evenness struct{ least, most int }

// stands reports whether the unit counts there where its template is spread.
func (s *slot) stands() bool {
	return s.node.family != nil && !s.machine.lost && (s.order() == Run || s.booked())
}

// tallied counts a unit in or out on the machine, wherever its template is
// counted.
func (c *Cluster) tallied(n *node, m *machine, by int) {
	for key, t := range n.family.tallies {
		if value, ok := m.metadata[key]; ok {
			t.add(value, by)
			c.agenda.even(t)
		}
	}
}

// talliedAll counts all that stand on the machine in or out.
func (c *Cluster) talliedAll(m *machine, by int) {
	for _, s := range m.slots {
		if s.stands() {
			c.tallied(s.node, m, by)
		}
	}
}

// setLost takes the machine for lost, or no longer.
func (c *Cluster) setLost(m *machine, lost bool) {
	if m.lost == lost {
		return
	}
	c.talliedAll(m, -1)
	m.lost = lost
	c.talliedAll(m, 1)
}

// tally returns the counts by which the unit is spread, or nil.
func (n *node) tally() *tally {
	if n.wants.Spread.Key == "" || n.family == nil {
		return nil
	}
	return n.family.tallies[n.wants.Spread.Key]
}

// askTally has the instances counted that the unit is to be even with.
func (c *Cluster) askTally(n *node) {
	key, f := n.wants.Spread.Key, n.family
	if key == "" || f == nil {
		return
	}
	t := f.tallies[key]
	if t == nil {
		t = &tally{counts: make(map[string]int)}
		for o := range f.members {
			for _, s := range o.slots {
				if value, ok := s.machine.metadata[key]; ok && s.stands() {
					t.add(value, 1)
				}
			}
		}
		if f.tallies == nil {
			f.tallies = make(map[string]*tally)
		}
		f.tallies[key] = t
	}
	t.users++
}

// dropTally undoes askTally.
func (c *Cluster) dropTally(n *node) {
	if t := n.tally(); t != nil {
		if t.users--; t.users == 0 {
			delete(n.family.tallies, n.wants.Spread.Key)
			delete(c.agenda.uneven, t)
		}
	}
}

func (t *tally) add(value string, by int) {
	was := t.counts[value]
	is := was + by
	if t.counts[value] = is; is == 0 {
		delete(t.counts, value)
	}
	if t.pool == nil || t.pool.values[value] == 0 {
		return
	}
	t.most = max(t.most, is)
	switch {
	case by < 0 && was == t.most:
		t.pool = nil
	case is < t.least:
		t.least, t.atLeast = is, 1
	case is == t.least:
		t.atLeast++
	case was == t.least:
		if t.atLeast--; t.atLeast == 0 {
			t.pool = nil
		}
	}
}

// over finds out the evenness over the values of the pool's machines.
func (t *tally) over(p *pool) evenness {
	if t.pool == p && t.version == p.version {
		return t.evenness
	}
	t.pool, t.version, t.atLeast = p, p.version, 0
	t.evenness = p.evenness(func(value string) int { return t.counts[value] })
	for value := range p.values {
		if t.counts[value] == t.least {
			t.atLeast++
		}
	}
	return t.evenness
}

func (p *pool) evenness(count func(value string) int) evenness {
	var e evenness
	first := true
	for value := range p.values {
		n := count(value)
		if first || n < e.least {
			e.least = n
		}
		e.most = max(e.most, n)
		first = false
	}
	return e
}

// unevenness is what a machine is worse by for a unit that is spread: for each
// instance that its value has more than the least. A machine without the key is
// as if its value had one more than any other.
func (n *node) unevenness(m *machine) int64 {
	t := n.tally()
	if t == nil {
		return 0
	}
	e, others := n.evenness(t)
	value, keyed := n.wants.spreadValue(m)
	if !keyed {
		return uneven * int64(e.most+1-e.least)
	}
	return uneven * int64(max(0, others(value)-e.least))
}

// evenness tells how even the other instances of n's template are, and how many
// of them a value has.
func (n *node) evenness(t *tally) (evenness, func(value string) int) {
	var own map[string]int
	for _, s := range n.slots {
		if value, keyed := n.wants.spreadValue(s.machine); keyed && s.stands() {
			if own == nil {
				own = make(map[string]int)
			}
			own[value]++
		}
	}
	others := func(value string) int { return t.counts[value] - own[value] }
	if len(own) > 0 {
		return n.pool.evenness(others), others
	}
	return t.over(n.pool), others
}

// spreadsEvenly holds where a unit that has to be spread evenly would be.
func spreadsEvenly(a ask) refusal {
	if !a.n.wants.Spread.Hard {
		return refusal{}
	}
	t := a.n.tally()
	if t == nil {
		return refusal{}
	}
	value, keyed := a.n.wants.spreadValue(a.m)
	if !keyed {
		return refusal{kind: lacksMetadata, what: a.n.wants.Spread.Key}
	}
	e, others := a.n.evenness(t)
	if count := others(value); count > e.least {
		return refusal{kind: hasMore, what: value, amount: int64(count), spread: a.n}
	}
	return refusal{}
}

// spreadText tells that a value has so many of n's template, more than another.
func spreadText(n *node, value string, count int64) string {
	e, others := n.evenness(n.tally())
	fewest := ""
	for v := range n.pool.values {
		if others(v) == e.least && (fewest == "" || v < fewest) {
			fewest = v
		}
	}
	key := n.wants.Spread.Key
	return fmt.Sprintf("%s=%s, which has %d of %s already, and %s=%s has %d", key, value, count, n.template, key, fewest, e.least)
}
