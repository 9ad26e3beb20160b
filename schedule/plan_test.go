package schedule

import (
	"testing"
	"time"

	"fleet/unit"
)

func TestPlacesWhereLeastIs(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service")
	w.launch("b.service")
	w.launch("c.service")
	w.unit("d.service", unit.Inactive)
	w.settle()
	w.expect("a.service", "m1:run")
	w.expect("b.service", "m2:run")
	w.expect("c.service", "m1:run")
	w.expect("d.service", "")
	w.explains("a.service", "placed on m1: of the machines that fit it had the fewest units")
	w.explains("d.service", "inactive: it belongs on no machine")
	w.explains("e.service", "e.service is unknown")
	w.quiet()
}

func TestUnloadReleasesThenDeletes(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service")
	w.settle()
	first := w.placement("a.service", "m1")
	w.target("a.service", unit.Inactive)
	w.decide()
	w.expect("a.service", "m1:release")
	if p := w.placement("a.service", "m1"); p.Generation <= first.Generation || p.Reason != "a.service was unloaded" {
		t.Errorf("released as %+v", p)
	}
	w.explains("a.service", "waits for m1 to confirm that it has stopped there")

	w.target("a.service", unit.Launched)
	w.decide()
	w.expect("a.service", "m1:release")
	w.explains("a.service", "waits for m1 to confirm that it has stopped there")
	w.settle()
	w.expect("a.service", "m1:run")

	w.destroy("a.service")
	w.settle()
	w.expect("a.service", "")
	if len(w.c.units) != 0 {
		t.Errorf("the model still knows %d units", len(w.c.units))
	}
}

func TestReleaseOnLostMachineHindersNothing(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service")
	w.settle()
	w.target("a.service", unit.Inactive)
	w.decide()
	w.die("m1")
	w.target("a.service", unit.Launched)
	w.settle()
	w.expect("a.service", "m1:release m2:run")
	w.comeBack("m1")
	w.settle()
	w.expect("a.service", "m2:run")
}

func TestChangesAreFollowed(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	w.launch("a.service")
	w.settle()
	first := w.placement("a.service", "m1")

	w.target("a.service", unit.Loaded)
	w.settle()
	second := w.placement("a.service", "m1")
	if second.Target != unit.Loaded || second.Generation <= first.Generation || second.Hash != first.Hash {
		t.Errorf("after a stop: %+v", second)
	}
	w.unit("a.service", unit.Loaded, "Conflicts=x.service")
	w.settle()
	if p := w.placement("a.service", "m1"); p.Hash == second.Hash || p.Generation <= second.Generation || p.Reason != "its file changed" {
		t.Errorf("after a new file: %+v", p)
	}
	w.unit("a.service", unit.Loaded, "Conflicts=x.service")
	w.quiet() // the same again
}

func TestLostMachine(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2", "m3")
	w.launch("a.service")
	w.settle()
	first := w.placement("a.service", "m1")

	w.c.HoldEvictions(w.now.Add(10 * time.Second))
	w.die("m1")
	w.quiet()
	w.explains("a.service", "placed on m1, which is missing and not yet taken for lost")
	wake, ok := w.c.Wake()
	if !ok || !wake.Equal(w.now.Add(10*time.Second)) {
		t.Fatalf("Wake() = %v, %v", wake, ok)
	}

	w.now = wake
	w.plan()
	if d := w.made[0]; len(d.Writes) != 2 || len(d.Gone) != 1 || d.Gone[0] != "m1" {
		t.Errorf("decided %+v", d)
	}
	w.expect("a.service", "m1:held m2:run")
	held := w.placement("a.service", "m1")
	if held.Generation != first.Generation || held.Hash != first.Hash {
		t.Errorf("held as %+v, was %+v", held, first)
	}
	if _, ok := w.c.Wake(); ok {
		t.Error("still something to wake for")
	}

	// Back before the replacement is active: held until it is.
	w.comeBack("m1")
	w.decide()
	w.expect("a.service", "m1:held m2:run")
	w.obey("m2")
	w.settle()
	w.expect("a.service", "m2:run")
}

func TestNotReplacedIsAdopted(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service")
	w.settle()
	first := w.placement("a.service", "m1")
	w.die("m1")
	w.decide()
	w.expect("a.service", "m1:held m2:run")
	w.die("m2") // before it started anything
	w.quiet()
	w.explains("a.service", "placed on m2, which is lost; no machine fits: 2 are lost")
	w.comeBack("m1")
	w.settle()
	w.expect("a.service", "m1:run m2:held")
	if p := w.placement("a.service", "m1"); p.Generation != first.Generation || p.Hash != first.Hash || p.Target != first.Target {
		t.Errorf("adopted as %+v, was %+v", p, first)
	}
}

func TestHeldFollowsChanges(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service")
	w.settle()
	w.die("m1")
	w.settle()
	w.target("a.service", unit.Loaded)
	w.settle()
	if p := w.placement("a.service", "m1"); p.Order != Held || p.Target != unit.Loaded {
		t.Errorf("held as %+v", p)
	}
}

