package schedule

import (
	"testing"

	"fleet/unit"
)

// moving is a world where a.service has been told to leave m1 for m2.
func moving(t *testing.T) *world {
	w := newWorld(t)
	w.join("m1 region=eu", "m2")
	w.launch("a.service", "MachineMetadata=region=eu", "Conflicts=x@*.service")
	w.settle()
	w.label(Label{MachineID: "m2", Set: map[string]string{"region": "eu"}})
	w.label(Label{MachineID: "m1", Removed: []string{"region"}})
	w.decide()
	if to := w.placement("a.service", "m1").To; to != "m2" {
		t.Fatalf("moves to %q", to)
	}
	return w
}

func TestRoomIsKeptWhereAUnitMovesTo(t *testing.T) {
	w := moving(t)
	w.launch("x@1.service")
	w.decide()
	w.explains("x@1.service", "no machine fits: 2 conflict with a.service")
	w.obey("m1")
	w.made = nil
	w.plan()
	if d := w.made[0]; len(d.Writes) != 2 || !d.Writes[0].Delete || d.Writes[1].Placement.MachineID != "m2" {
		t.Errorf("decided %+v", d)
	}
	w.settle()
	w.expect("a.service", "m2:run")
	w.explains("a.service", "placed on m2: it moved here from m1: m1 lacks metadata region=eu")
	w.expect("x@1.service", "m1:run")
}

func TestRoomIsKeptAcrossLeaders(t *testing.T) {
	w := moving(t)
	w.c = w.fresh()
	w.launch("x@1.service")
	w.decide()
	w.expect("x@1.service", "")
	w.settle()
	w.expect("a.service", "m2:run")
}

// What a unit is about to leave and where it is about to be don't keep it from
// being unloaded.
func TestNoRoomIsKeptForWhatIsUnloaded(t *testing.T) {
	w := moving(t)
	w.target("a.service", unit.Inactive)
	w.launch("x@1.service")
	w.decide()
	w.expect("x@1.service", "m2:run")
	w.settle()
	w.expect("a.service", "")
}

func TestDestinationIsLost(t *testing.T) {
	w := moving(t)
	w.join("m3 region=eu")
	w.decide()
	w.die("m2")
	w.decide()
	if p := w.placement("a.service", "m1"); p.To != "m3" || p.Order != Release {
		t.Errorf("moves as %+v", p)
	}
	w.label(Label{MachineID: "m3", Cordoned: true})
	w.decide()
	if p := w.placement("a.service", "m1"); p.To != "" {
		t.Errorf("moves as %+v", p)
	}
	w.settle()
	w.expect("a.service", "")
	w.comeBack("m2")
	w.settle()
	w.expect("a.service", "m2:run")
}

// A machine that is lost while a unit stops there keeps no room elsewhere once
// the unit is placed.
func TestSourceIsLost(t *testing.T) {
	w := moving(t)
	w.die("m1")
	w.decide()
	w.expect("a.service", "m1:release m2:run")
	if p := w.placement("a.service", "m1"); p.To != "" {
		t.Errorf("still moves as %+v", p)
	}
	w.comeBack("m1")
	w.settle()
	w.expect("a.service", "m2:run")
	w.quiet()
}

// Two that move are not promised the same room.
func TestRoomIsPromisedOnce(t *testing.T) {
	w := newWorld(t)
	w.join("m1 region=eu", "m2 region=eu", "m3")
	for _, name := range []string{"x@1.service", "x@2.service"} {
		w.launch(name, "MachineMetadata=region=eu", "Conflicts=x@*.service")
	}
	w.settle()
	w.label(Label{MachineID: "m3", Set: map[string]string{"region": "eu"}})
	w.label(Label{MachineID: "m1", Removed: []string{"region"}})
	w.label(Label{MachineID: "m2", Removed: []string{"region"}})
	w.decide()
	w.expect("x@1.service", "m1:release")
	w.expect("x@2.service", "m2:run") // it has nowhere to go now
	w.settle()
	w.expect("x@1.service", "m3:run")
	w.expect("x@2.service", "m2:run")
}

// The room of a group is kept until the last of it has stopped.
func TestGroupKeepsItsRoom(t *testing.T) {
	w := newWorld(t)
	w.join("m1 disk=ssd", "m2")
	w.launch("a.service", "Conflicts=x.service")
	w.launch("b.service", "MachineOf=a.service", "MachineMetadata=disk=ssd")
	w.settle()
	w.label(Label{MachineID: "m2", Set: map[string]string{"disk": "ssd"}})
	w.label(Label{MachineID: "m1", Removed: []string{"disk"}})
	w.decide()
	w.obeyOne("m1", "a.service")
	w.launch("x.service")
	w.decide()
	w.expect("x.service", "m1:run") // where a.service has stopped
	w.target("x.service", unit.Inactive)
	w.label(Label{MachineID: "m1", Cordoned: true})
	w.decide()
	w.obeyOne("m1", "x.service")
	w.target("x.service", unit.Launched)
	w.decide()
	w.expect("x.service", "")
	w.settle()
	w.expect("a.service", "m2:run")
	w.expect("b.service", "m2:run")
}

// A unit that is wanted again once it has stopped may go back at once.
func TestBackOnTheSameMachine(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	w.launch("a.service")
	w.settle()
	w.target("a.service", unit.Inactive)
	w.decide()
	w.obey("m1")
	w.target("a.service", unit.Launched)
	w.made = nil
	w.decide()
	w.expect("a.service", "m1:run")
	if len(w.made) != 1 || w.placement("a.service", "m1").Generation != w.planned-1 {
		t.Errorf("decided %+v", w.made)
	}
	w.settle()
	w.quiet()
}

// TestRoomIsKeptWhereAUnitComesBackTo: the machine that it leaves is the only
// one that it can go to by the time that it has stopped.
func TestRoomIsKeptWhereAUnitComesBackTo(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service")
	w.settle()
	w.label(Label{MachineID: "m1", Draining: true})
	w.decide()
	w.expect("a.service", "m1:release")
	w.label(Label{MachineID: "m2", Cordoned: true})
	w.label(Label{MachineID: "m1"})
	w.decide()
	w.launch("b.service", "Conflicts=a.service", "Priority=1")
	w.settle()
	w.expect("a.service", "m1:run")
	w.expect("b.service", "")
}
