package schedule

import (
	"cmp"
	"slices"
)

// query looks for one machine that takes several units at once, or one.
type query struct {
	c     *Cluster
	part  []*node // the units
	group []*node // all that they are bound to, themselves among it
	// free says that whatever machines the units are on would have stopped
	// them first. They don't stay, then, where they are to go.
	free bool
	// away says that they are to go from where they are.
	away bool
}

// best returns the best machine that fits, or nil.
func (q *query) best() *machine {
	near, only := q.near()
	for _, m := range near {
		if q.refuses(m).kind == fits {
			return m
		}
	}
	if only {
		return nil
	}
	return q.search()
}

// search returns the best machine of all, by score and then by ID: it goes over
// the pool of one of the units until no machine that is left can be better.
func (q *query) search() *machine {
	for _, n := range q.part {
		if id := n.wants.MachineID; id != "" {
			if m := q.c.machines[id]; m != nil && q.refuses(m).kind == fits {
				return m
			}
			return nil
		}
	}
	if q.tooLarge() {
		return nil
	}
	lead := q.lead()
	slack := q.slack(lead)
	// A unit that is nowhere yet has the score by which its pool is ordered.
	exact := len(q.part) == 1 && len(lead.slots) == 0 && (lead.wants.Spread.Key == "" || lead.pool.split())
	w := q.begin(lead)
	var found *machine
	var best int64
	for s, ok := w.next(); ok; s, ok = w.next() {
		if found != nil && s.bound+slack < best {
			break
		}
		m := s.machine()
		if q.refuses(m).kind != fits {
			continue
		}
		score := s.bound
		if !exact {
			score = q.score(m)
		}
		if found == nil || score > best || score == best && m.id < found.id {
			found, best = m, score
		}
		if slack == 0 && score == s.bound {
			break // those with the same bound that are left have later IDs
		}
	}
	q.c.walk = w
	if found == nil && lead.wants.reserves() != (amounts{}) {
		lead.pool.lower()
	}
	return found
}

// lead returns the unit whose pool is gone over: the scores there count with
// its wishes, those of the others can only be guessed at.
func (q *query) lead() *node {
	lead := q.part[0]
	for _, n := range q.part[1:] {
		if by := len(n.wants.Prefer) - len(lead.wants.Prefer); by > 0 || by == 0 && n.pool.size < lead.pool.size {
			lead = n
		}
	}
	return lead
}

// slack returns how much better than its score in lead's pool a machine can be
// at the most.
func (q *query) slack(lead *node) int64 {
	var slack int64
	for _, n := range q.part {
		if n != lead {
			slack += preferred * int64(len(n.wants.Prefer))
		} else if len(n.slots) > 0 && n.wants.waryOf(n.name) {
			slack += avoided // what it has of a machine itself it doesn't avoid
		}
	}
	return slack
}

// begin starts a walk over the unit's pool.
func (q *query) begin(n *node) walk {
	w, p, t := q.c.walk[:0], n.pool, n.tally()
	if t == nil || !p.split() {
		w.begin(p.mixed, 0)
		for _, l := range p.ladders {
			w.begin(l, 0)
		}
		return w
	}
	e, others := n.evenness(t)
	w.begin(p.mixed, -uneven*int64(e.most+1-e.least))
	for value, l := range p.ladders {
		if more := others(value) - e.least; more == 0 || !n.wants.Spread.Hard {
			w.begin(l, -uneven*int64(more))
		}
	}
	return w
}

// refuses returns why the units don't fit the machine, or the zero refusal.
func (q *query) refuses(m *machine) refusal {
	a := ask{c: q.c, m: m}
	if len(q.part) > 1 {
		a.with = q.part
	}
	if len(q.group) > 1 {
		a.group = q.group
	}
	for _, n := range q.part {
		a.n = n
		if r := q.refusesOne(a); r.kind != fits {
			if len(q.part) > 1 && r.whom == "" {
				r.whom = n.name
			}
			return r
		}
	}
	return refusal{}
}

