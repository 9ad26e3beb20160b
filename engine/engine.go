package engine

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"fleet/schedule"
)

// Store is what the engine reads and writes.
type Store interface {
	// Follow calls fn with a snapshot and then with every change, until ctx
	// ends, fn fails, or the store can't be followed any more.
	Follow(ctx context.Context, fn func(schedule.Update) error) error
	// Ping returns when the store has given a linearizable answer.
	Ping(ctx context.Context) error
	// Apply writes decisions, each whole or not at all, under the term, and
	// returns those whose conditions no longer held. An error ends the term.
	Apply(ctx context.Context, term int64, d []schedule.Decision) (refused []schedule.Decision, err error)
	// CollectFiles deletes, under the term, unit files that nothing refers to.
	CollectFiles(ctx context.Context, term int64) (int, error)
}

// Elections decides who leads.
type Elections interface {
	// Seat waits for a place among those who may lead and runs fn while it is
	// held; others is how many had one before.
	Seat(ctx context.Context, self string, ttl time.Duration, fn func(ctx context.Context, others int) error) error
	// Lead waits until nobody leads and runs fn as the leader; fn's context ends
	// when leadership is lost, and leadership when fn returns.
	Lead(ctx context.Context, self string, ttl time.Duration, fn func(ctx context.Context, term int64) error) error
}

// Config is what an engine is made of.
type Config struct {
	Self      string        // names this engine, for people
	TTL       time.Duration // of the machines' leases; the leader's is half of it
	Store     Store
	Elections Elections
	Policy    schedule.Policy // without a strategy it is schedule.DefaultPolicy
	// Fit reports whether this engine may take part at present; nil: always. A
	// machine that is left out of the cluster, or doesn't trust the store, must
	// not decide for others.
	Fit func() bool
	Log *slog.Logger
}

// Engine takes part in leading the cluster. Use New and Run once.
type Engine struct {
	Config
	inbox chan func() // run by the loop, which alone touches what follows

	model    *schedule.Cluster
	known    bool  // the model holds a snapshot
	term     int64 // 0: not leading
	lost     context.CancelCauseFunc
	applying bool
	writes   sync.WaitGroup
	due      time.Time // when to plan; zero: nothing to plan
	first    time.Time // when the oldest unplanned change came
	planned  time.Time // when the model was planned last
	hold     time.Time // no machine counts as lost before this
	contact  contact
	refusals refusals
}

const (
	quiet    = 3 * time.Millisecond // a burst is over when nothing came for this long
	patience = time.Second          // a burst is planned at this age even so
	overdue  = time.Second          // when to look again at what was due and couldn't be settled
)

// New returns an engine that has not begun.
func New(c Config) *Engine {
	if c.Policy.Strategy == "" {
		c.Policy = schedule.DefaultPolicy()
	}
	return &Engine{Config: c, inbox: make(chan func()), contact: contact{ttl: c.TTL}}
}

// leaderTTL is the lease of seats and of the leader's key. It is shorter than
// a machine's, so that when the leader's own machine is lost the next leader
// is there before its units are due.
func (e *Engine) leaderTTL() time.Duration { return max(e.TTL/2, time.Second) }

// Run takes part until ctx ends.
func (e *Engine) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if !e.fit() {
			wait(ctx, fitPeriod)
			continue
		}
		fit, unfit := context.WithCancelCause(ctx)
		var wg sync.WaitGroup
		wg.Go(func() { e.watchFitness(fit, unfit) })
		err := e.Elections.Seat(fit, e.Self, e.leaderTTL(), e.seated)
		unfit(nil)
		wg.Wait()
		if ctx.Err() != nil {
			return
		}
		e.Log.Warn("lost the seat among those who may lead", "err", err)
		wait(ctx, time.Second)
	}
}

// fitPeriod is how often it is asked whether this engine may take part.
const fitPeriod = 250 * time.Millisecond

var errUnfit = errors.New("this machine is left out of the cluster or doesn't trust the store")

func (e *Engine) fit() bool { return e.Fit == nil || e.Fit() }

// watchFitness ends the seat when this engine may not take part any more.
func (e *Engine) watchFitness(ctx context.Context, unfit context.CancelCauseFunc) {
	for wait(ctx, fitPeriod) {
		if !e.fit() {
			unfit(errUnfit)
		}
	}
}

// seated follows the store and campaigns for as long as the seat is held.
func (e *Engine) seated(ctx context.Context, others int) error {
	e.model, e.known, e.term, e.due, e.planned, e.hold = schedule.NewCluster(), false, 0, time.Time{}, time.Time{}, time.Time{}
	e.model.SetPolicy(e.Policy)
	e.contact, e.first, e.refusals = contact{ttl: e.TTL}, time.Time{}, refusals{}
	e.applying = false // what was being written when the last seat was lost told nobody how it ended
	var wg sync.WaitGroup
	wg.Go(func() { e.follow(ctx) })
	wg.Go(func() { e.ping(ctx) })
	wg.Go(func() { e.campaign(ctx, others) })
	wg.Go(func() { e.collect(ctx) })
	e.loop(ctx)
	wg.Wait()
	e.writes.Wait()
	return context.Cause(ctx)
}

// loop is the only one that touches the engine's state.
func (e *Engine) loop(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case fn := <-e.inbox:
			fn()
		case <-timer.C:
		}
		now := time.Now()
		e.plan(ctx, now)
		timer.Reset(e.next(now))
	}
}

