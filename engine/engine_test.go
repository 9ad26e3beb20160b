package engine

import (
	"testing"
	"time"

	"fleet/schedule"
)

// TestWhatIsOverdueNeitherSpinsNorStarves: the model has one timer to tell,
// which may have run out before the last plan without that settling it.
func TestWhatIsOverdueNeitherSpinsNorStarves(t *testing.T) {
	hold := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	e := New(Config{})
	e.model = schedule.NewCluster()
	e.model.Apply(schedule.Update{Snapshot: true, Revision: 1, Changes: []schedule.Change{{Revision: 1, Machine: &schedule.Machine{ID: "m1"}}}})
	e.model.HoldEvictions(hold)
	e.known, e.term = true, 1
	for _, c := range []struct {
		name          string
		planned, want time.Time
	}{
		{"planned before it is due", hold.Add(-time.Minute), hold},
		{"planned when it was due", hold, hold.Add(overdue)},
		{"planned after it was due", hold.Add(time.Hour), hold.Add(time.Hour + overdue)},
	} {
		e.planned = c.planned
		if got, ok := e.wake(); !ok || !got.Equal(c.want) {
			t.Errorf("%s: wakes at %v, %v; want %v", c.name, got, ok, c.want)
		}
	}
	e.due = hold
	if _, ok := e.wake(); ok {
		t.Error("wakes for what is overdue while a burst of changes is to be planned")
	}
	e.due, e.applying = time.Time{}, true
	if _, ok := e.wake(); ok {
		t.Error("wakes while decisions are being written")
	}
}