func (q *query) refusesOne(a ask) refusal {
	if s := a.n.on(a.m); s != nil && a.m.facts.here && (s.order() == Run || s.order() == Held) {
		if q.free && a.m.facts.draining {
			return refusal{kind: draining}
		}
		if q.away {
			return refusal{kind: failsThere}
		}
		if o := a.n.runsOn(); o != nil && s.order() == Held && !s.runs() && !q.free {
			return refusal{kind: runsElsewhere, what: o.id}
		}
		return a.check(staying)
	}
	if !q.free {
		if r := tied(a.n, a.m); r.kind != fits {
			return r
		}
	}
	return a.check(taking)
}

// ties reports whether the unit may still be on the machine: nothing that a
// machine has, and isn't lost with, is started elsewhere.
func (s *slot) ties() bool {
	if s.order() != "" && !s.confirmed() {
		return !s.machine.lost
	}
	return s.machine.facts.here && s.reported()
}

// runs reports whether the machine is there and says that the unit runs on it.
func (s *slot) runs() bool { return s.machine.facts.here && s.state != nil && s.state.Active() }

// idle reports whether the machine is there and says that the unit doesn't run.
func (s *slot) idle() bool { return s.machine.facts.here && s.state != nil && !s.state.Active() }

// runsOn returns the first machine that is there and runs the unit, or nil.
func (n *node) runsOn() *machine {
	for _, s := range n.slots {
		if s.runs() {
			return s.machine
		}
	}
	return nil
}

// tied returns what keeps a unit from being placed on m. Where it is held and
// doesn't run it isn't started either: that keeps it from no machine that runs
// it, as one may that has been forgotten meanwhile.
func tied(n *node, m *machine) refusal {
	at := n.on(m)
	for _, s := range n.slots {
		switch {
		case !s.ties():
		case s.order() == Held && s.idle() && at != nil && at.runs():
		case s.machine != m:
			return refusal{kind: runsElsewhere, what: s.machine.id}
		case s.order() == Release:
			return refusal{kind: stopping}
		}
	}
	return refusal{}
}

// near returns the machines that are to be tried first, in this order: those
// that have the units already or keep room for them, or have units that they
// are bound to. only says that no other can fit.
func (q *query) near() (machines []*machine, only bool) {
	if len(q.group) == 1 && len(q.group[0].slots) == 0 {
		return nil, false
	}
	type rank struct {
		units      int
		generation int64
	}
	ranks := make(map[*machine]rank)
	visit := func(s *slot, has int) {
		r := ranks[s.machine]
		r.units += has
		if pl := s.placement(); pl != nil {
			r.generation = max(r.generation, pl.Generation)
		}
		ranks[s.machine] = r
	}
	for _, n := range q.part {
		for _, s := range n.slots {
			switch {
			case s.ties():
				visit(s, 1)
				only = only || !q.free
			case s.booked():
				visit(s, 1)
			}
		}
	}
	for _, o := range q.anchors() {
		visit(o.running(), 0)
		only = true
	}
	if len(ranks) == 0 {
		return nil, only
	}
	for m := range ranks {
		machines = append(machines, m)
	}
	slices.SortFunc(machines, func(a, b *machine) int {
		ra, rb := ranks[a], ranks[b]
		switch {
		case ra != rb:
			return cmp.Or(cmp.Compare(rb.units, ra.units), cmp.Compare(rb.generation, ra.generation))
		case better(a, b):
			return -1
		}
		return 1
	})
	return machines, only
}

// anchors returns the placed units of the group that some of the part follow
// or are followed by.
func (q *query) anchors() []*node {
	var out []*node
	for _, o := range q.group {
		if len(q.part) == len(q.group) || !o.placed() || slices.Contains(q.part, o) {
			continue
		}
		bound := func(n *node) bool { return n.wants.followsUnit(o.name) || o.wants.followsUnit(n.name) }
		if slices.ContainsFunc(q.part, bound) {
			out = append(out, o)
		}
	}
	return out
}
