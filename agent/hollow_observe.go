package agent

import (
	"context"
	"maps"
	"slices"
	"time"
)

// hollowObserveAll is how often an observer of a hollow machine is told
// everything again.
const hollowObserveAll = time.Minute

// hollowObserver is one call of Observe: what it has yet to tell.
type hollowObserver struct {
	pending map[string]Observed
	wake    chan struct{} // holds one when pending is not empty
	turn    chan struct{} // held while fn is called; a lock that a bubble can wait for
}

// Observe implements Runner.
func (h *Hollow) Observe(ctx context.Context, fn func(Observation)) error {
	o := &hollowObserver{pending: map[string]Observed{}, wake: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
	h.mu.Lock()
	h.observers[o] = true
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		delete(h.observers, o)
		h.mu.Unlock()
	}()

	again := time.NewTicker(hollowObserveAll)
	defer again.Stop()
	for everything := true; ; {
		h.tell(o, fn, everything)
		everything = false
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-o.wake:
		case <-again.C:
			everything = true
		}
	}
}

// tell calls fn with what o has yet to tell, and with everything if so asked.
func (h *Hollow) tell(o *hollowObserver, fn func(Observation), everything bool) {
	o.turn <- struct{}{}
	defer func() { <-o.turn }()
	h.mu.Lock()
	changes, all := o.take(), Observation{}
	if everything {
		all = h.all()
	}
	h.mu.Unlock()
	if len(changes) > 0 {
		fn(Observation{Units: changes})
	}
	if everything {
		fn(all)
	}
}

// returning waits until nobody is being told what is no longer so. Each call
// ends with it.
func (h *Hollow) returning() {
	h.mu.Lock()
	observers := slices.Collect(maps.Keys(h.observers))
	h.mu.Unlock()
	for _, o := range observers {
		o.turn <- struct{}{}
		<-o.turn
	}
}

// all returns every unit that has a file, in the order of the names.
func (h *Hollow) all() Observation {
	seen := Observation{All: true, Units: make([]Observed, 0, len(h.units))}
	for _, name := range slices.Sorted(maps.Keys(h.units)) {
		seen.Units = append(seen.Units, h.units[name].observed())
	}
	return seen
}

// take returns what o has yet to tell, in the order of the names.
func (o *hollowObserver) take() []Observed {
	changes := make([]Observed, 0, len(o.pending))
	for _, name := range slices.Sorted(maps.Keys(o.pending)) {
		changes = append(changes, o.pending[name])
	}
	clear(o.pending)
	return changes
}

// changed tells every observer of u.
func (h *Hollow) changed(u *hollowUnit) {
	for o := range h.observers {
		o.pending[u.Name] = u.observed()
		select {
		case o.wake <- struct{}{}:
		default:
		}
	}
}

func (u *hollowUnit) observed() Observed {
	seen := u.Observed
	seen.Hash = u.hash
	return seen
}
