package schedule

import (
	"fmt"
	"testing"

	"fleet/unit"
)

func (w *world) drain(ids ...string) {
	for _, id := range ids {
		w.label(Label{MachineID: id, Draining: true})
	}
}

func TestDrainMovesWhatIsThere(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2 disk=ssd", "m3")
	w.label(Label{MachineID: "m2", Cordoned: true})
	w.label(Label{MachineID: "m3", Cordoned: true})
	w.launch("g.service", "Global=true")
	w.launch("a.service")
	w.launch("b.service", "MachineOf=a.service")
	w.launch("c.service", "MachineID=m1")
	w.unit("d.service", unit.Loaded)
	w.settle()
	w.label(Label{MachineID: "m2"})
	w.settle()
	w.expect("g.service", "m1:run m2:run")

	w.drain("m1")
	w.decide()
	for _, name := range []string{"a.service", "b.service", "d.service"} {
		if p := w.placement(name, "m1"); p.Order != Release || p.To != "m2" || p.Reason != "m1 is being drained" && p.Reason != "m1 is being drained (a.service)" {
			t.Errorf("%s is released as %+v", name, p)
		}
	}
	w.settle()
	w.expect("a.service", "m2:run")
	w.expect("b.service", "m2:run")
	w.expect("d.service", "m2:run")
	w.explains("d.service", "placed on m2: it moved here from m1: m1 is being drained")
	w.expect("g.service", "m1:run m2:run")
	w.expect("c.service", "m1:run")
	w.explains("c.service", "placed on m1, but m1 is being drained; no machine fits: 2 are not machine m1, 1 is being drained")
	w.quiet()
}

func TestDrainedToNowhere(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.label(Label{MachineID: "m2", Cordoned: true})
	w.launch("a.service")
	w.settle()
	w.drain("m1")
	w.quiet()
	w.explains("a.service", "placed on m1, but m1 is being drained; no machine fits: 1 is being drained, 1 is cordoned")
	w.drain("m2")
	w.quiet() // the last two machines
	w.explains("a.service", "placed on m1, but m1 is being drained; no machine fits: 2 are being drained")
	w.join("m3")
	w.settle()
	w.expect("a.service", "m3:run")
}

func TestDrainEnds(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	for i := range 3 {
		w.launch(fmt.Sprintf("a@%d.service", i+1))
	}
	w.settle()
	w.join("m2")
	w.drain("m1")
	w.decide()
	w.expect("a@1.service", "m1:release")
	w.expect("a@2.service", "m1:run")
	w.label(Label{MachineID: "m1"})
	w.settle()
	w.expect("a@1.service", "m2:run") // it was on its way
	w.expect("a@2.service", "m1:run")
	w.expect("a@3.service", "m1:run")
	w.quiet()
}

// drained is a world where m1 is being drained, with three instances on it.
func drained(t *testing.T, options ...string) *world {
	w := newWorld(t)
	w.join("m1")
	for i := range 4 {
		w.launch(fmt.Sprintf("a@%d.service", i+1), options...)
	}
	w.settle()
	w.join("m2", "m3")
	w.drain("m1")
	w.decide()
	return w
}

func TestDrainWithinMaxUnavailable(t *testing.T) {
	w := drained(t, "MaxUnavailable=2")
	w.expect("a@1.service", "m1:release")
	w.expect("a@2.service", "m1:release")
	w.expect("a@3.service", "m1:run")
	w.explains("a@3.service", "placed on m1, but m1 is being drained; it waits, since a@.service has MaxUnavailable=2 and a@1.service and a@2.service are not available")
	w.obeyOne("m1", "a@1.service")
	w.decide()
	w.expect("a@3.service", "m1:run") // a@1.service is placed, and yet to start
	w.obeyOne("m2", "a@1.service")
	w.decide()
	w.expect("a@3.service", "m1:release")
	w.expect("a@4.service", "m1:run")
	w.settle()
	for i := range 4 {
		if at := w.where(fmt.Sprintf("a@%d.service", i+1)); at != "m2:run" && at != "m3:run" {
			t.Errorf("a@%d.service is on %s", i+1, at)
		}
	}
	w.quiet()
}

// What is down anyway may move, and doesn't give the others leave to.
func TestDrainMovesWhatIsDown(t *testing.T) {
	w := drained(t)
	w.expect("a@1.service", "m1:release")
	failed := w.running["m1"]["a@3.service"]
	failed.ActiveState = "failed"
	w.running["m1"]["a@3.service"] = failed
	w.report("m1", failed)
	w.decide()
	w.expect("a@2.service", "m1:run")
	w.expect("a@3.service", "m1:release")
	w.expect("a@4.service", "m1:run")
}

// The template's file says how many, once there is one.
func TestMaxUnavailableOfTheTemplate(t *testing.T) {
	w := drained(t)
	w.expect("a@2.service", "m1:run")
	w.unit("a@.service", unit.Inactive, "MaxUnavailable=3")
	w.decide()
	w.expect("a@2.service", "m1:release")
	w.expect("a@3.service", "m1:release")
	w.expect("a@4.service", "m1:run")
}

