package schedule

// ladder holds machines in the order of their scores, best first: a heap, so
// that a change costs O(log M) and the best is at hand.
type ladder struct{ rungs []rung }

// rung is a machine's place on a ladder. The score stands beside the machine,
// so that comparing seldom has to look at it.
type rung struct {
	score int64
	rank  *rank
}

func (a *rung) above(b *rung) bool {
	if a.score != b.score {
		return a.score > b.score
	}
	return a.rank.machine.id < b.rank.machine.id
}

func (l *ladder) add(r *rank, score int64) {
	r.ladder, r.at = l, len(l.rungs)
	l.rungs = append(l.rungs, rung{score, r})
	l.up(r.at)
}

func (l *ladder) remove(r *rank) {
	at, last := r.at, len(l.rungs)-1
	if at != last {
		l.rungs[at] = l.rungs[last]
		l.rungs[at].rank.at = at
	}
	l.rungs[last] = rung{}
	l.rungs = l.rungs[:last]
	if at != last {
		l.settle(at)
	}
	r.ladder = nil
}

// change gives a machine another score.
func (l *ladder) change(r *rank, by int64) {
	l.rungs[r.at].score += by
	l.settle(r.at)
}

func (l *ladder) settle(at int) {
	if !l.up(at) {
		l.down(at)
	}
}

// up moves a rung up to where it belongs, and reports whether it moved.
func (l *ladder) up(at int) bool {
	r, start := l.rungs[at], at
	for at > 0 {
		parent := (at - 1) / 2
		if !r.above(&l.rungs[parent]) {
			break
		}
		l.put(at, l.rungs[parent])
		at = parent
	}
	l.put(at, r)
	return at != start
}

func (l *ladder) down(at int) {
	r := l.rungs[at]
	for {
		child := 2*at + 1
		if child >= len(l.rungs) {
			break
		}
		if child+1 < len(l.rungs) && l.rungs[child+1].above(&l.rungs[child]) {
			child++
		}
		if !l.rungs[child].above(&r) {
			break
		}
		l.put(at, l.rungs[child])
		at = child
	}
	l.put(at, r)
}

func (l *ladder) put(at int, r rung) {
	l.rungs[at] = r
	r.rank.at = at
}

// step is a rung that may be next in a walk over several ladders.
type step struct {
	bound int64 // no machine from here on has a better score
	*ladder
	at int
}

func (a *step) before(b *step) bool {
	if a.bound != b.bound {
		return a.bound > b.bound
	}
	return a.machine().id < b.machine().id
}

func (s *step) machine() *machine { return s.rungs[s.at].rank.machine }

// walk goes over ladders, best first, without changing them: it looks only at
// the rungs that it yields and at their children. It is a heap of the rungs
// that may be next.
type walk []step

// begin adds a ladder whose machines' scores are offset by so much.
func (w *walk) begin(l *ladder, offset int64) {
	if len(l.rungs) > 0 {
		w.push(step{l.rungs[0].score + offset, l, 0})
	}
}

// next takes out the best step, and has those below it come into question.
func (w *walk) next() (step, bool) {
	if len(*w) == 0 {
		return step{}, false
	}
	s := w.pop()
	offset := s.bound - s.rungs[s.at].score
	for child := 2*s.at + 1; child <= 2*s.at+2 && child < len(s.rungs); child++ {
		w.push(step{s.rungs[child].score + offset, s.ladder, child})
	}
	return s, true
}

func (w *walk) push(s step) {
	*w = append(*w, s)
	h := *w
	at := len(h) - 1
	for at > 0 && s.before(&h[(at-1)/2]) {
		h[at] = h[(at-1)/2]
		at = (at - 1) / 2
	}
	h[at] = s
}

func (w *walk) pop() step {
	h := *w
	first, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	*w = h
	if len(h) == 0 {
		return first
	}
	at := 0
	for {
		child := 2*at + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1].before(&h[child]) {
			child++
		}
		if !h[child].before(&last) {
			break
		}
		h[at] = h[child]
		at = child
	}
	h[at] = last
	return first
}