// next is how long the loop may sleep.
func (e *Engine) next(now time.Time) time.Duration {
	sleep := time.Hour
	if !e.due.IsZero() && e.leading() {
		sleep = e.due.Sub(now)
	}
	if t, ok := e.wake(); ok {
		sleep = min(sleep, t.Sub(now))
	}
	return max(sleep, 0)
}

// wake is when the model wants to be planned although nothing has changed. What
// was due at the last plan already and couldn't be settled then must neither
// keep the loop busy nor hide what is due later. With changes to plan it waits
// for these, so as not to cut their burst in two.
func (e *Engine) wake() (time.Time, bool) {
	t, ok := e.model.Wake()
	if !t.After(e.planned) {
		t, ok = e.planned.Add(overdue), ok && e.due.IsZero()
	}
	return t, ok && e.leading()
}

// leading reports whether this engine leads and its model has caught up with
// the term: before that it might decide from a past that others have changed.
func (e *Engine) leading() bool {
	return e.term != 0 && e.known && e.model.Revision() >= e.term && !e.applying
}

// plan has the model planned and the decisions written when they are due.
func (e *Engine) plan(ctx context.Context, now time.Time) {
	if !e.leading() {
		return
	}
	if t, ok := e.wake(); ok && !t.After(now) {
		e.due = now
	}
	if e.due.IsZero() || now.Before(e.due) {
		return
	}
	e.due, e.first, e.planned = time.Time{}, time.Time{}, now
	if hold := e.contact.proven(now); !hold.Equal(e.hold) {
		e.model.HoldEvictions(hold)
		e.hold = hold
	}
	decisions := e.model.Plan(now)
	if len(decisions) == 0 {
		return
	}
	e.apply(ctx, decisions)
}

func (e *Engine) apply(ctx context.Context, decisions []schedule.Decision) {
	for _, d := range decisions {
		e.Log.Info("decided", "changes", changes(d), "reason", d.Reason)
	}
	term, lost := e.term, e.lost
	e.applying = true
	e.writes.Go(func() {
		try, cancel := context.WithTimeout(ctx, e.leaderTTL())
		refused, err := e.Store.Apply(try, term, decisions)
		cancel()
		e.post(ctx, func() {
			e.applying = false
			for _, d := range refused {
				e.retry(ctx, d)
			}
			if err == nil {
				e.refusals.settle(decisions, refused)
			}
			if err != nil {
				// What was written is unknown: only a new term makes sure that a late
				// write fails, and only a fresh snapshot tells what was written.
				lost(err)
				e.known = false
				if e.term == term {
					e.term = 0
				}
			}
			e.touched(time.Now())
		})
	})
}

// touched notes that something may be to plan: once a burst is over, or is old.
func (e *Engine) touched(now time.Time) {
	if e.first.IsZero() {
		e.first = now
	}
	e.due = now.Add(quiet)
	if oldest := e.first.Add(patience); e.due.After(oldest) {
		e.due = oldest
	}
}

func (e *Engine) post(ctx context.Context, fn func()) {
	select {
	case e.inbox <- fn:
	case <-ctx.Done():
	}
}

// follow feeds the model for as long as ctx lasts.
func (e *Engine) follow(ctx context.Context) {
	for ctx.Err() == nil {
		err := e.Store.Follow(ctx, func(u schedule.Update) error {
			again := false
			done := make(chan struct{})
			e.post(ctx, func() {
				defer close(done)
				e.model.Apply(u)
				e.known = e.known || u.Snapshot
				again = !e.known
				if u.Snapshot || len(u.Changes) > 0 {
					e.touched(time.Now())
				}
			})
			select {
			case <-done:
			case <-ctx.Done():
				return ctx.Err()
			}
			if again {
				return errStale
			}
			return nil
		})
		if ctx.Err() != nil {
			return
		}
		if !errors.Is(err, errStale) {
			e.Log.Warn("not following the store", "err", err)
			e.post(ctx, func() { e.known = false })
			wait(ctx, 300*time.Millisecond)
		}
	}
}

// errStale: the model was given up and needs a new snapshot.
var errStale = errors.New("the model is stale")

// campaign leads whenever it can. Where others have stood by for longer, it
// lets them go first: they have the contact with the store that proves absence,
// and a newcomer would have to wait for it before it evicts.
func (e *Engine) campaign(ctx context.Context, others int) {
	if others > 0 && !wait(ctx, e.leaderTTL()/2) {
		return
	}
	for ctx.Err() == nil {
		err := e.Elections.Lead(ctx, e.Self, e.leaderTTL(), func(lead context.Context, term int64) error {
			lead, lost := context.WithCancelCause(lead)
			defer lost(nil)
			e.post(lead, func() {
				e.Log.Info("leading", "term", term)
				e.term, e.lost = term, lost
				e.touched(time.Now())
			})
			<-lead.Done()
			return context.Cause(lead)
		})
		e.post(ctx, func() { e.term = 0 })
		if ctx.Err() != nil {
			return
		}
		e.Log.Warn("not leading any more", "err", err)
		wait(ctx, 200*time.Millisecond)
	}
}

// collect has unused unit files deleted now and then while leading.
func (e *Engine) collect(ctx context.Context) {
	for wait(ctx, 10*time.Minute) {
		var term int64
		got := make(chan struct{})
		e.post(ctx, func() { term = e.term; close(got) })
		select {
		case <-got:
		case <-ctx.Done():
			return
		}
		if term == 0 {
			continue
		}
		n, err := e.Store.CollectFiles(ctx, term)
		if err != nil {
			e.Log.Warn("unused unit files not collected", "err", err)
		} else if n > 0 {
			e.Log.Info("unused unit files deleted", "count", n)
		}
	}
}

// wait sleeps for d; false means that ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
