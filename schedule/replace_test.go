package schedule

import (
	"testing"

	"fleet/unit"
)

// replacing is a world where old.service runs on m1 and new.service, which
// replaces it, has just been launched; m2 is free.
func replacing(t *testing.T, options ...string) *world {
	w := newWorld(t)
	w.join("m1")
	w.launch("old.service")
	w.settle()
	w.join("m2")
	w.launch("new.service", append(options, "Replaces=old.service")...)
	return w
}

func TestReplaces(t *testing.T) {
	w := replacing(t)
	w.decide()
	p := w.placement("old.service", "m1")
	if p.Order != Release || p.To != "m2" || p.For != "new.service" || p.Reason != "new.service replaces old.service on m1" {
		t.Errorf("released as %+v", p)
	}
	w.expect("new.service", "") // m2 would take it, but is not what it asks for
	w.explains("new.service", "waits for m1 to confirm that old.service has stopped there")
	w.explains("old.service", "waits for m1 to confirm that it has stopped there")
	w.obey("m1")
	w.decide()
	w.expect("new.service", "m1:run")
	w.expect("old.service", "m2:run")
	w.explains("new.service", "placed on m1: it replaces old.service there")
	w.explains("old.service", "placed on m2: it moved here from m1: new.service replaces old.service on m1")
	w.settle()
	w.quiet()

	// It never goes back there.
	w.label(Label{MachineID: "m2", Cordoned: true})
	w.die("m2")
	w.quiet()
	w.explains("old.service", "placed on m2, which is lost; no machine fits: 1 holds new.service, which replaces it, 1 is lost")
	w.destroy("new.service")
	w.settle()
	w.expect("old.service", "m1:run m2:held")
}

// The place is kept for the newcomer, whoever leads.
func TestReplacesUnderANewLeader(t *testing.T) {
	w := replacing(t)
	w.decide()
	for range 3 {
		w.c = w.fresh()
		w.launch("x.service", "Conflicts=new.service", "MachineID=m1")
		w.decide()
		w.expect("x.service", "")
		w.expect("new.service", "")
	}
	w.obey("m1")
	w.c = w.fresh()
	w.decide()
	w.expect("new.service", "m1:run")
	w.expect("old.service", "m2:run")
	w.expect("x.service", "")
}

func TestReplacesWhatFitsNowhereElse(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2 disk=ssd")
	w.launch("old.service", "MachineMetadata=disk=ssd")
	w.settle()
	w.label(Label{MachineID: "m1", Cordoned: true})
	w.launch("new.service", "Replaces=old.service")
	w.quiet()
	w.explains("new.service", "no machine fits: 1 holds old.service, which fits nowhere else, 1 is cordoned")
	w.explains("old.service", "placed on m2: of the machines that fit it had the fewest units")
	// It takes another machine if it can have one.
	w.label(Label{MachineID: "m1"})
	w.settle()
	w.expect("new.service", "m1:run")
	w.expect("old.service", "m2:run")
}

// What helps the unit in its way helps the newcomer, though it is no machine
// that the newcomer asks for.
func TestReplacesOnceThereIsRoomElsewhere(t *testing.T) {
	for name, helped := range map[string]func(w *world){
		"a machine joins":    func(w *world) { w.join("m3 disk=ssd") },
		"one is relabelled":  func(w *world) { w.label(Label{MachineID: "m2", Set: map[string]string{"disk": "ssd"}}) },
		"a conflict ends":    func(w *world) { w.destroy("x.service") },
		"it asks for less":   func(w *world) { w.launch("old.service") },
		"it is unloaded":     func(w *world) { w.target("old.service", unit.Inactive) },
		"its target follows": func(w *world) { w.launch("old.service", "MachineMetadata=role=web") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.join("m1 disk=ssd", "m2 role=web", "m4 disk=ssd")
			w.launch("x.service", "MachineID=m4", "Conflicts=old.service")
			w.settle()
			w.launch("old.service", "MachineMetadata=disk=ssd")
			w.settle()
			w.launch("new.service", "Replaces=old.service", "MachineID=m1")
			w.quiet()
			w.expect("new.service", "")
			helped(w)
			w.settle()
			w.expect("new.service", "m1:run")
		})
	}
}

