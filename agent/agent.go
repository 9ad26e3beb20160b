package agent

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"fleet/schedule"
	"fleet/unit"
)

// Store is what the agent needs of the cluster's store.
type Store interface {
	// Identity returns the ID of the cluster in the store and the store's
	// revision. Where there is none, one is created if known is empty; else the
	// error wraps schedule.ErrForgotten.
	Identity(ctx context.Context, known string) (id string, revision int64, err error)
	// Placements calls fn with a snapshot of the machine's placements and
	// reported states and then with every change of its placements.
	Placements(ctx context.Context, machine string, fn func(schedule.Update) error) error
	// File returns the text of the unit file with that hash.
	File(ctx context.Context, hash string) (string, error)
	// Report writes the machine's record and unit states, the states under the
	// lease, and deletes the states marked so.
	Report(ctx context.Context, lease int64, changes []schedule.Change) error
	// Present writes the machine's presence under the lease, replacing only one
	// whose nonce is among mine; else the error wraps schedule.ErrClaimed.
	Present(ctx context.Context, lease int64, p schedule.Presence, mine []string) error
}

// Leases is what the agent needs of the store's leases.
type Leases interface {
	// Claim returns the previous lease if the store still has it, else a new
	// one. While the machine's presence has a nonce that is not among mine, the
	// error wraps schedule.ErrClaimed.
	Claim(ctx context.Context, machine string, mine []string, previous int64, ttl time.Duration) (lease int64, err error)
	// Renew keeps a lease; alive is false only when the store says it is gone.
	Renew(ctx context.Context, lease int64) (alive bool, err error)
	// End gives a lease up, with everything under it.
	End(ctx context.Context, lease int64) error
}

// Config is what an agent is made of.
type Config struct {
	Machine schedule.Machine
	BootID  string
	Dir     string        // for the machine's records
	TTL     time.Duration // of the machine's lease
	Grace   time.Duration // how long the presence outlives an orderly stop of fleetd
	Store   Store
	Leases  Leases
	Runner  Runner
	// Ready returns why the machine should take no new units, nil if it should.
	Ready func(context.Context) error
	// HostStopping reports whether the host itself is going down, when the
	// machine's units have been stopped already.
	HostStopping func() bool
	Log          *slog.Logger
}

// Agent runs one machine's units. Use New and Run once.
type Agent struct {
	Config
	id    string // the machine's, which never changes, whatever else of Machine does
	disk  *disk
	inbox chan func() // run by the loop, which alone touches what follows

	units     map[string]*work
	past      map[string]int64 // generations at which units were released for good
	dirty     map[string]bool
	health    health
	rising    map[string]bool // units that failed to start before and may by now succeed
	member    membership
	savedAt   time.Time // when member was last saved for its revision
	nonce     string    // of this start, so that a copy of the disk made earlier is not taken for it
	told      bool      // the machine's record is in the store as it is
	observed  bool      // the runner has told everything once
	following bool      // the placements are those of the store we know
	frozen    string
	lease     int64
	stale     int64 // a lease to end once everything is reported under lease
	reporting bool
	reportAt  time.Time         // not to be reported again before
	presence  schedule.Presence // as last written under lease
	ready     error
	wake      time.Time // when something is due to be tried again

	problem  atomic.Pointer[string]
	isMember atomic.Bool
	workers  sync.WaitGroup
}

// New reads the machine's records.
func New(c Config) (*Agent, error) {
	d, err := openDisk(c.Dir)
	if err != nil {
		return nil, err
	}
	recs, err := d.records()
	if err != nil {
		return nil, err
	}
	member, err := d.membership()
	if err != nil {
		return nil, err
	}
	a := &Agent{
		Config: c, id: c.Machine.ID, disk: d, member: member, nonce: randomNonce(),
		inbox: make(chan func()),
		units: map[string]*work{}, past: map[string]int64{}, dirty: map[string]bool{},
		health: health{}, rising: map[string]bool{},
	}
	for name, rec := range recs {
		if rec.past() {
			a.past[name] = rec.Released
			continue
		}
		w := a.unit(name)
		w.rec, w.found = rec, true
	}
	a.setProblem("fleetd has not reached the store yet")
	return a, nil
}