// A group takes from the budget of each template that it has instances of.
func TestGroupIsDrainedWithinMaxUnavailable(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	for i := range 2 {
		w.launch(fmt.Sprintf("a@%d.service", i+1))
		w.launch(fmt.Sprintf("b@%d.service", i+1), fmt.Sprintf("MachineOf=a@%d.service", i+1), "MaxUnavailable=2")
	}
	w.settle()
	w.join("m2")
	w.drain("m1")
	w.decide()
	w.expect("a@1.service", "m1:release")
	w.expect("b@1.service", "m1:release")
	w.expect("b@2.service", "m1:run")
	w.explains("b@2.service", "placed on m1, but m1 is being drained (a@2.service); "+
		"it waits for a@2.service, since a@.service has MaxUnavailable=1 and a@1.service is not available")
	w.settle()
	w.expect("a@2.service", "m2:run")
	w.expect("b@2.service", "m2:run")
}

func TestHungStopHoldsUpItsFamilyAlone(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	for _, name := range []string{"a@1.service", "a@2.service", "b@1.service", "b@2.service", "c.service", "d.service"} {
		w.launch(name)
	}
	w.launch("e.service", "MachineOf=d.service")
	w.settle()
	w.join("m2", "m3")
	w.drain("m1")
	for range 10 {
		w.decide()
		for _, name := range []string{"a@2.service", "b@1.service", "b@2.service", "c.service", "e.service"} {
			w.obeyOne("m1", name) // a@1.service and d.service hang
		}
		w.obey("m2")
		w.obey("m3")
	}
	w.expect("a@1.service", "m1:release")
	w.expect("a@2.service", "m1:run")
	w.expect("d.service", "m1:release")
	w.expect("e.service", "m1:release")
	w.explains("e.service", "waits for m1 to confirm that d.service has stopped there")
	for _, name := range []string{"b@1.service", "b@2.service", "c.service"} {
		if at := w.where(name); at != "m2:run" && at != "m3:run" {
			t.Errorf("%s is on %s", name, at)
		}
	}
}

func TestDrainOfALostMachine(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service")
	w.settle()
	w.label(Label{MachineID: "m2", Cordoned: true})
	w.die("m1")
	w.drain("m1")
	w.quiet()
	w.comeBack("m1")
	w.quiet()
	w.expect("a.service", "m1:run")
	w.die("m1")
	w.label(Label{MachineID: "m2"})
	w.settle()
	w.expect("a.service", "m1:held m2:run")
	w.comeBack("m1")
	w.settle()
	w.expect("a.service", "m2:run")
	w.quiet()
}

// One that comes back held and was not replaced runs on, and moves then.
func TestDrainOfAMachineThatComesBack(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service")
	w.settle()
	w.die("m1")
	w.decide()
	w.die("m2")
	w.drain("m1")
	w.decide()
	w.expect("a.service", "m1:held m2:run")
	w.comeBack("m1")
	w.settle()
	w.expect("a.service", "m1:run m2:held")
	w.join("m3")
	w.settle()
	w.expect("a.service", "m2:held m3:run")
	w.comeBack("m2")
	w.settle()
	w.expect("a.service", "m3:run")
}

func TestTwoMachinesAreDrained(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2", "m3")
	w.label(Label{MachineID: "m3", Cordoned: true})
	for i := range 4 {
		w.launch(fmt.Sprintf("u%d.service", i))
	}
	w.settle()
	w.label(Label{MachineID: "m3"})
	w.drain("m1", "m2")
	w.settle()
	for i := range 4 {
		w.expect(fmt.Sprintf("u%d.service", i), "m3:run")
	}
	w.quiet()
}

// A new leader goes on with a drain where the last one was.
func TestDrainGoesOnUnderANewLeader(t *testing.T) {
	w := drained(t)
	w.c = w.fresh()
	w.decide()
	w.expect("a@2.service", "m1:run")
	w.obeyOne("m1", "a@1.service")
	w.c = w.fresh()
	w.decide()
	w.expect("a@1.service", "m2:run")
	w.expect("a@2.service", "m1:run")
	w.settle()
	w.expect("a@2.service", "m3:run")
}

// A new file is followed also by what can't leave.
func TestDrainedUnitFollowsItsFile(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	w.launch("a.service")
	w.settle()
	w.drain("m1")
	w.launch("a.service", "Conflicts=x.service")
	w.settle()
	if p, u := w.placement("a.service", "m1"), w.records[key{kind: unitKind, unit: "a.service"}].Unit; p.Hash != u.Hash {
		t.Errorf("stayed as %+v", p)
	}
}

// Those that wait for MaxUnavailable= move in the same turn as they are placed.
func TestDrainTakesThePriorityFirst(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	for i, options := range [][]string{nil, nil, {"Priority=1"}, {"Priority=2"}} {
		w.launch(fmt.Sprintf("a@%d.service", i+1), options...)
	}
	w.settle()
	w.join("m2")
	w.drain("m1")
	w.settle()
	order := []string{"a@4.service", "a@3.service", "a@1.service", "a@2.service"}
	for i, name := range order[1:] {
		if before := order[i]; w.placement(name, "m2").Generation <= w.placement(before, "m2").Generation {
			t.Errorf("%s moved before %s", name, before)
		}
	}
}
