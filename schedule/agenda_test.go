package schedule

import "testing"

func TestHighestPriorityThenOldestIsPlacedFirst(t *testing.T) {
	w := newWorld(t)
	w.launch("old.service", "MemoryReservation=1G")
	w.launch("a.service", "MemoryReservation=1G")
	w.launch("low.service", "MemoryReservation=1G", "Priority=-1")
	w.launch("high.service", "MemoryReservation=1G", "Priority=10")
	order := []string{"high.service", "old.service", "a.service", "low.service"}
	for i := range order {
		w.size("m1", int64(i+1), 1)
		w.settle()
		for at, name := range order {
			if placed := w.where(name) != ""; placed != (at <= i) {
				t.Errorf("with room for %d, %s is on %q", i+1, name, w.where(name))
			}
		}
	}
}

func TestGroupHasItsHighestPriority(t *testing.T) {
	w := newWorld(t)
	w.launch("old.service", "MemoryReservation=2G", "Priority=1")
	w.launch("a.service", "MemoryReservation=1G")
	w.launch("b.service", "MemoryReservation=1G", "MachineOf=a.service", "Priority=2")
	w.size("m1", 2, 1)
	w.settle()
	w.expect("old.service", "")
	w.expect("a.service", "m1:run")
	w.expect("b.service", "m1:run")
}
