package engine

import (
	"context"
	"time"
)

// contact is the engine's unbroken contact with the store. A machine's absence
// proves its death only to one who has heard from the store all along: after a
// gap the store may have let leases run out that were never given the chance
// to be renewed, and a full TTL passes before anything is evicted.
type contact struct {
	ttl   time.Duration
	since time.Time // when the unbroken contact began; zero: there is none
	last  time.Time // the sending of the last question that was answered
}

// answered takes in an answer to a question sent at t.
func (c *contact) answered(t time.Time) {
	if c.since.IsZero() || t.Sub(c.last) > c.ttl/4 {
		c.since = t
	}
	c.last = t
}

// proven is the time from which absence proves death.
func (c *contact) proven(now time.Time) time.Time {
	if c.since.IsZero() || now.Sub(c.last) > c.ttl/4 {
		return now.Add(c.ttl) // in a gap: counted from its end, which is yet to come
	}
	return c.since.Add(c.ttl)
}

// ping asks the store often enough to notice every gap, and says when it can't
// tell who is there.
func (e *Engine) ping(ctx context.Context) {
	period, longest := e.TTL/10, e.TTL/4
	broken := false
	for {
		sent := time.Now()
		try, cancel := context.WithTimeout(ctx, longest)
		err := e.Store.Ping(try)
		cancel()
		if err == nil {
			e.post(ctx, func() { e.contact.answered(sent) })
		}
		late := err != nil || time.Since(sent)+period > longest
		if late != broken && ctx.Err() == nil {
			broken = late
			if broken {
				e.Log.Warn("the store answers late or not at all: no machine counts as lost until it has answered in time for a whole TTL", "took", time.Since(sent), "err", err)
			} else {
				e.Log.Info("the store answers in time again")
			}
		}
		if !wait(ctx, period) {
			return
		}
	}
}
