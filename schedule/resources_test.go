package schedule

import (
	"testing"

	"fleet/unit"
)

// size has a machine join or change that has so many GiB and CPUs.
func (w *world) size(id string, gib int64, cpus int) {
	w.write(Change{Machine: &Machine{ID: id, Memory: gib << 30, CPUs: cpus}})
	if !w.live(id) {
		w.comeBack(id)
	}
}

func TestReservationsFillAMachine(t *testing.T) {
	w := newWorld(t)
	w.size("m1", 4, 2)
	w.launch("a.service", "MemoryReservation=1.5G")
	w.launch("b.service", "MemoryReservation=2G", "CPUReservation=1.5")
	w.launch("c.service", "MemoryReservation=1G")
	w.launch("d.service", "CPUReservation=1")
	w.launch("e.service", "MemoryReservation=512M")
	w.settle()
	for name, where := range map[string]string{"a.service": "m1:run", "b.service": "m1:run", "c.service": "", "d.service": "", "e.service": "m1:run"} {
		w.expect(name, where)
	}
	w.explains("c.service", "no machine fits: 1 has less than 1G of memory free")
	w.explains("d.service", "no machine fits: 1 has less than 1 of a CPU free")
	w.quiet()
}

func TestReservationNeedsAKnownCapacity(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service", "MemoryReservation=1")
	w.launch("b.service", "CPUReservation=0.1")
	w.settle()
	w.explains("a.service", "no machine fits: 2 do not say how much memory they have")
	w.explains("b.service", "no machine fits: 2 do not say how many CPUs they have")

	w.write(Change{Machine: &Machine{ID: "m2", Memory: 4 << 30, ReservedMemory: 4 << 30, CPUs: 1, ReservedCPU: 500}})
	w.settle()
	w.explains("a.service", "no machine fits: 1 does not say how much memory it has, 1 has less than 1 of memory free")
	w.expect("b.service", "m2:run")
}

func TestReservationCountsUntilReleaseIsDeleted(t *testing.T) {
	w := newWorld(t)
	w.size("m1", 1, 1)
	w.launch("a.service", "MemoryReservation=768M")
	w.settle()
	w.launch("b.service", "MemoryReservation=512M")
	w.destroy("a.service")
	w.decide()
	w.expect("a.service", "m1:release")
	w.expect("b.service", "")
	w.settle()
	w.expect("b.service", "m1:run")
}

func TestReservationOfAReportedUnitCounts(t *testing.T) {
	w := newWorld(t)
	w.size("m1", 1, 1)
	w.unit("a.service", unit.Inactive, "MemoryReservation=768M")
	w.report("m1", unit.State{Name: "a.service", ActiveState: "active", Orphaned: true})
	w.launch("b.service", "MemoryReservation=512M")
	w.settle()
	w.expect("b.service", "")

	w.target("a.service", unit.Launched) // what it has there is its own
	w.settle()
	w.expect("a.service", "m1:run")
	w.expect("b.service", "")

	w.unit("a.service", unit.Launched, "MemoryReservation=256M")
	w.settle()
	w.expect("b.service", "m1:run")
}

// TestOrphanOfAnotherFileNeedsRoom: what its unit's file reserves by now was
// never free there.
func TestOrphanOfAnotherFileNeedsRoom(t *testing.T) {
	w := newWorld(t)
	w.size("m1", 2, 1)
	w.report("m1", unit.State{Name: "a.service", Hash: file(t).Hash, ActiveState: "active", Orphaned: true})
	w.launch("a.service", "MemoryReservation=3G")
	w.settle()
	w.explains("a.service", "no machine fits: 1 has less than 3G of memory free")

	w.launch("a.service", "MemoryReservation=2G")
	w.settle()
	w.expect("a.service", "m1:run")
}

func TestLargerReservationWaitsForRoom(t *testing.T) {
	w := newWorld(t)
	w.size("m1", 4, 1)
	w.launch("a.service", "MemoryReservation=1G")
	w.launch("b.service", "MemoryReservation=2G")
	w.launch("g.service", "Global=true", "MemoryReservation=512M")
	w.settle()
	was, global := w.placement("a.service", "m1"), w.placement("g.service", "m1")

	w.launch("a.service", "MemoryReservation=3G")
	w.launch("g.service", "Global=true", "MemoryReservation=2G")
	w.settle()
	if p := w.placement("a.service", "m1"); p != was {
		t.Errorf("rewritten without room: %+v", p)
	}
	if p := w.placement("g.service", "m1"); p != global {
		t.Errorf("rewritten without room: %+v", p)
	}
	w.destroy("b.service")
	w.settle()
	if p := w.placement("a.service", "m1"); p.Memory != 3<<30 || p.Hash == was.Hash {
		t.Errorf("not rewritten: %+v", p)
	}

	w.size("m1", 5, 1)
	w.settle()
	if p := w.placement("g.service", "m1"); p.Memory != 2<<30 || p.Hash == global.Hash {
		t.Errorf("not rewritten: %+v", p)
	}
	w.quiet()
}

func TestLargerReservationOnAnAbsentMachine(t *testing.T) {
	w := newWorld(t)
	w.size("m1", 2, 1)
	w.launch("a.service", "MemoryReservation=1G")
	w.settle()
	was := w.placement("a.service", "m1")
	w.die("m1")
	w.launch("a.service", "MemoryReservation=3G")
	w.settle()
	if p := w.placement("a.service", "m1"); p != was {
		t.Errorf("promised more than there is: %+v", p)
	}
	w.launch("a.service", "MemoryReservation=2G")
	w.settle()
	if p := w.placement("a.service", "m1"); p.Memory != 2<<30 {
		t.Errorf("not rewritten: %+v", p)
	}
}

func TestGroupNeedsRoomTogether(t *testing.T) {
	w := newWorld(t)
	w.size("m1", 2, 4)
	w.size("m2", 1, 4)
	w.launch("a.service", "MemoryReservation=1.5G")
	w.launch("b.service", "MemoryReservation=1G", "MachineOf=a.service")
	w.settle()
	w.expect("a.service", "")
	w.explains("b.service", "no machine fits: 2 have less than 2.5G of memory free (with what MachineOf binds to it)")
	w.size("m2", 3, 4)
	w.settle()
	w.expect("a.service", "m2:run")
	w.expect("b.service", "m2:run")
}

func TestSizeText(t *testing.T) {
	for bytes, want := range map[int64]string{512 << 20: "512M", 3 << 29: "1.5G", 1000: "1000", 1 << 60: "1E", 1<<30 + 1: "1073741825"} {
		if got := sizeText(bytes); got != want {
			t.Errorf("%d is %s, want %s", bytes, got, want)
		}
	}
}
