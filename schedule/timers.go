package schedule

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// timers tell when what waits for time to pass is to be looked at: a machine
// that is to be forgotten, a unit that is not to be moved again before. They
// are made from records, so that a new leader has the same.
type timers struct {
	due   map[key]time.Time
	first time.Time
	valid bool // first is the earliest of due
}

func newTimers() timers { return timers{due: make(map[key]time.Time)} }

func (t *timers) set(k key, at time.Time) { t.due[k], t.valid = at, false }

func (t *timers) clear(k key) {
	if _, ok := t.due[k]; ok {
		delete(t.due, k)
		t.valid = false
	}
}

// earliest returns the time of the first timer, and whether there is one.
func (t *timers) earliest() (time.Time, bool) {
	if !t.valid {
		t.first, t.valid = time.Time{}, true
		for _, at := range t.due {
			if t.first.IsZero() || at.Before(t.first) {
				t.first = at
			}
		}
	}
	return t.first, len(t.due) > 0
}

// take removes those that are due, and returns them in an order that depends
// on nothing else.
func (t *timers) take(now time.Time) []key {
	if first, ok := t.earliest(); !ok || now.Before(first) {
		return nil
	}
	var due []key
	for k, at := range t.due {
		if !now.Before(at) {
			due = append(due, k)
			delete(t.due, k)
		}
	}
	t.valid = false
	slices.SortFunc(due, func(a, b key) int {
		return cmp.Or(strings.Compare(a.machine, b.machine), strings.Compare(a.unit, b.unit))
	})
	return due
}

// ring puts what is due on the agenda.
func (c *Cluster) ring(now time.Time) {
	for _, k := range c.timers.take(now) {
		if m := c.machines[k.machine]; m != nil {
			c.agenda.machine(m)
		}
		if n := c.units[k.unit]; n != nil {
			c.agenda.mark(n)
		}
	}
}