// Several that are replaced don't count on the same room.
func TestReplacesSeveral(t *testing.T) {
	w := newWorld(t)
	joins := func(id string, memory int64) {
		w.write(Change{Machine: &Machine{ID: id, Memory: memory}})
		w.comeBack(id)
	}
	joins("m1", 4<<30)
	w.launch("a@1.service", "MemoryReservation=2G")
	w.launch("a@2.service", "MemoryReservation=2G")
	w.settle()
	joins("m2", 2<<30)
	w.launch("new.service", "Replaces=a@*.service", "MemoryReservation=3G")
	w.quiet()
	w.explains("new.service", "no machine fits: 2 have less than 3G of memory free")
	joins("m3", 2<<30)
	w.decide()
	w.expect("a@1.service", "m1:release")
	w.expect("a@2.service", "m1:release")
	w.obeyOne("m1", "a@2.service")
	w.decide()
	w.expect("new.service", "")
	w.expect("a@2.service", "m3:run")
	w.settle()
	w.expect("new.service", "m1:run")
	w.expect("a@1.service", "m2:run")
}

// whereAll tells which machines units run on.
func (w *world) whereAll(names ...string) map[string]int {
	at := make(map[string]int)
	for _, name := range names {
		for _, p := range w.c.Placements(name) {
			if p.Order == Run {
				at[p.MachineID]++
			}
		}
	}
	return at
}

// All that MachineOf binds to the one that is replaced goes with it, and the
// newcomer needs only the place.
func TestReplacesOneOfAGroup(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	w.launch("old.service")
	w.launch("side.service", "MachineOf=old.service")
	w.settle()
	w.join("m2")
	w.launch("new.service", "Replaces=old.service")
	w.decide()
	w.expect("side.service", "m1:release")
	w.obeyOne("m1", "old.service")
	w.decide()
	w.expect("new.service", "m1:run")
	w.expect("old.service", "m1:release")
	w.settle()
	w.expect("old.service", "m2:run")
	w.expect("side.service", "m2:run")
	w.quiet()
}

// A group comes in the place of what one of it replaces.
func TestGroupReplaces(t *testing.T) {
	w := newWorld(t)
	w.join("m1 disk=ssd")
	w.launch("old.service")
	w.settle()
	w.join("m2")
	w.launch("new.service", "Replaces=old.service")
	w.launch("side.service", "MachineOf=new.service", "MachineMetadata=disk=ssd")
	w.settle()
	w.expect("old.service", "m2:run")
	w.expect("new.service", "m1:run")
	w.expect("side.service", "m1:run")
	// One that joins where it replaces something has room made there too.
	w.launch("third.service")
	w.settle()
	w.launch("late.service", "MachineOf=new.service", "Replaces=third.service")
	w.settle()
	w.expect("late.service", "m1:run")
	w.expect("third.service", "m2:run")
}

func TestReplacesForReservedRoom(t *testing.T) {
	w := newWorld(t)
	w.write(Change{Machine: &Machine{ID: "m1", Memory: 2 << 30}})
	w.comeBack("m1")
	w.launch("old.service", "MemoryReservation=2G")
	w.settle()
	w.write(Change{Machine: &Machine{ID: "m2", Memory: 2 << 30}})
	w.comeBack("m2")
	w.launch("new.service", "MemoryReservation=1G", "Replaces=old.service")
	w.decide()
	w.expect("old.service", "m1:release")
	w.launch("x.service", "MemoryReservation=1G", "MachineID=m2")
	w.decide()
	w.expect("x.service", "") // the room there is kept
	w.settle()
	w.expect("old.service", "m2:run")
	w.expect("new.service", "m1:run")
}

func TestReplacedAfterTheFact(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	w.launch("old.service")
	w.launch("new.service")
	w.settle()
	w.launch("new.service", "Replaces=old.service")
	w.settle()
	w.expect("old.service", "m1:run") // it has nowhere to go
	w.explains("old.service", "placed on m1, but m1 holds new.service, which replaces it; no machine fits: 1 holds new.service, which replaces it")
	w.join("m2")
	w.settle()
	w.expect("old.service", "m2:run")
	w.expect("new.service", "m1:run")
	w.quiet()
}

func TestReplacerIsDestroyed(t *testing.T) {
	w := replacing(t)
	w.decide()
	w.destroy("new.service")
	w.launch("x.service", "MachineID=m1", "Conflicts=new.service")
	w.decide()
	w.expect("x.service", "m1:run") // nothing is kept for what is gone
	w.settle()
	w.expect("old.service", "m2:run")
	w.quiet()
}

