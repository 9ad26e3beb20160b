package api_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"fleet/api"
	"fleet/schedule"
	"fleet/unit"
)

func client(t *testing.T, endpoint string) *api.Client {
	t.Helper()
	c, err := api.NewClient(endpoint, api.ClientConfig{Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// watch follows units; next returns the next event.
func watch(t *testing.T, c *api.Client, names ...string) (next func() api.Event) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	events := make(chan api.Event)
	var group sync.WaitGroup
	group.Go(func() {
		_ = c.Events(ctx, names, func(e api.Event) error {
			select {
			case events <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	t.Cleanup(func() { cancel(); group.Wait() })
	return func() api.Event {
		t.Helper()
		select {
		case e := <-events:
			return e
		case <-time.After(10 * time.Second):
			t.Fatal("no event")
		}
		return api.Event{}
	}
}

func TestEvents(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.machine("m1", "10.0.0.1", nil)
	w.put("other.service", webText, unit.Inactive)
	next := watch(t, client(t, w.url), "web.service")
	if e := next(); e.Name != "web.service" || e.Unit != nil {
		t.Errorf("first event %+v, want an unknown web.service", e)
	}
	w.put("other.service", webText, unit.Loaded) // of no interest
	f := w.put("web.service", webText, unit.Launched)
	e := next()
	if e.Unit == nil || e.Unit.DesiredState != unit.Launched || e.Explanation != "about to be placed: m1 fits" {
		t.Errorf("after the submission: %+v", e)
	}
	w.run("web.service", "m1", f, unit.Launched, 5)
	for e = next(); e.Unit.CurrentState != unit.Launched; e = next() {
	}
	if len(e.Machines) != 1 || e.Machines[0].PrimaryIP != "10.0.0.1" || !e.Machines[0].Alive || e.Explanation != "" {
		t.Errorf("once launched: %+v", e)
	}
	w.lose("m1")
	for e = next(); len(e.States) > 0 || e.Machines[0].Alive; e = next() {
	}
	w.must(w.reg.DeleteUnit(t.Context(), "web.service"))
	if e = next(); e.Unit != nil || len(e.Placements) != 1 {
		t.Errorf("after the destruction: %+v", e)
	}
}

// TestEventsExplainAnew: an explanation that another machine changes is told,
// though nothing of the unit itself has changed.
func TestEventsExplainAnew(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.put("web.service", webText, unit.Launched)
	next := watch(t, client(t, w.url), "web.service")
	if e := next(); e.Explanation != "no machine is there" {
		t.Errorf("explained as %q", e.Explanation)
	}
	w.machine("m1", "10.0.0.1", nil)
	for next().Explanation != "about to be placed: m1 fits" {
	}
}

// TestEventsOfAll: without names every unit is told, first as it is.
func TestEventsOfAll(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.put("a.service", webText, unit.Inactive)
	w.put("b.service", webText, unit.Inactive)
	next := watch(t, client(t, w.url))
	if a, b := next(), next(); a.Name != "a.service" || b.Name != "b.service" {
		t.Errorf("first events of %s and %s", a.Name, b.Name)
	}
	w.put("c.service", webText, unit.Inactive)
	if e := next(); e.Name != "c.service" {
		t.Errorf("then one of %s", e.Name)
	}
}

// lagging delivers what Follow sees only when told to.
type lagging struct {
	api.Store
	at   chan struct{} // told when an update waits
	gate chan struct{}
}

func (l *lagging) Follow(ctx context.Context, fn func(schedule.Update) error) error {
	return l.Store.Follow(ctx, func(u schedule.Update) error {
		if !u.Snapshot && len(u.Changes) > 0 {
			select {
			case l.at <- struct{}{}:
			default:
			}
			select {
			case <-l.gate:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return fn(u)
	})
}

// TestEventsAreNoOlderThanTheCall: a stream that joins a follower which lags
// must not begin with, nor fall back to, what was before the call.
func TestEventsAreNoOlderThanTheCall(t *testing.T) {
	plain := newWorld(t, api.Config{})
	slow := &lagging{Store: plain.reg, at: make(chan struct{}, 1), gate: make(chan struct{})}
	w := newWorld(t, api.Config{Store: slow})
	w.reg, w.kv, w.term = plain.reg, plain.kv, plain.term
	w.put("web.service", webText, unit.Launched)
	first := watch(t, client(t, w.url), "web.service")
	if e := first(); e.Unit.DesiredState != unit.Launched {
		t.Fatalf("first stream begins with %+v", e.Unit)
	}
	w.put("web.service", webText, unit.Inactive)
	<-slow.at
	w.put("web.service", webText, unit.Loaded)
	second := watch(t, client(t, w.url), "web.service")
	if e := second(); e.Unit.DesiredState != unit.Loaded {
		t.Errorf("second stream begins with %s, want loaded", e.Unit.DesiredState)
	}
	slow.gate <- struct{}{} // inactive, which is older than the second stream
	if e := first(); e.Unit.DesiredState != unit.Inactive {
		t.Errorf("first stream goes on with %s, want inactive", e.Unit.DesiredState)
	}
	w.put("web.service", webText, unit.Launched)
	close(slow.gate)
	if e := second(); e.Unit.DesiredState != unit.Launched {
		t.Errorf("second stream goes on with %s, want launched", e.Unit.DesiredState)
	}
}

func TestEventsEndWithTheStore(t *testing.T) {
	w := newWorld(t, api.Config{Store: brokenStore{}})
	err := client(t, w.url).Events(t.Context(), nil, func(api.Event) error { return nil })
	var e *api.Error
	if !errors.As(err, &e) || e.Code != 503 {
		t.Errorf("got %v, want a 503", err)
	}
}

// brokenStore is a store that does not answer.
type brokenStore struct{ api.Store }

func (brokenStore) Follow(context.Context, func(schedule.Update) error) error {
	return schedule.ErrUnavailable
}

func (brokenStore) Snapshot(context.Context, int64) (schedule.Update, error) {
	return schedule.Update{}, schedule.ErrUnavailable
}

// TestNothingIsFollowedWithoutStreams: the follower ends with the last stream.
func TestNothingIsFollowedWithoutStreams(t *testing.T) {
	w := newWorld(t, api.Config{})
	counted := &counting{Store: w.reg, ended: make(chan struct{}, 1)}
	w = newWorld(t, api.Config{Store: counted})
	ctx, cancel := context.WithCancel(t.Context())
	_ = client(t, w.url).Events(ctx, []string{"web.service"}, func(api.Event) error {
		cancel()
		return nil
	})
	select {
	case <-counted.ended:
	case <-time.After(10 * time.Second):
		t.Error("the store is still followed")
	}
}

type counting struct {
	api.Store
	ended chan struct{}
}

func (c *counting) Follow(ctx context.Context, fn func(schedule.Update) error) error {
	defer func() { c.ended <- struct{}{} }()
	return c.Store.Follow(ctx, fn)
}
