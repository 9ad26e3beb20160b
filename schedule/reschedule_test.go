package schedule

import (
	"slices"
	"testing"
	"time"

	"fleet/unit"
)

// failsToStart has a unit fail there as often as its placement says.
func (w *world) failsToStart(id, name string) {
	w.t.Helper()
	s := w.running[id][name]
	s.ActiveState, s.Reached, s.FailedStarts = "failed", unit.Inactive, w.placement(name, id).Attempts
	w.running[id][name] = s
	w.report(id, s)
}

func TestRescheduleWithBackOff(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2", "m3")
	w.launch("a.service", "Reschedule=on-failure:3", "Prefer=fast")
	w.label(Label{MachineID: "m1", Set: map[string]string{"fast": "yes"}})
	w.settle()
	if p := w.placement("a.service", "m1"); p.Attempts != 3 {
		t.Fatalf("%+v", p)
	}
	s := w.running["m1"]["a.service"]
	s.FailedStarts, s.ActiveState, s.Reached = 2, "activating", unit.Inactive
	w.report("m1", s)
	w.quiet()

	w.log()
	w.failsToStart("m1", "a.service")
	w.settle()
	want := "a.service to go to m2: a.service failed to start 3 times on m1\n" +
		"a.service on m2: it moved here from m1: a.service failed to start 3 times on m1"
	if l := w.log(); l != want {
		t.Fatalf("got %s", l)
	}
	first := w.now

	// Too soon: it waits, whoever leads.
	w.failsToStart("m2", "a.service")
	w.settle()
	w.expect("a.service", "m2:run")
	w.explains("a.service", "placed on m2, but a.service failed to start 3 times on m2; it is not tried elsewhere again before 1970-01-01T00:16:50Z")
	for what, c := range map[string]*Cluster{"the old model": w.c, "a new one": w.fresh()} {
		c.Plan(w.now)
		if at, ok := c.Wake(); !ok || !at.Equal(first.Add(10*time.Second)) {
			t.Fatalf("%s wakes at %v (%v)", what, at, ok)
		}
	}
	w.now = first.Add(10 * time.Second)
	w.settle()
	w.expect("a.service", "m3:run") // although m1 is preferred
	trouble := w.placement("a.service", "m3").Trouble
	if trouble == nil || trouble.Moves != 2 || len(trouble.Machines) != 2 || !trouble.Until.Equal(w.now.Add(20*time.Second)) {
		t.Fatalf("%+v", trouble)
	}

	// Where it failed comes last, and is not left out.
	w.failsToStart("m3", "a.service")
	w.now = w.now.Add(20 * time.Second)
	w.settle()
	w.expect("a.service", "m1:run")

	// Once it has been up for a while nothing is remembered.
	w.now = w.placement("a.service", "m1").Trouble.Until.Add(10*time.Minute - time.Second)
	w.quiet()
	if at, ok := w.c.Wake(); !ok || !at.Equal(w.now.Add(time.Second)) {
		t.Fatalf("wakes at %v (%v)", at, ok)
	}
	before := w.placement("a.service", "m1")
	w.now = w.now.Add(time.Second)
	w.settle()
	if p := w.placement("a.service", "m1"); p.Trouble != nil || p.Generation != before.Generation {
		t.Fatalf("%+v", p)
	}
	if _, ok := w.c.Wake(); ok {
		t.Fatal("waits for a time with nothing left to do")
	}
}

func TestRescheduleStaysWhereNothingElseFits(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service", "Reschedule=on-failure:1", "MachineMetadata=x=y")
	w.label(Label{MachineID: "m1", Set: map[string]string{"x": "y"}})
	w.settle()
	w.failsToStart("m1", "a.service")
	w.quiet()
	w.expect("a.service", "m1:run")
	w.explains("a.service", "placed on m1, but a.service failed to start once on m1; no machine fits: 1 is where it is now, 1 lacks metadata x=y")
	w.label(Label{MachineID: "m2", Set: map[string]string{"x": "y"}})
	w.settle()
	w.expect("a.service", "m2:run")
}

func TestRescheduleTakesTheGroup(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service", "Reschedule=on-failure:1")
	w.launch("side.service", "MachineOf=a.service")
	w.settle()
	w.failsToStart("m1", "a.service")
	w.settle()
	w.expect("a.service", "m2:run")
	w.expect("side.service", "m2:run")
}

// TestTroubleEndsWithTheFile has the user bring a new file, or start the unit
// anew, while it is in back-off.
func TestTroubleEndsWithTheFile(t *testing.T) {
	for what, change := range map[string]func(w *world){
		"file":   func(w *world) { w.launch("a.service", "Reschedule=on-failure:1", "Prefer=v2") },
		"target": func(w *world) { w.target("a.service", unit.Loaded); w.settle(); w.target("a.service", unit.Launched) },
	} {
		w := newWorld(t)
		w.join("m1", "m2")
		w.launch("a.service", "Reschedule=on-failure:1")
		w.settle()
		w.failsToStart("m1", "a.service")
		w.settle()
		change(w)
		w.settle()
		if p := w.placement("a.service", "m2"); p.Trouble != nil {
			t.Fatalf("%s: %+v", what, p.Trouble)
		}
		w.failsToStart("m2", "a.service")
		w.settle()
		w.expect("a.service", "m1:run") // at once
	}
}

func TestTroubleOutlivesTheMachine(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2", "m3")
	w.launch("a.service", "Reschedule=on-failure:1")
	w.settle()
	w.failsToStart("m1", "a.service")
	w.settle()
	w.expect("a.service", "m2:run")
	w.die("m2")
	w.settle()
	w.expect("a.service", "m2:held m3:run") // m1 is where it failed
	if tr := w.placement("a.service", "m3").Trouble; tr == nil || tr.Moves != 1 {
		t.Fatalf("%+v", tr)
	}
}

func TestBackOffIsBounded(t *testing.T) {
	var tr *Trouble
	now := time.Unix(1000, 0)
	var waits []time.Duration
	for i := range 12 {
		tr = tr.after(string(rune('a'+i)), now)
		waits = append(waits, tr.Until.Sub(now))
	}
	want := []time.Duration{10, 20, 40, 80, 160, 320, 600, 600, 600, 600, 600, 600}
	for i := range want {
		if waits[i] != want[i]*time.Second {
			t.Fatalf("waits %v", waits)
		}
	}
	if len(tr.Machines) != 8 || tr.Machines[0] != "e" || tr.Machines[7] != "l" || tr.Moves != 12 {
		t.Fatalf("%+v", tr)
	}
}

// TestFailureIsRememberedInADrain: a host on which units fail is drained, and
// takes units again.
func TestFailureIsRememberedInADrain(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service", "Reschedule=on-failure:3")
	w.settle()
	w.label(Label{MachineID: "m1", Draining: true})
	w.failsToStart("m1", "a.service")
	w.settle()
	if p := w.placement("a.service", "m2"); p.Trouble == nil || !slices.Equal(p.Trouble.Machines, []string{"m1"}) {
		t.Fatalf("%+v", p)
	}
}
