package schedule

import "container/heap"

// loads orders machines by how good a place they are for one more unit, best
// first: a heap, so that a change of load costs O(log M) and the best is at
// hand, with ordered iteration for when the best don't fit.
type loads struct{ heap []*rank }

// rank is a machine's place in one of the orders.
type rank struct {
	machine *machine
	in      *loads
	at      int
}

// better is the score: the one place that says which of two machines that both
// fit is taken.
func better(a, b *machine) bool {
	if a.load != b.load {
		return a.load < b.load
	}
	return a.id < b.id
}

// add puts the machine into this order.
func (l *loads) add(m *machine) {
	r := &rank{machine: m, in: l}
	m.ranks = append(m.ranks, r)
	heap.Push(l, r)
}

// leaveAll takes the machine out of every order that it is in.
func (m *machine) leaveAll() {
	for _, r := range m.ranks {
		heap.Remove(r.in, r.at)
	}
	m.ranks = nil
}

// addLoad counts placements on the machine.
func (m *machine) addLoad(by int) {
	m.load += by
	for _, r := range m.ranks {
		heap.Fix(r.in, r.at)
	}
}

// Len, Less, Swap, Push and Pop are heap.Interface.
func (l *loads) Len() int           { return len(l.heap) }
func (l *loads) Less(i, j int) bool { return better(l.heap[i].machine, l.heap[j].machine) }

func (l *loads) Swap(i, j int) {
	l.heap[i], l.heap[j] = l.heap[j], l.heap[i]
	l.heap[i].at, l.heap[j].at = i, j
}

func (l *loads) Push(x any) {
	r := x.(*rank)
	r.at = len(l.heap)
	l.heap = append(l.heap, r)
}

func (l *loads) Pop() any {
	last := len(l.heap) - 1
	r := l.heap[last]
	l.heap[last] = nil
	l.heap = l.heap[:last]
	return r
}

// inOrder yields the machines of several disjoint orders, best first, without
// changing them: it looks only at those that it yields and at their children.
func inOrder(orders []*loads, yield func(*machine) bool) {
	if len(orders) == 1 && orders[0].Len() > 0 && !yield(orders[0].heap[0].machine) {
		return // the usual case: the best fits
	}
	var next frontier
	for _, l := range orders {
		switch {
		case l.Len() == 0:
		case len(orders) == 1:
			next.pushChildren(l.heap[0])
		default:
			heap.Push(&next, l.heap[0])
		}
	}
	for len(next) > 0 {
		r := heap.Pop(&next).(*rank)
		if !yield(r.machine) {
			return
		}
		next.pushChildren(r)
	}
}

// frontier is the ranks that may be next, best first.
type frontier []*rank

func (f *frontier) pushChildren(r *rank) {
	for child := 2*r.at + 1; child <= 2*r.at+2 && child < r.in.Len(); child++ {
		heap.Push(f, r.in.heap[child])
	}
}

// Len, Less, Swap, Push and Pop are heap.Interface.
func (f frontier) Len() int           { return len(f) }
func (f frontier) Less(i, j int) bool { return better(f[i].machine, f[j].machine) }
func (f frontier) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *frontier) Push(x any)        { *f = append(*f, x.(*rank)) }

func (f *frontier) Pop() any {
	last := len(*f) - 1
	r := (*f)[last]
	*f = (*f)[:last]
	return r
}
