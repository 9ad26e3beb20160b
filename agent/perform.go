package agent

import (
	"context"
	"errors"
	"fmt"

	"fleet/schedule"
	"fleet/unit"
)

// outcome is what an action came to.
type outcome struct {
	rec  Record
	seen func(*Observed) // what is known to be so until the runner tells
	err  error           // to be tried again
	// failed says that the unit's start failed, and why is in rec or in err.
	failed bool
}

// acting is the record of a machine that has taken the placement up.
func (s situation) acting() Record {
	r := s.rec
	p := s.place
	if r.Generation != p.Generation {
		r.Failed = nil
	}
	r.Unit, r.Hash, r.Target, r.Order, r.Generation, r.Attempts = p.Unit, p.Hash, p.Target, p.Order, p.Generation, p.Attempts
	if p.Order != schedule.Release {
		r.Released = 0
	}
	return r
}

// perform carries out one action. The placement acted on is on disk before
// anything is done about it, so that no store can make this machine forget it.
func (a *Agent) perform(ctx context.Context, v verb, s situation) outcome {
	if v == forget {
		return outcome{rec: s.rec, err: a.disk.save(Record{Unit: s.rec.Unit, Released: s.rec.Released})}
	}
	o := outcome{rec: s.acting()}
	if v == load || v == start {
		// The old generation stands until the new one has been reached.
		o.rec.Started = s.rec.Started
	}
	if err := a.disk.save(o.rec); err != nil {
		return outcome{rec: s.rec, err: err}
	}
	switch v {
	case note:
		a.performNote(s, &o)
	case load:
		a.performLoad(ctx, s, &o)
	case start:
		a.performStart(ctx, s, &o)
	case stop:
		a.performStop(ctx, s, &o)
	case release:
		a.performRelease(ctx, s, &o)
	}
	return o
}

func (a *Agent) performNote(s situation, o *outcome) {
	if st := o.rec.Started; st != nil {
		if s.place.Target == unit.Launched {
			again := *st
			again.Generation = s.place.Generation
			o.rec.Started = &again
		} else {
			o.rec.Started = nil
		}
	}
	o.err = a.disk.save(o.rec)
}

func (a *Agent) performLoad(ctx context.Context, s situation, o *outcome) {
	text, err := a.Store.File(ctx, s.place.Hash)
	if err != nil {
		o.err = err
		return
	}
	if o.err = a.Runner.Load(ctx, s.place.Unit, text); o.err != nil {
		return
	}
	hash := s.place.Hash
	o.seen = func(seen *Observed) { seen.Hash = hash }
}

// performStart records that the start begins, starts, and records how it
// ended. A unit that failed to start is not started again: that is what its
// Restart= is for. Everything else that goes wrong is tried again.
func (a *Agent) performStart(ctx context.Context, s situation, o *outcome) {
	begun := &Started{Hash: s.place.Hash, BootID: s.boot, Generation: s.place.Generation}
	o.rec.Started = begun
	if o.err = a.disk.save(o.rec); o.err != nil {
		return
	}
	err := a.Runner.Start(ctx, s.place.Unit)
	// A trigger whose service isn't there says nothing of the machine.
	o.failed = err != nil && !errors.Is(err, context.Canceled) && !isTrigger(s.place.Unit)
	// A trigger fails to start as long as what it triggers isn't there, which
	// may come later: that is tried again.
	if err != nil && (!errors.Is(err, ErrFailed) || isTrigger(s.place.Unit)) {
		o.err = err
		return
	}
	done := *begun
	done.Done = true
	if err != nil {
		done.Failure = err.Error()
		a.Log.Warn("unit: failed to start", "unit", s.place.Unit, "err", err)
	}
	o.rec.Started = &done
	o.err = a.disk.save(o.rec)
}

// performStop stops the unit. The record keeps the earlier target until it has
// stopped, so that an interrupted stop is still seen as one to make.
func (a *Agent) performStop(ctx context.Context, s situation, o *outcome) {
	lowered := o.rec
	o.rec.Target = s.rec.Target
	if o.err = a.disk.save(o.rec); o.err != nil {
		return
	}
	if o.err = a.Runner.Stop(ctx, s.place.Unit); o.err != nil {
		return
	}
	lowered.Started = nil
	o.rec = lowered
	o.err = a.disk.save(o.rec)
	o.seen = func(seen *Observed) { seen.ActiveState, seen.SubState = "inactive", "dead" }
}

func (a *Agent) performRelease(ctx context.Context, s situation, o *outcome) {
	// What was seen may be older than the last load, so it is not asked: the
	// runner knows what is fleet's and leaves everything else alone.
	if err := a.Runner.Stop(ctx, s.place.Unit); err != nil {
		o.err = fmt.Errorf("release: %w", err)
		return
	}
	if err := a.Runner.Unload(ctx, s.place.Unit); err != nil {
		o.err = fmt.Errorf("release: %w", err)
		return
	}
	o.rec.Started, o.rec.Released = nil, s.place.Generation
	if o.err = a.disk.save(o.rec); o.err != nil {
		o.rec.Released = 0
		return
	}
	name := s.place.Unit
	o.seen = func(seen *Observed) { *seen = Observed{Name: name} }
}