func TestReplacedIsDestroyed(t *testing.T) {
	w := replacing(t)
	w.decide()
	w.destroy("old.service")
	w.decide()
	w.expect("new.service", "")
	w.settle()
	w.expect("new.service", "m1:run")
	w.expect("old.service", "")
}

func TestReplacedWhereItsMachineIsLost(t *testing.T) {
	w := replacing(t)
	w.decide()
	w.die("m1")
	w.decide()
	if at := w.whereAll("old.service", "new.service"); at["m2"] != 1 {
		t.Fatalf("on %v", at)
	}
	w.join("m3")
	w.settle()
	w.comeBack("m1")
	w.settle()
	w.quiet()
	if at := w.whereAll("old.service", "new.service"); len(at) != 2 {
		t.Errorf("on %v", at)
	}
}

func TestReplacedWhereItsDestinationIsLost(t *testing.T) {
	w := replacing(t)
	w.decide()
	w.die("m2")
	w.settle()
	w.expect("new.service", "m1:run")
	w.expect("old.service", "")
	w.explains("old.service", "no machine fits: 1 holds new.service, which replaces it, 1 is lost")
	w.comeBack("m2")
	w.settle()
	w.expect("old.service", "m2:run")
}

// A replacer that can't have the place after all goes elsewhere.
func TestReplacerNoLongerFits(t *testing.T) {
	w := replacing(t)
	w.join("m3")
	w.decide()
	w.label(Label{MachineID: "m1", Cordoned: true})
	w.decide()
	w.expect("new.service", "m3:run")
	w.settle()
	w.expect("old.service", "m2:run")
	w.quiet()
}

// What is displaced displaces nobody in turn.
func TestReplacesInAChain(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	w.launch("b.service", "Replaces=c.service")
	w.settle()
	w.join("m2")
	w.launch("c.service")
	w.settle()
	w.expect("c.service", "m2:run")
	w.launch("a.service", "Replaces=b.service", "MachineID=m1")
	w.quiet()
	w.explains("a.service", "no machine fits: 1 holds b.service, which fits nowhere else, 1 is not machine m1")
	w.join("m3")
	w.settle()
	w.expect("a.service", "m1:run")
	w.expect("b.service", "m3:run")
	w.expect("c.service", "m2:run")
}

// A unit that would not fit once those that it replaces are where they can go
// has nobody moved for it: an instance counts there too for one that is to be
// even with it.
func TestReplacesMovesNobodyInVain(t *testing.T) {
	w := newWorld(t)
	w.join("m1 region=eu", "m2 region=eu", "m3 region=us")
	w.launch("a.service", "MachineMetadata=region=eu")
	w.launch("w@2.service", "MachineOf=a.service")
	w.settle()
	w.expect("w@2.service", "m1:run")
	w.launch("full.service", "MachineID=m3", "Conflicts=w@1.service")
	w.settle()
	w.launch("w@1.service", "Spread=region hard", "Replaces=a.service")
	w.quiet()
	w.expect("w@1.service", "")
	w.expect("w@2.service", "m1:run")
}

func TestReplacesInACircle(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2", "m3")
	w.launch("a.service", "Replaces=b.service")
	w.settle()
	w.launch("b.service", "Replaces=c.service")
	w.launch("c.service", "Replaces=a.service")
	w.settle()
	w.expect("a.service", "m1:run")
	w.expect("b.service", "")
	const circle = "a.service, b.service and c.service replace each other (Replaces circle)"
	w.explains("a.service", "placed on m1, but "+circle)
	w.explains("b.service", circle)
	w.launch("c.service")
	w.settle()
	if at := w.whereAll("a.service", "b.service", "c.service"); len(at) != 3 {
		t.Errorf("on %v", at)
	}
	w.quiet()
}

// Global units are on every machine that fits: they can't go elsewhere, and
// keep off where a unit is that replaces them.
func TestReplacesAGlobal(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	w.launch("new.service", "Replaces=g.service")
	w.settle()
	w.join("m2")
	w.launch("g.service", "Global=true")
	w.settle()
	w.expect("g.service", "m2:run")
	w.explains("g.service", "placed on m2; of the others 1 holds new.service, which replaces it")
	w.die("m1")
	w.quiet()
	w.explains("new.service", "placed on m1, which is lost; no machine fits: 1 holds g.service, which fits nowhere else, 1 is lost")
}
