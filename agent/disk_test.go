package agent

import (
	"log/slog"
	"testing"

	"fleet/unit"
)

// TestOrphansLeaveNoRecords: whether they were started or only loaded, and what
// was released before is remembered.
func TestOrphansLeaveNoRecords(t *testing.T) {
	dir := t.TempDir()
	open := func() *Agent {
		a, err := New(Config{BootID: "boot", Dir: dir, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := open()
	for _, rec := range []Record{
		{Unit: "started.service", Started: &Started{Hash: "v1", BootID: "boot", Done: true}},
		{Unit: "loaded.service"},
		{Unit: "released.service", Started: &Started{Hash: "v1", BootID: "boot", Done: true}},
		{Unit: "gone.service", Released: 7},
		{Unit: "here.service", Generation: 5, Target: unit.Launched},
	} {
		if err := a.disk.save(rec); err != nil {
			t.Fatal(err)
		}
	}
	a = open()
	a.units["released.service"].past = 9
	a.forgetUnits()
	a = open()
	if _, ok := a.units["here.service"]; len(a.units) != 1 || !ok {
		t.Errorf("there are still records of %v", a.units)
	}
	if a.past["gone.service"] != 7 || a.past["released.service"] != 9 || len(a.past) != 2 {
		t.Errorf("what was released: %v", a.past)
	}
}
