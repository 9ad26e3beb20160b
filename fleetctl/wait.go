package fleetctl

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"fleet/api"
)

const (
	// blockAttempt is how long one attempt of --block-attempts counts.
	blockAttempt = 500 * time.Millisecond
	// maxMoving bounds the wait for a unit that a machine is at work on.
	maxMoving = 10 * time.Minute
	// commentAfter is how long what holds a unit up must last to be told.
	commentAfter = time.Second
	// reconnectAfter is the pause before the event stream is asked for again.
	reconnectAfter = 500 * time.Millisecond
)

// blocking are the flags of the verbs that wait for units.
type blocking struct {
	noBlock  bool
	attempts int
	timeout  time.Duration
}

func (b *blocking) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&b.noBlock, "no-block", false, "don't wait until it is done")
	f.IntVar(&b.attempts, "block-attempts", 0, "give up after so many half seconds; 0 leaves it to --timeout")
	f.DurationVar(&b.timeout, "timeout", 15*time.Second, "give up on a unit when nothing has moved for so long")
}

func (b *blocking) check() error {
	if b.attempts < 0 {
		return fmt.Errorf("--block-attempts %d is below 0", b.attempts)
	}
	if b.timeout <= 0 {
		return fmt.Errorf("--timeout %s is not above 0", b.timeout)
	}
	return nil
}

// pending is a unit on its way to its goal.
type pending struct {
	goal
	turn    time.Time // since when it could be at work
	moved   time.Time // its placements or states last did
	last    api.Event
	verdict verdict
	since   time.Time // the verdict's comment is unchanged
	told    string    // the comment that was printed last
}

// waiter brings units to their goals, or gives up.
type waiter struct {
	*app
	blocking
	began  time.Time
	moved  time.Time // when anything of any unit last did
	units  map[string]*pending
	failed []string
}

// wait follows the units until each is where it should be, has failed, or
// nothing moves any more. It prints what happens and returns errReported
// unless all went well.
func (a *app) wait(ctx context.Context, b blocking, goals []goal) error {
	now := time.Now()
	w := &waiter{app: a, blocking: b, began: now, moved: now, units: map[string]*pending{}}
	for _, g := range goals {
		w.units[g.name] = &pending{goal: g, turn: now, moved: now, since: now}
	}
	if err := w.follow(ctx); err != nil {
		return err
	}
	if len(w.failed) == 0 {
		return nil
	}
	w.explain(ctx, goals)
	if len(goals) > 1 {
		slices.Sort(w.failed)
		a.warn("fleetctl: %d of %d units failed: %s", len(w.failed), len(goals), strings.Join(w.failed, ", "))
	}
	return errReported
}

// explain says how far templates have got of which an instance failed.
func (w *waiter) explain(ctx context.Context, goals []goal) {
	told := map[string]bool{}
	for _, g := range goals {
		if g.template == "" || told[g.template] || !slices.Contains(w.failed, g.name) {
			continue
		}
		told[g.template] = true
		c, err := w.client()
		if err != nil {
			return
		}
		if x, err := c.Explain(ctx, g.template); err == nil { // else there is nothing more to tell
			w.warn("%s: %s", g.template, w.brief(ctx, x.String()))
		}
	}
}

func (w *waiter) follow(ctx context.Context) error {
	c, err := w.client()
	if err != nil {
		return err
	}
	events := make(chan api.Event)
	broken := make(chan error, 1)
	names := slices.Sorted(maps.Keys(w.units))
	inner, cancel := context.WithCancel(ctx)
	var listener sync.WaitGroup
	defer listener.Wait()
	defer cancel()
	listener.Go(func() { w.listen(inner, c, names, events, broken) })
	timer := time.NewTimer(0)
	defer timer.Stop()
	for len(w.units) > 0 {
		select {
		case e := <-events:
			w.take(e, time.Now())
		case err := <-broken:
			if ctx.Err() == nil {
				return err
			}
		case <-timer.C:
		case <-ctx.Done():
			w.warn("fleetctl: interrupted; what was asked for stands, and fleet goes on with it")
			return errReported
		}
		timer.Reset(w.expire(time.Now()))
	}
	return nil
}

