package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"fleet/schedule"
	"fleet/unit"
)

const (
	retryMin = 200 * time.Millisecond
	retryMax = 5 * time.Second
)

// errDoubt ends a session in which placements went that this machine acts on:
// only a snapshot tells whether it has been forgotten.
var errDoubt = errors.New("the store has changed behind this machine's back")

// attend keeps this machine in the cluster for as long as ctx lasts: one
// session after the other, each until the store can't be followed any more.
func (a *Agent) attend(ctx context.Context) {
	pause := retryMin
	for {
		began := time.Now()
		err := a.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > a.TTL {
			pause = retryMin
		}
		a.Log.Warn("not following the store; the units stay as they are", "err", err, "again in", pause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, retryMax)
	}
}

// session makes sure of the store, claims the machine's lease and follows the
// machine's placements until something ends that.
func (a *Agent) session(whole context.Context) error {
	ctx, cancel := context.WithCancelCause(whole)
	defer cancel(nil)
	// Until the store is followed again nothing new is begun: what this machine
	// was to do may by now be done elsewhere.
	defer a.post(whole, func() { a.following = false })

	if err := a.greet(ctx); err != nil {
		return err
	}
	lease, err := a.claim(ctx)
	if err != nil {
		return err
	}
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		cancel(a.keep(ctx, lease))
	}()
	err = a.Store.Placements(ctx, a.id, func(u schedule.Update) error {
		var doubt bool
		a.ask(ctx, func() {
			before := a.frozen
			a.take(u)
			doubt = a.frozen != "" && a.frozen != before && !u.Snapshot
		})
		if doubt && ctx.Err() == nil {
			return errDoubt
		}
		return ctx.Err()
	})
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	cancel(nil)
	<-kept
	return err
}

// greet checks that the store is the one that this machine knows.
func (a *Agent) greet(ctx context.Context) error {
	var known membership
	if !a.ask(ctx, func() { known = a.member }) {
		return ctx.Err()
	}
	try, cancel := context.WithTimeout(ctx, a.TTL)
	defer cancel()
	id, revision, err := a.Store.Identity(try, known.ClusterID)
	var wrong string
	switch {
	case errors.Is(err, schedule.ErrForgotten):
		wrong = err.Error()
	case err != nil:
		a.ask(ctx, func() {
			if a.frozen == "" {
				a.setProblem(fmt.Sprintf("fleetd can't reach the store: %v", err))
			}
		})
		return err
	case known.ClusterID != "" && known.ClusterID != id:
		wrong = fmt.Sprintf("the store holds cluster %s, this machine belongs to cluster %s", id, known.ClusterID)
	case revision < known.Revision:
		wrong = fmt.Sprintf("the store is at revision %d, this machine has seen revision %d", revision, known.Revision)
	}
	var saved error
	a.ask(ctx, func() {
		if wrong != "" {
			a.freeze(wrong)
			return
		}
		a.member.ClusterID, a.member.Revision = id, max(revision, a.member.Revision)
		saved = a.disk.saveMembership(a.member)
	})
	if wrong != "" {
		return errors.New(wrong)
	}
	return saved
}

// claim gets the machine's lease: the one it had, as long as the store has it.
func (a *Agent) claim(ctx context.Context) (int64, error) {
	var m membership
	if !a.ask(ctx, func() { m = a.member }) {
		return 0, ctx.Err()
	}
	try, cancel := context.WithTimeout(ctx, a.TTL)
	defer cancel()
	lease, err := a.Leases.Claim(try, a.id, m.Nonces, m.Lease, a.TTL)
	if err != nil {
		a.ask(ctx, func() { a.leftOut(err) })
		return 0, err
	}
	a.ask(ctx, func() { err = a.join(lease) })
	return lease, err
}

// leftOut notes why this machine is no part of the cluster.
func (a *Agent) leftOut(err error) {
	a.setProblem(err.Error())
	if errors.Is(err, schedule.ErrClaimed) {
		a.isMember.Store(false)
	}
}

// join takes the lease up: everything is reported under it before presence is.
func (a *Agent) join(lease int64) error {
	if a.frozen == "" {
		a.setProblem("")
	}
	if a.lease == lease {
		return nil
	}
	a.Log.Info("this machine's lease", "lease", lease, "resumed", a.member.Lease == lease)
	a.lease, a.stale = lease, a.member.Grace
	a.presence, a.told, a.reportAt = schedule.Presence{}, false, time.Time{}
	for name, w := range a.units {
		w.inStore, w.reported = false, unit.State{}
		a.dirty[name] = true
	}
	a.member.Lease = lease
	return a.disk.saveMembership(a.member)
}