// KnownCluster is the ID of the cluster that the machine with its records in
// dir has been part of, empty if of none.
func KnownCluster(dir string) (string, error) {
	m, err := (&disk{dir}).membership()
	return m.ClusterID, err
}

// Problem says why this machine is no part of the cluster at present; empty if
// it is. It may be called from anywhere.
func (a *Agent) Problem() string { return *a.problem.Load() }

func (a *Agent) setProblem(p string) { a.problem.Store(&p) }

// Member reports whether this machine may take part in leading the cluster: it
// has been let in under its ID, and the store is the one that it knows. A store
// that merely doesn't answer changes nothing about that. It may be called from
// anywhere.
func (a *Agent) Member() bool { return a.isMember.Load() }

// SetMachine has the machine's record written anew: its metadata or its address
// changed. It returns when the agent's loop has taken it in, if that runs.
func (a *Agent) SetMachine(m schedule.Machine) {
	ctx, cancel := context.WithTimeout(context.Background(), a.TTL)
	defer cancel()
	a.ask(ctx, func() { a.Machine, a.told = m, false })
}

// Responsive reports whether the agent's loop is alive, before ctx ends.
func (a *Agent) Responsive(ctx context.Context) bool { return a.ask(ctx, func() {}) }

// Run takes part in the cluster until ctx ends, and then leaves in order: the
// units stay as they are.
func (a *Agent) Run(ctx context.Context) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { a.observe(inner) })
	wg.Go(func() { a.attend(inner) })
	wg.Go(func() { a.probe(inner) })

	a.loop(inner)
	cancel()
	wg.Wait()
	a.workers.Wait()
	return a.leave(context.WithoutCancel(ctx))
}

// loop is the only one that touches the agent's state. What happens elsewhere
// comes in as functions to run here.
func (a *Agent) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case fn := <-a.inbox:
			fn()
		case <-timer.C:
		}
		a.wake = time.Time{}
		now := time.Now()
		a.judgeRising(now)
		a.step(ctx, now)
		a.report(ctx)
		if !a.wake.IsZero() {
			timer.Reset(time.Until(a.wake))
		}
	}
}

// post runs fn in the loop, unless ctx ends first.
func (a *Agent) post(ctx context.Context, fn func()) {
	select {
	case a.inbox <- fn:
	case <-ctx.Done():
	}
}

// wakeAt has the loop run again at t at the latest.
func (a *Agent) wakeAt(t time.Time) {
	if a.wake.IsZero() || t.Before(a.wake) {
		a.wake = t
	}
}

// step starts whatever is next for every unit that something happened to.
func (a *Agent) step(ctx context.Context, now time.Time) {
	if !a.observed || !a.following || a.frozen != "" {
		return
	}
	for name := range a.dirty {
		w := a.units[name]
		delete(a.dirty, name)
		if w.busy != nil {
			a.interrupt(w)
			continue
		}
		act := decide(w.situation)
		if act.verb == nothing {
			w.tries, w.failure = 0, ""
			continue
		}
		if now.Before(w.after) && w.wants() == w.tried {
			a.dirty[name] = true
			a.wakeAt(w.after)
			continue
		}
		if act.verb == start && a.awaits(name) {
			continue // looked at again when that is loaded
		}
		a.begin(ctx, name, w, act)
	}
}

// interrupt ends a start that is no longer wanted: a unit that takes long to
// start, or hangs, must not keep its release or its new file waiting.
func (a *Agent) interrupt(w *work) {
	if w.busy.verb != start || w.place == nil {
		return
	}
	p := w.place
	if p.Order == schedule.Release || p.Target != unit.Launched || p.Hash != w.rec.Hash {
		w.cancel()
	}
}

