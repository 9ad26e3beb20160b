package agent

import (
	"strings"
	"time"
)

// steady is how long a unit must have been active for its start to have
// succeeded: a service of most types counts as started the moment that its
// process exists, also where that ends at once.
const steady = time.Minute

// verdict is how the start of a run came out.
type verdict int

const (
	undecided verdict = iota
	succeeded         // it was active for as long as steady, or ended well
	failed            // it ended badly before
)

// trial follows a unit's runs, those that systemd begins by itself too, and
// tells of each how its start came out, once. Runs are told apart by their
// invocation ID and are seen to fail in the time that systemd leaves between
// two of them (RestartSec=, 100 ms if nothing is said). A loop so fast that
// some are missed runs into systemd's start limit, and so fails for all to see.
type trial struct {
	run  string    // invocation ID
	up   time.Time // when it was first seen active; zero: not yet
	told bool      // how it came out
	late bool      // its beginning was not seen: if it fails, that may be long after
	owed bool      // a start job failed and was counted, and its run was not seen to fail yet
}

// find takes in what the machine shows when it is first looked at.
func (t *trial) find(o Observed, now time.Time) {
	*t = trial{run: o.InvocationID, told: !o.active(), late: true}
	t.see(o, now)
}

// see takes in what the machine shows of the unit at now.
func (t *trial) see(o Observed, now time.Time) verdict {
	if o.InvocationID != t.run {
		*t = trial{run: o.InvocationID, owed: t.owed}
	}
	if t.told || t.run == "" {
		return undecided
	}
	switch {
	case !t.up.IsZero() && now.Sub(t.up) >= steady:
		t.told = true
		return succeeded
	case o.failed():
		counts := !t.owed && !t.late
		t.told, t.owed = true, false
		if counts {
			return failed
		}
	case !o.active() || o.restarting():
		t.told = true
		return succeeded
	case o.ActiveState == "active":
		t.owed = false
		if t.up.IsZero() {
			t.up = now
		}
	}
	return undecided
}

// jobFailed takes in that a start job failed, which counts whether there was a
// run or not, when the machine shows o.
func (t *trial) jobFailed(o Observed) {
	if o.failed() && o.InvocationID != t.run {
		*t = trial{run: o.InvocationID, told: true}
		return
	}
	t.owed = true
}

// due is when the start will have succeeded if nothing happens; zero if that
// can't be said.
func (t *trial) due() time.Time {
	if t.told || t.up.IsZero() {
		return time.Time{}
	}
	return t.up.Add(steady)
}

// restarting says that systemd waits to start the unit again by itself.
func (o Observed) restarting() bool { return strings.HasPrefix(o.SubState, "auto-restart") }

// failed says that the unit's last run ended badly.
func (o Observed) failed() bool {
	return o.ActiveState == "failed" || o.restarting() && o.Result != "success" && o.Result != ""
}

// startWindow is within how long so many starts must fail as Reschedule= says.
const startWindow = 10 * time.Minute

// countFailed adds a failed start at now to those of the last ten minutes.
// Once there have been as many as the placement allows for, it is left at that:
// the unit has failed here until it succeeds or is asked for anew.
func countFailed(before []time.Time, now time.Time, attempts int) []time.Time {
	if len(before) >= attempts {
		return before
	}
	var recent []time.Time
	for _, t := range before {
		if now.Sub(t) < startWindow {
			recent = append(recent, t)
		}
	}
	return append(recent, now)
}

// pause is how long to wait after the nth failed start of so many: ever longer,
// and not so long that they don't fit into the window.
func pause(n, attempts int) time.Duration {
	return min(backoff(n), startWindow/2/time.Duration(attempts))
}
