package engine

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fleet/schedule"
	"fleet/unit"
)

func placed(name, machine string) schedule.Decision {
	return schedule.Decision{Writes: []schedule.Write{{Placement: schedule.Placement{Unit: name, MachineID: machine, Order: schedule.Run}}}}
}

func TestWhatIsRefusedAgainWaitsLongerAndAlone(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := refusals{}
	poison, other := placed("a.service", "m1"), placed("b.service", "m1")
	var got []time.Duration
	for range 12 {
		_, pause := r.add(poison, now)
		got = append(got, pause)
		now = now.Add(pause)
	}
	want := []time.Duration{0, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10000, 10000}
	for i := range want {
		want[i] *= time.Millisecond
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pauses (-want +got)\n%s", diff)
	}
	if times, pause := r.add(other, now); times != 1 || pause != 0 {
		t.Errorf("another decision: refused %d times, waits %s", times, pause)
	}

	// What could be written begins anew; what was refused beside it doesn't.
	r.settle([]schedule.Decision{poison, other}, []schedule.Decision{poison})
	if times, _ := r.add(other, now); times != 1 {
		t.Errorf("written meanwhile, and still refused %d times", times)
	}
	if times, _ := r.add(poison, now); times != 13 {
		t.Errorf("refused %d times, want 13", times)
	}
	if times, _ := r.add(poison, now.Add(refusalAge+1)); times != 1 {
		t.Errorf("refused %d times after a long while, want 1", times)
	}
}

func TestDecisionsAreLoggedInWords(t *testing.T) {
	launched := &unit.Unit{Name: "app@1.service", DesiredState: unit.Launched, Managed: true}
	d := schedule.Decision{
		Writes: []schedule.Write{
			{Placement: schedule.Placement{Unit: "a.service", MachineID: "m1", Order: schedule.Held}},
			{Placement: schedule.Placement{Unit: "a.service", MachineID: "m2", Order: schedule.Run}},
			{Placement: schedule.Placement{Unit: "b.service", MachineID: "m2", Order: schedule.Release}, Delete: true},
		},
		Others: []schedule.Change{
			{Unit: launched},
			{Unit: launched, Revision: 7},
			{Unit: launched, Revision: 7, Deleted: true},
			{Done: &schedule.Done{Unit: "once.service", MachineID: "m1"}},
			{Done: &schedule.Done{Unit: "once.service"}, Revision: 7, Deleted: true},
			{Absence: &schedule.Absence{MachineID: "m3"}},
			{Absence: &schedule.Absence{MachineID: "m3"}, Revision: 7, Deleted: true},
			{Machine: &schedule.Machine{ID: "m3"}, Revision: 7, Deleted: true},
			{Label: &schedule.Label{MachineID: "m3"}, Revision: 7, Deleted: true},
		},
	}
	want := []string{
		"held a.service on m1", "run a.service on m2", "delete b.service on m2",
		"create app@1.service, launched", "update app@1.service, launched", "remove app@1.service",
		"once.service has finished on m1", "forget that once.service has finished",
		"machine m3 is absent", "end the absence of machine m3", "forget machine m3",
	}
	if diff := cmp.Diff(want, changes(d)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