// begin carries out one action in the background.
func (a *Agent) begin(ctx context.Context, name string, w *work, act action) {
	a.Log.Info("unit: "+string(act.verb), "unit", name, "reason", act.reason)
	opctx, cancel := context.WithCancel(ctx)
	w.busy, w.cancel, w.before = &act, cancel, w.seen.InvocationID
	if w.found = false; act.verb == start {
		w.trial.owed = false
	}
	if wants := w.wants(); wants != w.tried {
		w.tries, w.tried = 0, wants
	}
	s := w.situation
	if s.place != nil {
		p := *s.place
		s.place = &p
		w.rec = s.acting()
	}
	a.workers.Go(func() {
		defer cancel()
		done := a.perform(opctx, act.verb, s)
		a.post(ctx, func() { a.finish(ctx, name, w, act, done) })
	})
}

// finish takes in what an action came to.
func (a *Agent) finish(ctx context.Context, name string, w *work, act action, o outcome) {
	w.busy, w.cancel = nil, nil
	a.dirty[name] = true
	w.rec = o.rec
	if w.orphaned && w.rec.Released == 0 {
		a.orphan(w)
	}
	w.orphaned = false
	if o.seen != nil {
		o.seen(&w.seen)
	}
	switch {
	case o.err == nil:
		w.failure, w.tries, w.after = "", 0, time.Time{}
		if act.verb == forget {
			w.past, w.rec = w.rec.Released, Record{Unit: name}
			a.remember(name, w.past)
		}
		if act.verb == load {
			a.loaded(name)
		}
	case errors.Is(o.err, context.Canceled):
		// Interrupted: what is wanted now is decided anew.
	default:
		w.failure = o.err.Error()
		w.tries++
		w.after = time.Now().Add(backoff(w.tries))
		a.Log.Error("unit: "+string(act.verb)+" failed", "unit", name, "err", o.err, "again in", backoff(w.tries))
	}
	w.unseen = act.verb == start && o.err == nil && !o.failed && !w.seen.active() && w.seen.InvocationID == w.before
	if now := time.Now(); o.failed {
		w.trial.jobFailed(w.seen)
		a.failedToStart(w, now)
	} else {
		a.judge(w, now)
	}
}

// remember keeps the generation at which a unit was released for good, of so
// many units as are likely to come back with an older copy of the store.
func (a *Agent) remember(name string, generation int64) {
	a.past[name] = generation
	if len(a.past) <= longestPast {
		return
	}
	oldest := name
	for other, g := range a.past {
		if g < a.past[oldest] {
			oldest = other
		}
	}
	delete(a.past, oldest)
	if w := a.units[oldest]; w == nil || w.rec.Generation == 0 && w.busy == nil {
		if err := a.disk.drop(oldest); err != nil {
			a.Log.Warn("an old record stays", "unit", oldest, "err", err)
		}
	}
}

const longestPast = 4096

// backoff is how long to wait before try n+1: from half a second to a minute.
func backoff(n int) time.Duration {
	return min(time.Minute, 250*time.Millisecond<<min(n, 10))
}

func (a *Agent) freeze(why string) {
	if a.frozen != why {
		a.Log.Error("frozen: this is not the store that this machine knew; keeping every unit, starting nothing",
			"why", why, "if the store is right all the same", "stop fleetd, move "+a.Dir+" away, start it")
	}
	a.frozen = why
	a.isMember.Store(false)
	a.setProblem("frozen: " + why)
}

func (a *Agent) thaw() {
	if a.frozen != "" {
		a.Log.Warn("the store is right again", "was", a.frozen)
	}
	a.frozen = ""
	a.isMember.Store(true)
	a.setProblem("")
	for name := range a.units {
		a.dirty[name] = true
	}
}
