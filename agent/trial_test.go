package agent

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"fleet/unit"
)

// shown is what a machine shows of a unit at a time.
type shown struct {
	after time.Duration // since the one before
	state string        // after "found " when fleetd began, or "job failed, "
	run   string
	want  verdict
}

func show(state, run string) Observed {
	o := Observed{InvocationID: run, Result: "success"}
	switch state {
	case "active":
		o.ActiveState, o.SubState = "active", "running"
	case "activating":
		o.ActiveState, o.SubState = "activating", "start"
	case "dead":
		o.ActiveState, o.SubState = "inactive", "dead"
	case "failed":
		o.ActiveState, o.SubState, o.Result = "failed", "failed", "exit-code"
	case "restart":
		o.ActiveState, o.SubState, o.Result = "activating", "auto-restart", "exit-code"
	case "again": // Restart=always after a clean exit
		o.ActiveState, o.SubState = "activating", "auto-restart"
	}
	return o
}

func TestTrial(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name string
		saw  []shown
	}{
		{"it is up and stays up", []shown{
			{0, "activating", "1", undecided}, {s, "active", "1", undecided},
			{59 * s, "active", "1", undecided}, {s, "active", "1", succeeded},
			{time.Hour, "active", "1", undecided}, {s, "failed", "1", undecided},
		}},
		{"it ends at once", []shown{
			{0, "active", "1", undecided}, {s, "failed", "1", failed}, {s, "failed", "1", undecided},
		}},
		{"it takes long to start and fails", []shown{
			{0, "activating", "1", undecided}, {90 * s, "failed", "1", failed},
		}},
		{"systemd starts it again and again", []shown{
			{0, "active", "1", undecided}, {s, "restart", "1", failed}, {s, "restart", "1", undecided},
			{s, "active", "2", undecided}, {s, "restart", "2", failed},
			{s, "restart", "3", failed}, {s, "failed", "3", undecided},
		}},
		{"it failed after hours, and systemd gets it up", []shown{
			{0, "active", "1", undecided}, {time.Hour, "restart", "1", succeeded},
			{s, "active", "2", undecided}, {60 * s, "active", "2", succeeded},
		}},
		{"it failed after hours, and so does its restart", []shown{
			{0, "active", "1", undecided}, {time.Hour, "restart", "1", succeeded},
			{s, "active", "2", undecided}, {s, "restart", "2", failed},
		}},
		{"it does its work and ends", []shown{
			{0, "activating", "1", undecided}, {s, "dead", "1", succeeded},
		}},
		{"it ends well and is started again, as Restart=always says", []shown{
			{0, "active", "1", undecided}, {s, "again", "1", succeeded}, {s, "active", "2", undecided},
		}},
		{"its start job fails, as is seen later", []shown{
			{0, "job failed, activating", "1", undecided}, {s, "failed", "1", undecided},
			{s, "activating", "2", undecided}, {s, "failed", "2", failed},
		}},
		{"its start job failed, as was seen before", []shown{
			{0, "dead", "", undecided},
			{0, "job failed, restart", "2", undecided}, {s, "restart", "2", undecided},
			{s, "restart", "3", failed},
		}},
		{"its start job failed without a run, and later it runs", []shown{
			{0, "job failed, dead", "", undecided}, {s, "active", "2", undecided}, {s, "failed", "2", failed},
		}},
		{"it had failed when fleetd began", []shown{
			{0, "found failed", "1", undecided}, {s, "failed", "1", undecided}, {s, "failed", "2", failed},
		}},
		{"it ran when fleetd began, and fails soon", []shown{
			{0, "found active", "1", undecided}, {s, "restart", "1", undecided}, {s, "restart", "2", failed},
		}},
		{"it ran when fleetd began, and runs on", []shown{
			{0, "found active", "1", undecided}, {60 * s, "active", "1", succeeded},
		}},
		{"nothing of it ever ran", []shown{{0, "found dead", "", undecided}, {time.Hour, "dead", "", undecided}}},
	} {
		var tr trial
		now := time.Unix(1e9, 0)
		for i, see := range c.saw {
			now = now.Add(see.after)
			got := undecided
			if state, found := strings.CutPrefix(see.state, "found "); found {
				tr.find(show(state, see.run), now)
			} else if state, job := strings.CutPrefix(see.state, "job failed, "); job {
				tr.jobFailed(show(state, see.run))
			} else {
				got = tr.see(show(state, see.run), now)
			}
			if got != see.want {
				t.Errorf("%s: %d, %s: %d, want %d", c.name, i, see.state, got, see.want)
			}
		}
	}
}

func TestCountFailed(t *testing.T) {
	now := time.Unix(1e9, 0)
	at := func(minutes ...float64) (times []time.Time) {
		for _, m := range minutes {
			times = append(times, now.Add(time.Duration(m*float64(time.Minute))))
		}
		return times
	}
	for _, c := range []struct {
		name         string
		before, want []time.Time
	}{
		{"the first", nil, at(0)},
		{"the third within ten minutes", at(-9.9, -1), at(-9.9, -1, 0)},
		{"the third, but the first is long ago", at(-10, -1), at(-1, 0)},
		{"more than it takes", at(-30, -29, -28), at(-30, -29, -28)},
	} {
		if got := countFailed(c.before, now, 3); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestAttemptsFitIntoTheWindow: a unit that fails at once comes to all of its
// attempts within the window, however many they are.
func TestAttemptsFitIntoTheWindow(t *testing.T) {
	for _, attempts := range []int{1, 2, 3, 10, 100} {
		var sum time.Duration
		for n := 1; n < attempts; n++ {
			if n > 1 && pause(n, attempts) < pause(n-1, attempts) {
				t.Errorf("%d attempts: the pause after %d is shorter than the one before", attempts, n)
			}
			sum += pause(n, attempts)
		}
		if sum >= startWindow {
			t.Errorf("%d attempts take %v, want less than %v", attempts, sum, startWindow)
		}
	}
}

// TestNotLaunchedBeforeItIsSeen: a start may have returned before the machine
// shows what came of it.
func TestNotLaunchedBeforeItIsSeen(t *testing.T) {
	for _, c := range []struct {
		name string
		seen Observed // when the start returns
		want unit.TargetState
	}{
		{"as before", show("dead", ""), unit.Inactive},
		{"as after the run before", show("failed", "1"), unit.Inactive},
		{"it runs", show("active", "2"), unit.Launched},
		{"it has run", show("dead", "2"), unit.Launched},
	} {
		a, err := New(Config{BootID: "boot", Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		w, act := a.unit("a.service"), action{verb: start}
		w.situation = settled()
		w.busy, w.seen = &act, c.seen
		w.seen.Name, w.seen.Hash = "a.service", "v1"
		if c.seen.InvocationID == "1" {
			w.before = "1"
		}
		a.finish(t.Context(), "a.service", w, act, outcome{rec: w.rec})
		if got := a.stateOf(w).Reached; got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		now := w.seen
		now.ActiveState, now.InvocationID = "active", "2"
		a.see(Observation{Units: []Observed{now}})
		if got := a.stateOf(w).Reached; got != unit.Launched {
			t.Errorf("%s, and then seen to run: %q", c.name, got)
		}
	}
}
