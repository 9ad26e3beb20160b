package agent

import "time"

// judge takes in how the start of the unit's present run came out, if that can
// be said now. While something is done about the unit nothing is judged: what
// is seen then may be of before or after.
func (a *Agent) judge(w *work, now time.Time) {
	if w.busy != nil || w.rec.Generation == 0 {
		return
	}
	switch w.trial.see(w.seen, now) {
	case failed:
		a.failedToStart(w, now)
	case succeeded:
		a.started(w)
	}
	if !w.trial.due().IsZero() && a.failedBefore(w) {
		a.rising[w.seen.Name] = true
	}
}

// judgeRising judges again the units that have failed and by now run: each
// until it is known whether it does well.
func (a *Agent) judgeRising(now time.Time) {
	for name := range a.rising {
		w := a.units[name]
		if w != nil {
			a.judge(w, now)
		}
		switch {
		case w == nil || w.busy != nil || w.rec.Generation == 0 || w.trial.due().IsZero():
			delete(a.rising, name) // until it is judged again
		default:
			a.wakeAt(w.trial.due())
		}
	}
}

func (a *Agent) failedBefore(w *work) bool {
	_, failed := a.health[w.seen.Name]
	return failed || len(w.rec.Failed) > 0
}

// failedToStart counts a failed start, for the machine and for the unit.
func (a *Agent) failedToStart(w *work, now time.Time) {
	name := w.seen.Name
	a.health.failed(name, now)
	if w.place == nil || w.place.Attempts == 0 {
		return
	}
	attempts := w.place.Attempts
	w.after = now.Add(pause(len(w.rec.Failed)+1, attempts))
	if len(w.rec.Failed) >= attempts {
		return
	}
	w.rec.Failed = countFailed(w.rec.Failed, now, attempts)
	a.saveStarts(w)
	a.Log.Warn("unit: a start failed", "unit", name, "failed", len(w.rec.Failed), "of", attempts)
}

// started forgets the failed starts of a unit that does well.
func (a *Agent) started(w *work) {
	a.health.started(w.seen.Name)
	if len(w.rec.Failed) > 0 {
		w.rec.Failed = nil
		a.saveStarts(w)
	}
}

// saveStarts records the failed starts. That a restart of fleetd may then count
// anew is no reason to do anything else.
func (a *Agent) saveStarts(w *work) {
	if err := a.disk.save(w.rec); err != nil {
		a.Log.Warn("unit: failed starts are not recorded", "unit", w.rec.Unit, "err", err)
	}
}
