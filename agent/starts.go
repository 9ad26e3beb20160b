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
	if !w.trial.due().IsZero() && (a.failedBefore(w) || w.rec.unproven()) {
		a.rising[w.seen.Name] = true
	}
}

// judgeRising judges again the units that run and whose success is to be noted:
// each until it is known whether it does well.
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
	attempts := w.rec.Attempts
	if attempts == 0 {
		return
	}
	w.after = now.Add(pause(len(w.rec.Failed)+1, attempts))
	if len(w.rec.Failed) >= attempts {
		return
	}
	w.rec.Failed = countFailed(w.rec.Failed, now, attempts)
	a.saveStarts(w)
	a.Log.Warn("unit: a start failed", "unit", name, "failed", len(w.rec.Failed), "of", attempts)
}

// started forgets the failed starts of a unit that does well, and remembers
// that it does where they count.
func (a *Agent) started(w *work) {
	a.health.started(w.seen.Name)
	unproven := w.rec.unproven()
	if len(w.rec.Failed) == 0 && !unproven {
		return
	}
	w.rec.Failed = nil
	if unproven {
		well := *w.rec.Started
		well.Steady = true
		w.rec.Started = &well
	}
	a.saveStarts(w)
}

// unproven reports whether the failed starts of the unit are counted and it is
// not known yet that it has done well since it was started.
func (r Record) unproven() bool {
	return r.Attempts > 0 && r.Started != nil && r.Started.Done && !r.Started.Steady
}

// saveStarts records how the starts came out. That a restart of fleetd may then
// count anew is no reason to do anything else.
func (a *Agent) saveStarts(w *work) {
	if err := a.disk.save(w.rec); err != nil {
		a.Log.Warn("unit: failed starts are not recorded", "unit", w.rec.Unit, "err", err)
	}
}