func TestNothingMovesWithoutReason(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	for _, name := range []string{"a.service", "b.service", "c.service"} {
		w.launch(name)
	}
	w.settle()
	w.join("m2", "m3 region=eu")
	w.quiet()
	w.label(Label{MachineID: "m1", Cordoned: true})
	w.quiet()
	w.write(Change{Presence: &Presence{MachineID: "m1", Ready: false, Problem: "docker does not answer"}})
	w.quiet()
	w.c.Apply(w.snapshot())
	w.quiet()
}

func TestConstraintsNoLongerHold(t *testing.T) {
	w := newWorld(t)
	w.join("m1 region=eu", "m2", "m3")
	w.launch("a.service", "MachineMetadata=region=eu")
	w.settle()
	w.expect("a.service", "m1:run")

	w.label(Label{MachineID: "m1", Removed: []string{"region"}})
	w.quiet() // nowhere else fits
	w.explains("a.service", "placed on m1, but m1 lacks metadata region=eu; no machine fits: 3 lack metadata region=eu")

	w.label(Label{MachineID: "m2", Set: map[string]string{"region": "eu"}})
	w.decide()
	w.expect("a.service", "m1:release")
	if r := w.placement("a.service", "m1").Reason; r != "m1 lacks metadata region=eu" {
		t.Errorf("reason %q", r)
	}
	w.settle()
	w.expect("a.service", "m2:run")
}

func TestNewFileThatDoesNotFit(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service")
	w.settle()
	old := w.placement("a.service", "m1")
	w.launch("a.service", "MachineMetadata=disk=ssd")
	w.quiet()
	w.target("a.service", unit.Loaded) // is followed nevertheless
	w.settle()
	if p := w.placement("a.service", "m1"); p.Hash != old.Hash || p.Target != unit.Loaded {
		t.Errorf("stayed as %+v", p)
	}
	w.label(Label{MachineID: "m2", Set: map[string]string{"disk": "ssd"}})
	w.settle()
	w.expect("a.service", "m2:run")
	if p := w.placement("a.service", "m2"); p.Hash == old.Hash {
		t.Error("has the old file")
	}
}

func TestRefusalsExplained(t *testing.T) {
	w := newWorld(t)
	w.launch("a.service", "MachineMetadata=region=eu", "Conflicts=web@*.service")
	w.settle()
	w.explains("a.service", "no machine is there")
	w.join("m1", "m2 region=us", "m3", "m4 region=eu", "m5 region=eu", "m6 region=eu", "m7 region=eu", "m8 region=eu")
	w.label(Label{MachineID: "m6", Cordoned: true})
	w.label(Label{MachineID: "m8", Draining: true})
	w.write(Change{Presence: &Presence{MachineID: "m7", Problem: "docker does not answer"}})
	w.launch("web@1.service", "MachineID=m4")
	w.launch("web@2.service", "MachineID=m5")
	w.destroy("a.service")
	w.settle()
	w.launch("a.service", "MachineMetadata=region=eu", "Conflicts=web@*.service")
	w.settle()
	w.explains("a.service", "no machine fits: 3 lack metadata region=eu, 1 conflicts with web@1.service, "+
		"1 conflicts with web@2.service, 1 is being drained, 1 is cordoned, 1 is not ready (docker does not answer)")
	w.launch("b.service", "MachineID=m9")
	w.settle()
	w.explains("b.service", "no machine fits: 8 are not machine m9")
}

func TestUnreadableFile(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	w.write(Change{Unit: &unit.Unit{Name: "a.service", Hash: "x", DesiredState: unit.Launched}})
	w.settle()
	w.expect("a.service", "")
	w.explains("a.service", "its file can't be read")

	w.launch("a.service")
	w.settle()
	w.write(Change{Unit: &unit.Unit{Name: "a.service", Hash: "x", DesiredState: unit.Loaded}})
	w.quiet()
	w.explains("a.service", "placed on m1, but its file can't be read")

	// The file turns up later, with the record as it was.
	ch := w.records[key{kind: unitKind, unit: "a.service"}]
	ch.File = file(t)
	w.records[key{kind: unitKind, unit: "a.service"}] = ch
	w.c.Apply(Update{Changes: []Change{ch}})
	w.settle()
	if p := w.placement("a.service", "m1"); p.Target != unit.Loaded {
		t.Errorf("stayed as %+v", p)
	}
}

func TestOrphanIsNotStartedElsewhere(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("b.service")
	w.settle()
	w.expect("b.service", "m1:run")
	w.running["m1"]["a.service"] = unit.State{Name: "a.service", ActiveState: "active", Orphaned: true}
	w.report("m1", w.running["m1"]["a.service"])
	w.launch("a.service")
	w.label(Label{MachineID: "m1", Cordoned: true})
	w.quiet()
	w.explains("a.service", "no machine fits: 1 does not come into question while it is on m1, 1 is cordoned")
	w.label(Label{MachineID: "m1"})
	w.settle()
	w.expect("a.service", "m1:run") // though m2 has less
}

