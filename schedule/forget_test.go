package schedule

import (
	"fmt"
	"testing"
	"time"
)

// absent tells since when the store says that a machine is lost.
func (w *world) absent(id string) (since time.Time, ok bool) {
	ch, ok := w.records[key{kind: absenceKind, machine: id}]
	if !ok {
		return time.Time{}, false
	}
	return ch.Absence.Since, true
}

func (w *world) knows(id string) bool {
	for k := range w.records {
		if k.machine == id {
			return true
		}
	}
	return false
}

func TestAbsenceIsNotedOnlyOnceTheMachineIsLost(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.settle()
	for range 3 {
		w.c.HoldEvictions(w.now.Add(time.Minute))
		w.die("m1")
		w.settle()
		w.comeBack("m1")
		w.settle()
	}
	if n := len(w.made); n != 0 {
		t.Fatalf("%d decisions about a machine that flaps: %+v", n, w.made)
	}
	w.die("m1")
	w.settle()
	if at, ok := w.c.Wake(); !ok || !at.Equal(w.c.hold) {
		t.Fatalf("wakes at %v (%v), want the end of the hold", at, ok)
	}
	w.now = w.now.Add(time.Minute)
	w.settle()
	since, ok := w.absent("m1")
	if a, known := w.c.Absence("m1"); !ok || !known || !since.Equal(w.now) || !a.Since.Equal(since) {
		t.Fatalf("lost since %v (%v), want %v", since, ok, w.now)
	}
	w.comeBack("m1")
	w.settle()
	if since, ok := w.absent("m1"); ok {
		t.Fatalf("is back, and lost since %v", since)
	}
}

func TestLostMachineIsForgottenInTime(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	for i := range 120 {
		w.launch(fmt.Sprintf("u%03d.service", i), "MachineID=m1")
	}
	w.label(Label{MachineID: "m1", Set: map[string]string{"a": "b"}})
	w.settle()
	w.die("m1")
	w.settle()
	lost := w.now
	w.now = lost.Add(23 * time.Hour)
	w.quiet()
	for what, c := range map[string]*Cluster{"the old model": w.c, "a new one": w.fresh()} {
		c.Plan(w.now)
		if at, ok := c.Wake(); !ok || !at.Equal(lost.Add(24*time.Hour)) {
			t.Fatalf("%s wakes at %v (%v), want %v", what, at, ok, lost.Add(24*time.Hour))
		}
	}
	w.now = lost.Add(24 * time.Hour)
	w.check = func(d Decision) {
		if len(d.Writes) != 0 || len(d.Gone) != 1 || d.Reason != "m1 has been lost for 24h and is forgotten" {
			t.Fatalf("%d writes, gone %v: %s", len(d.Writes), d.Gone, d.Reason)
		}
	}
	w.settle()
	if w.knows("m1") {
		t.Fatalf("still known: %+v", w.records)
	}
	w.explains("u000.service", "no machine is there")
	if _, ok := w.c.Wake(); ok {
		t.Fatal("waits for a time with nothing left to do")
	}
}

func TestForgottenOnlyWhileItIsGone(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service", "MachineID=m1")
	w.settle()
	w.die("m1")
	w.settle()
	w.now = w.now.Add(24 * time.Hour)
	ds := w.c.Plan(w.now)
	w.comeBack("m1") // as the decisions are being written
	w.commitAll(ds)
	w.settle()
	w.expect("a.service", "m1:run")
	if _, ok := w.absent("m1"); ok {
		t.Fatal("back, and still said to be lost")
	}
}

func TestForgottenNeverWithoutATime(t *testing.T) {
	w := newWorld(t)
	w.c.SetPolicy(Policy{Strategy: SpreadOut})
	w.join("m1", "m2")
	w.settle()
	w.die("m1")
	w.settle()
	w.now = w.now.Add(10000 * time.Hour)
	w.quiet()
	if !w.knows("m1") {
		t.Fatal("forgotten")
	}
	w.c.SetPolicy(DefaultPolicy())
	w.settle()
	if w.knows("m1") {
		t.Fatal("not forgotten when the policy changed")
	}
}

func TestWhatTheOperatorForgotIsPlacedElsewhere(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service", "MachineMetadata=x=y")
	w.label(Label{MachineID: "m1", Set: map[string]string{"x": "y"}})
	w.settle()
	w.expect("a.service", "m1:run")
	w.die("m1")
	w.settle()
	w.write(
		Change{Deleted: true, Placement: &Placement{Unit: "a.service", MachineID: "m1"}},
		Change{Deleted: true, Absence: &Absence{MachineID: "m1"}},
		Change{Deleted: true, Label: &Label{MachineID: "m1"}},
		Change{Deleted: true, Machine: &Machine{ID: "m1"}})
	w.settle()
	w.explains("a.service", "no machine fits: 1 lacks metadata x=y")
	w.label(Label{MachineID: "m2", Set: map[string]string{"x": "y"}})
	w.settle()
	w.expect("a.service", "m2:run")
	if len(w.c.machines) != 1 {
		t.Fatalf("%d machines in the model", len(w.c.machines))
	}
}