// keep renews the lease until the store says that it is gone. Silence proves
// nothing: it goes on asking.
func (a *Agent) keep(ctx context.Context, lease int64) error {
	tick := time.NewTicker(a.TTL / 4)
	defer tick.Stop()
	for {
		try, cancel := context.WithTimeout(ctx, a.TTL/2)
		alive, err := a.Leases.Renew(try, lease)
		cancel()
		if err == nil && !alive {
			a.post(ctx, func() { a.lease = 0 })
			return schedule.ErrLeaseGone
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// take takes in what the store says of this machine's placements.
func (a *Agent) take(u schedule.Update) {
	if u.Snapshot {
		for _, w := range a.units {
			w.place = nil
		}
		a.following = true
	}
	var joined int64 // when this machine was let in; 0: it isn't
	for _, c := range u.Changes {
		switch {
		case c.Machine != nil:
			joined = c.Revision
		case c.Placement != nil && c.Deleted:
			a.unit(c.Placement.Unit).place = nil
		case c.Placement != nil:
			a.unit(c.Placement.Unit).place = c.Placement
		case c.State != nil && u.Snapshot:
			// An earlier self reported it: it is to be replaced or deleted.
			w := a.unit(c.State.Name)
			w.inStore = true
		}
	}
	a.saw(u.Revision)
	if u.Snapshot {
		a.forgotten(joined)
	}
	a.checkPlacements()
	if u.Snapshot {
		for name := range a.units {
			a.dirty[name] = true
		}
	}
}

// saw notes the store's revision, now and then also on disk: a fleetd that is
// killed must not forget how far a store had got that later goes back.
func (a *Agent) saw(revision int64) {
	a.member.Revision = max(a.member.Revision, revision)
	if time.Since(a.savedAt) < time.Minute {
		return
	}
	a.savedAt = time.Now()
	if err := a.disk.saveMembership(a.member); err != nil {
		a.Log.Warn("the store's revision is not recorded", "err", err)
	}
}

// forgotten lets go of the placements that went when the store forgot this
// machine: what it runs for them runs on, as nobody's. Machines are let in
// before anything is placed on them, so a machine whose record is younger than
// a placement that the store lacks, or is missing, was forgotten meanwhile; a
// store that has merely gone back has the record as it was.
func (a *Agent) forgotten(joined int64) {
	for name, w := range a.units {
		if w.place == nil && w.rec.Generation != 0 && w.rec.Released == 0 && (joined == 0 || joined > w.rec.Generation) {
			a.Log.Warn("this machine was forgotten: the unit stays as it is, without a placement", "unit", name)
			w.orphaned = w.busy != nil
			a.orphan(w)
		}
	}
}

// orphan makes nobody's unit of w. What can't be recorded is found out again.
func (a *Agent) orphan(w *work) {
	w.rec = w.rec.orphaned()
	if err := a.disk.save(w.rec); err != nil {
		a.Log.Warn("that the unit is an orphan is not recorded", "unit", w.rec.Unit, "err", err)
	}
}

// checkPlacements freezes while the store lacks a placement that this machine
// acted on, or shows an older one, and thaws when it no longer does.
func (a *Agent) checkPlacements() {
	for name, w := range a.units {
		if why := w.unknownPast(); why != "" {
			a.freeze(fmt.Sprintf("%s: %s", name, why))
			return
		}
	}
	a.thaw()
}

// unknownPast says in what the store's placement is not what this machine has
// acted on already; empty if it is in nothing.
func (s situation) unknownPast() string {
	switch {
	case s.rec.Generation == 0 && s.place != nil && s.place.Order != schedule.Release && s.place.Generation <= s.past:
		return fmt.Sprintf("the store shows the placement of generation %d, this machine has released it at generation %d",
			s.place.Generation, s.past)
	case s.rec.Generation == 0:
		return ""
	case s.place == nil && s.rec.Released == 0:
		return fmt.Sprintf("the store lacks the placement of generation %d that this machine acts on", s.rec.Generation)
	case s.place != nil && s.place.Generation < s.rec.Generation:
		return fmt.Sprintf("the store shows the placement of generation %d, this machine acts on generation %d",
			s.place.Generation, s.rec.Generation)
	}
	return ""
}

// leave ends this machine's part in order. The host staying up, its units run
// on and its presence outlives fleetd by the grace period; the host going
// down, its units have been stopped and may start elsewhere at once.
func (a *Agent) leave(ctx context.Context) error {
	if a.lease == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, a.TTL)
	defer cancel()
	if a.HostStopping != nil && a.HostStopping() {
		a.Log.Info("the host is going down: handing its units over")
		return a.Leases.End(ctx, a.lease)
	}
	if a.Grace <= a.TTL {
		return nil // the lease lasts as long by itself
	}
	var grace int64
	err := insist(ctx, func() (err error) {
		grace, err = a.Leases.Claim(ctx, a.id, a.member.Nonces, 0, a.Grace)
		return err
	})
	if err != nil {
		return fmt.Errorf("leave in order: %w", err)
	}
	old := a.lease
	a.member.Lease, a.member.Grace = 0, grace
	if err := a.disk.saveMembership(a.member); err != nil {
		return err
	}
	var changes []schedule.Change
	for _, w := range a.units {
		if w.inStore && !w.gone() {
			st := a.stateOf(w)
			changes = append(changes, schedule.Change{State: &st})
		}
	}
	err = insist(ctx, func() error {
		if err := a.Store.Report(ctx, grace, changes); err != nil || a.presence.MachineID == "" {
			return err
		}
		return a.Store.Present(ctx, grace, a.presence, a.member.Nonces)
	})
	if err != nil {
		return fmt.Errorf("leave in order: %w", err)
	}
	return a.Leases.End(ctx, old)
}

// insist does again what fails, for as long as ctx lasts: one lost answer must
// not cost a machine its units.
func insist(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil || errors.Is(err, schedule.ErrClaimed) || errors.Is(err, schedule.ErrLeaseGone) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(retryMin):
		}
	}
}

// ask runs fn in the loop and waits for it; false means that ctx ended first.
func (a *Agent) ask(ctx context.Context, fn func()) bool {
	done := make(chan struct{})
	a.post(ctx, func() { fn(); close(done) })
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

func randomNonce() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails, by its contract
	return hex.EncodeToString(b[:])
}