// TestOrphanIsPlacedWhereItRuns though another machine, which is back, holds it
// still: what is held and doesn't run is started by nobody.
func TestOrphanIsPlacedWhereItRuns(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service")
	w.settle()
	w.die("m1")
	w.settle()
	w.expect("a.service", "m1:held m2:run")

	w.die("m2") // and is forgotten
	p := w.placement("a.service", "m2")
	w.write(Change{Deleted: true, Placement: &p}, Change{Deleted: true, Machine: &Machine{ID: "m2"}})
	orphan := w.running["m2"]["a.service"]
	orphan.Orphaned, orphan.Generation = true, 0
	w.running["m2"]["a.service"] = orphan
	rebooted := w.running["m1"]["a.service"]
	rebooted.ActiveState, rebooted.Reached = "inactive", unit.Inactive
	w.running["m1"]["a.service"] = rebooted
	w.join("m2")
	w.comeBack("m1")
	w.settle()
	w.expect("a.service", "m2:run")
}

func TestDecidedOnce(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service")
	ds := w.c.Plan(w.now)
	if len(ds) != 1 {
		t.Fatalf("decided %v", ds)
	}
	w.join("m3")
	if again := w.c.Plan(w.now); again != nil {
		t.Fatalf("decided again %v", again)
	}
	if w.where("a.service") != "" {
		t.Error("the model has a placement that no one wrote")
	}
	// Others count with it.
	w.launch("b.service")
	if d := w.c.Plan(w.now); d[0].Writes[0].Placement.MachineID != "m2" {
		t.Errorf("decided %v", d)
	}
	w.c.Retry(ds[0])
	again := w.c.Plan(w.now)
	if len(again) != 1 || !w.commit(again[0]) {
		t.Fatalf("decided %v", again)
	}
	w.c.Retry(again[0]) // too late: it was seen
	w.decide()
	w.expect("a.service", "m1:run")
}

func TestStaleChangesAreIgnored(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	w.launch("a.service")
	early := w.snapshot()
	early.Snapshot = false
	w.settle()
	w.destroy("a.service")
	w.settle()
	w.c.Apply(early)
	w.quiet()
	if _, ok := w.c.Unit("a.service"); ok {
		t.Error("the unit came back")
	}
	if w.c.Revision() != w.revision {
		t.Errorf("revision %d, want %d", w.c.Revision(), w.revision)
	}
}

func TestDislodgedWhereItCameBackAndNoLongerFits(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service", "MachineMetadata=region=eu")
	w.label(Label{MachineID: "m1", Set: map[string]string{"region": "eu"}})
	w.settle()
	w.die("m1")
	w.label(Label{MachineID: "m2", Set: map[string]string{"region": "eu"}})
	w.settle()
	w.expect("a.service", "m1:held m2:run")
	w.label(Label{MachineID: "m1"})
	w.die("m2")
	w.decide()
	w.comeBack("m1")
	w.quiet() // it runs there, and nowhere else could it
	w.expect("a.service", "m1:held m2:run")
	w.join("m3 region=eu")
	w.decide()
	w.expect("a.service", "m1:release m2:run")
	w.settle()
	w.expect("a.service", "m2:held m3:run")
}

func TestReaders(t *testing.T) {
	w := newWorld(t)
	w.join("m2", "m1 region=eu")
	w.label(Label{MachineID: "m1", Set: map[string]string{"disk": "ssd"}, Removed: []string{"region"}})
	w.launch("b.service")
	w.launch("a.service")
	w.settle()
	var names, ids []string
	for u := range w.c.Units() {
		names = append(names, u.Name)
	}
	for m := range w.c.Machines() {
		ids = append(ids, m.ID)
	}
	if got := listed(names) + "; " + listed(ids); got != "a.service and b.service; m1 and m2" {
		t.Error(got)
	}
	if u, ok := w.c.Unit("a.service"); !ok || u.DesiredState != unit.Launched || w.c.File("a.service").Hash != u.Hash {
		t.Errorf("unit %+v", u)
	}
	if m := w.c.EffectiveMetadata("m1"); len(m) != 1 || m["disk"] != "ssd" {
		t.Errorf("metadata %v", m)
	}
	at := w.c.Placements("a.service")[0].MachineID
	if ps := w.c.PlacementsOn(at); len(ps) != 1 || ps[0].Unit != "a.service" {
		t.Errorf("placements on %s: %v", at, ps)
	}
	if s := w.c.States("a.service"); len(s) != 1 || s[0].Reached != unit.Launched {
		t.Errorf("states %v", s)
	}
	if p, ok := w.c.Presence(at); !ok || !p.Ready || w.c.Lost(at) {
		t.Errorf("presence %+v", p)
	}
	w.die(at)
	w.plan()
	if _, ok := w.c.Presence(at); ok || !w.c.Lost(at) {
		t.Error("not lost")
	}
	if l, ok := w.c.Label("m1"); !ok || l.Set["disk"] != "ssd" {
		t.Errorf("label %+v", l)
	}
	if _, ok := w.c.Machine("m3"); ok {
		t.Error("m3 is known")
	}
}