// listen feeds the event stream in until ctx ends, and again when it broke.
// What can't be helped by asking again goes to broken.
func (a *app) listen(ctx context.Context, c *api.Client, names []string, events chan<- api.Event, broken chan<- error) {
	for {
		err := c.Events(ctx, names, func(e api.Event) error {
			e.Explanation = a.brief(ctx, e.Explanation)
			select {
			case events <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		var refused *api.Error
		if errors.As(err, &refused) && refused.Code < http.StatusInternalServerError {
			broken <- err
			return
		}
		select {
		case <-time.After(reconnectAfter):
		case <-ctx.Done():
			return
		}
	}
}

// take notes a unit's new status.
func (w *waiter) take(e api.Event, now time.Time) {
	p := w.units[e.Name]
	if p == nil {
		return
	}
	if !reflect.DeepEqual(p.last.Placements, e.Placements) || !reflect.DeepEqual(p.last.States, e.States) {
		p.moved, w.moved = now, now
	}
	p.last = e
	v := p.judge(e)
	if v.comment != p.verdict.comment {
		p.since = now
	}
	if v.later != "" || p.verdict.later != "" {
		p.turn = now
	}
	p.verdict = v
	switch {
	case v.done != "":
		w.say("%s", v.done)
		if v.comment != "" {
			w.warn("%s: %s", p.name, v.comment)
		}
		delete(w.units, p.name)
	case v.failed != "":
		w.fail(p, v.failed)
	}
}

func (w *waiter) fail(p *pending, why string) {
	w.warn("%s: %s", p.name, why)
	w.failed = append(w.failed, p.name)
	delete(w.units, p.name)
}

// expire gives up on units whose time is over, tells what has held others up
// for long enough, and returns when there may be more to do.
func (w *waiter) expire(now time.Time) time.Duration {
	next := maxMoving
	for _, name := range slices.Sorted(maps.Keys(w.units)) {
		p := w.units[name]
		left := w.deadline(p).Sub(now)
		if left <= 0 {
			w.fail(p, p.overdue(now.Sub(w.began)))
			continue
		}
		if c := p.verdict.comment; c != "" && c != p.told {
			wait := p.since.Add(commentAfter).Sub(now)
			if wait <= 0 {
				w.warn("%s: %s", p.name, c)
				p.told = c
			} else {
				left = min(left, wait)
			}
		}
		next = min(next, left)
	}
	return next
}

// deadline is when a unit is given up: it waits its turn as long as others
// move, but not if it is known what keeps it from a machine.
func (w *waiter) deadline(p *pending) time.Time {
	switch {
	case w.attempts > 0:
		return w.began.Add(time.Duration(w.attempts) * blockAttempt)
	case p.verdict.moving:
		return p.turn.Add(maxMoving)
	case p.verdict.later != "" && w.rolling(p.template):
		return w.moved.Add(maxMoving)
	case p.last.Explanation != "":
		return p.moved.Add(w.timeout)
	}
	return w.moved.Add(w.timeout)
}

// rolling reports whether a machine is at work on an instance of the template.
func (w *waiter) rolling(template string) bool {
	for _, p := range w.units {
		if p.template == template && p.verdict.moving {
			return true
		}
	}
	return false
}

// overdue says what a unit that is given up was waiting for.
func (p *pending) overdue(waited time.Duration) string {
	state := orGone(p.want)
	waited = waited.Round(100 * time.Millisecond)
	why := p.verdict.comment
	switch {
	case why != "" && why != p.told:
		why = ": " + why
	case p.verdict.later != "":
		why = ": " + p.verdict.later
	case why == "" && p.last.Name == "":
		why = ": fleetd has said nothing about it"
	case why == "" && len(p.last.Placements) == 0:
		why = ": no machine has been chosen for it yet"
	case why == "":
		why = ": its machine has not reported that yet"
	default:
		why = ""
	}
	return fmt.Sprintf("not %s after %s%s; the request stands", state, waited, why)
}
