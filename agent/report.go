package agent

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"fleet/schedule"
	"fleet/unit"
)

// observe takes in what the runner sees, for as long as ctx lasts.
func (a *Agent) observe(ctx context.Context) {
	for ctx.Err() == nil {
		err := a.Runner.Observe(ctx, func(o Observation) {
			a.post(ctx, func() { a.see(o) })
		})
		if ctx.Err() != nil {
			return
		}
		a.Log.Warn("can't see the machine's units", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (a *Agent) see(o Observation) {
	now, first := time.Now(), !a.observed
	if o.All {
		a.observed = true
		there := map[string]bool{}
		for _, s := range o.Units {
			there[s.Name] = true
		}
		for name, w := range a.units {
			if !there[name] && w.busy == nil && w.seen.Hash != "" {
				w.seen = Observed{Name: name}
				a.dirty[name] = true
			}
		}
	}
	for _, s := range o.Units {
		w := a.unit(s.Name)
		w.seen, w.unseen = s, false
		if first {
			w.trial.find(s, now)
		}
		a.judge(w, now)
	}
}

// probe asks now and then whether the machine is fit for new units.
func (a *Agent) probe(ctx context.Context) {
	if a.Ready == nil {
		return
	}
	for {
		try, cancel := context.WithTimeout(ctx, a.TTL)
		err := a.Ready(try)
		cancel()
		a.post(ctx, func() { a.ready = err })
		select {
		case <-ctx.Done():
			return
		case <-time.After(a.TTL / 2):
		}
	}
}

// report writes what has changed since the last report, in one batch at a
// time, and last of all that the machine is there.
func (a *Agent) report(ctx context.Context) {
	if a.reporting || a.lease == 0 || !a.observed || !a.following {
		return
	}
	if time.Now().Before(a.reportAt) {
		a.wakeAt(a.reportAt)
		return
	}
	lease, batch := a.lease, a.unreported()
	p := a.present()
	if len(batch) == 0 && p == a.presence && a.told {
		a.forgetUnits()
		return
	}
	changes := make([]schedule.Change, 0, len(batch)+1)
	if machine := a.Machine; !a.told {
		changes = append(changes, schedule.Change{Machine: &machine})
		a.told = true
	}
	changes = append(changes, batch...)
	announce := p != a.presence
	if announce {
		a.offerNonce()
	}
	stale, nonces := a.stale, a.member.Nonces
	a.reporting = true
	a.workers.Go(func() {
		err := a.send(ctx, lease, changes, p, announce, stale, nonces)
		a.post(ctx, func() {
			a.reporting = false
			if a.sent(lease, batch, p, err); err == nil && stale != 0 {
				a.stale, a.member.Grace = 0, 0
			}
		})
	})
}

// offerNonce records the nonce before the store gets it. Those of earlier
// starts count as this machine's until then, however many starts that takes.
func (a *Agent) offerNonce() {
	if slices.Contains(a.member.Nonces, a.nonce) {
		return
	}
	a.member.Nonces = append(slices.Clone(a.member.Nonces), a.nonce)
	if err := a.disk.saveMembership(a.member); err != nil {
		a.Log.Error("this start's nonce is not recorded: the next start may be taken for another machine", "err", err)
	}
}

func (a *Agent) send(ctx context.Context, lease int64, changes []schedule.Change, p schedule.Presence, announce bool, stale int64, nonces []string) error {
	ctx, cancel := context.WithTimeout(ctx, a.TTL)
	defer cancel()
	if err := a.Store.Report(ctx, lease, changes); err != nil {
		return err
	}
	if announce {
		if err := a.Store.Present(ctx, lease, p, nonces); err != nil {
			return err
		}
	}
	if stale != 0 {
		return a.Leases.End(ctx, stale)
	}
	return nil
}

// sent takes in what became of a report.
func (a *Agent) sent(lease int64, batch []schedule.Change, p schedule.Presence, err error) {
	if lease != a.lease {
		return // everything is reported anew under another lease
	}
	if err != nil {
		for _, c := range batch { // the store may have the one or the other
			w := a.units[c.State.Name]
			w.reported, w.inStore = unit.State{}, true
		}
		a.told = false
		a.Log.Warn("report not written", "err", err)
		if errors.Is(err, schedule.ErrClaimed) {
			a.leftOut(err)
		}
		a.reportAt = time.Now().Add(time.Second)
		return
	}
	if a.presence = p; len(a.member.Nonces) > 1 {
		a.member.Nonces = []string{a.nonce} // saved with the next thing that is
	}
	for _, c := range batch {
		w := a.units[c.State.Name]
		w.reported, w.inStore = *c.State, !c.Deleted
	}
}

// present is what this machine's presence should say.
func (a *Agent) present() schedule.Presence {
	var problems []string
	if a.frozen != "" {
		problems = append(problems, a.frozen)
	}
	if a.ready != nil {
		problems = append(problems, a.ready.Error())
	}
	if failing, until := a.health.problem(time.Now()); failing != "" {
		problems = append(problems, failing)
		a.wakeAt(until)
	}
	return schedule.Presence{
		MachineID: a.id, BootID: a.BootID, Nonce: a.nonce,
		Ready: len(problems) == 0, Problem: strings.Join(problems, "; "),
	}
}

// unreported returns the states that the store does not have yet, and those
// that it should not have any more.
func (a *Agent) unreported() []schedule.Change {
	var batch []schedule.Change
	for _, w := range a.units {
		st, gone := a.stateOf(w), w.gone()
		if gone && w.inStore || !gone && (!w.inStore || st != w.reported) {
			batch = append(batch, schedule.Change{State: &st, Deleted: gone})
		}
	}
	return batch
}

// stateOf is what is to be told of the unit now. A unit that was started has got
// nowhere before it is seen to: it would look like one that has ended.
func (a *Agent) stateOf(w *work) unit.State {
	st := w.state(a.id, w.failure)
	if w.busy != nil && w.busy.verb != note || w.unseen {
		st.Reached = unit.Inactive
	}
	return st
}

// gone reports whether there is nothing to tell of the unit: not placed here,
// not acted on, not seen.
func (w *work) gone() bool {
	return w.place == nil && w.rec.Generation == 0 && w.seen.Hash == "" && !w.seen.active() && w.busy == nil
}

// forgetUnits drops what the loop knew of units that are gone.
func (a *Agent) forgetUnits() {
	for name, w := range a.units {
		if w.gone() && !w.inStore {
			if w.past == 0 || w.rec.Started != nil { // what is on disk is an orphan's
				if err := a.dropOrphan(w); err != nil {
					a.Log.Warn("an old record stays", "unit", name, "err", err)
				}
			}
			delete(a.units, name)
			delete(a.dirty, name)
		}
	}
}

// dropOrphan removes the record of a unit that was nobody's and is gone, and
// keeps of it at which generation it was released before that.
func (a *Agent) dropOrphan(w *work) error {
	if w.past == 0 {
		return a.disk.drop(w.seen.Name)
	}
	return a.disk.save(Record{Unit: w.seen.Name, Released: w.past})
}
