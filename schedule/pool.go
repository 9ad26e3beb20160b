package schedule

import "slices"

// pool is the machines that take new units and meet what some units ask of
// metadata, in the order in which those units want them. There is one for each
// distinct combination of hard metadata, Prefer, Avoid and Spread key, from the
// first unit that asks to the last: a placement costs O(log M) in each pool
// that its machine is in.
type pool struct {
	key   string
	users int
	wants *wants // of one of them: all have the same wishes
	size  int
	most  amounts // no machine of it has more free of either

	// By value of the Spread key, while those are few; else all are on the mixed
	// one, which says nothing of evenness.
	ladders map[string]*ladder
	mixed   *ladder        // the machines without the key, or all
	values  map[string]int // machines, by their value of the Spread key
	version int            // grows when a value comes or goes
}

// fewValues is how many values of a Spread key have ladders of their own.
const fewValues = 64

// rank is a machine's place in a pool.
type rank struct {
	machine *machine
	pool    *pool
	ladder  *ladder
	at      int
	value   string // of the pool's Spread key
	keyed   bool   // the machine has that key
}

func newPool(key string, w *wants) *pool {
	return &pool{key: key, wants: w, mixed: &ladder{}, ladders: make(map[string]*ladder), values: make(map[string]int)}
}

// split reports whether the values have ladders of their own.
func (p *pool) split() bool { return len(p.values) <= fewValues }

// enroll has the pool be there that the unit needs.
func (c *Cluster) enroll(n *node) {
	if n.unit == nil || !n.readable() || n.wants.Global {
		return
	}
	n.pool = c.poolFor(n.wants)
	n.pool.users++
}

func (c *Cluster) poolFor(w *wants) *pool {
	p := c.pools[w.poolKey]
	if p == nil {
		key := w.poolKey
		if key == "" {
			w = nothing // what it asks for is no matter of the pool's
		}
		p = newPool(key, w)
		c.pools[key] = p
		for _, m := range c.machines {
			p.admit(m)
		}
	}
	return p
}

// withdraw undoes enroll.
func (c *Cluster) withdraw(n *node) {
	p := n.pool
	if p == nil {
		return
	}
	n.pool = nil
	if p.users--; p.users > 0 {
		return
	}
	delete(c.pools, p.key)
	for _, m := range c.machines {
		m.leave(p)
	}
}

// rank puts the machine into the pools that it belongs in now.
func (c *Cluster) rank(m *machine) {
	for len(m.ranks) > 0 {
		m.leave(m.ranks[len(m.ranks)-1].pool)
	}
	m.standing = c.policy.Strategy.standing(m.weigh())
	for _, p := range c.pools {
		p.admit(m)
	}
	c.agenda.even(nil)
}

// rerank counts with the machine's load as it is now, and with so many more
// units called name on it.
func (c *Cluster) rerank(m *machine, name string, more int64) {
	was := m.standing
	m.standing = c.policy.Strategy.standing(m.weigh())
	for _, r := range m.ranks {
		by := m.standing - was
		if more != 0 && r.pool.wants.waryOf(name) {
			by -= avoided * more
		}
		if by != 0 {
			r.ladder.change(r, by)
		}
	}
}

// admit puts the machine into the pool, if it belongs in it.
func (p *pool) admit(m *machine) {
	if !m.facts.takes || p.wants.lacking(m).kind != fits {
		return
	}
	r := &rank{machine: m, pool: p}
	r.value, r.keyed = p.wants.spreadValue(m)
	m.ranks = append(m.ranks, r)
	p.size++
	p.most = p.most.most(m.free())
	split := p.split()
	if r.keyed {
		if p.values[r.value]++; p.values[r.value] == 1 {
			p.version++
		}
	}
	p.seat(r)
	if p.split() != split {
		p.reseat()
	}
}

// leave takes the machine out of the pool, if it is in it.
func (m *machine) leave(p *pool) {
	i := slices.IndexFunc(m.ranks, func(r *rank) bool { return r.pool == p })
	if i < 0 {
		return
	}
	r := m.ranks[i]
	m.ranks = slices.Delete(m.ranks, i, i+1)
	p.size--
	split := p.split()
	r.ladder.remove(r)
	if r.keyed {
		if p.values[r.value]--; p.values[r.value] == 0 {
			delete(p.values, r.value)
			delete(p.ladders, r.value)
			p.version++
		}
	}
	if p.split() != split {
		p.reseat()
	}
}

// seat puts the machine onto its ladder.
func (p *pool) seat(r *rank) {
	l := p.mixed
	if r.keyed && p.split() {
		if l = p.ladders[r.value]; l == nil {
			l = &ladder{}
			p.ladders[r.value] = l
		}
	}
	m := r.machine
	l.add(r, m.standing+preferred*p.wants.preferredOn(m)-avoided*p.wants.avoidedOn(nil, m))
}

// reseat puts all machines onto their ladders anew.
func (p *pool) reseat() {
	all := p.mixed.rungs
	for _, l := range p.ladders {
		all = append(all, l.rungs...)
	}
	p.mixed = &ladder{}
	clear(p.ladders)
	for _, r := range all {
		p.seat(r.rank)
	}
}

// spreadValue returns the machine's value of the Spread key, if it has that.
func (w *wants) spreadValue(m *machine) (value string, keyed bool) {
	if w.Spread.Key == "" {
		return "", false
	}
	value, keyed = m.metadata[w.Spread.Key]
	return value, keyed
}
