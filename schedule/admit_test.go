package schedule

import (
	"fmt"
	"testing"

	"fleet/unit"
)

// admits checks what Admit says of a unit with the options, "" for nothing.
func (w *world) admits(want, name string, options ...string) {
	w.t.Helper()
	got := ""
	if err := Admit(w.c, name, file(w.t, options...)); err != nil {
		got = err.Error()
	}
	if got != want {
		w.t.Fatalf("Admit(%s, %v):\n got %s\nwant %s", name, options, got, want)
	}
}

func TestAdmitMachineOf(t *testing.T) {
	w := newWorld(t)
	w.unit("a.service", unit.Inactive, "MachineOf=b.service", "MachineID=m1")
	w.unit("b.service", unit.Inactive, "MachineOf=c.service")
	w.admits("", "c.service", "MachineOf=unknown.service")
	w.admits("a.service, b.service and c.service ask for each other's machine (MachineOf cycle)", "c.service", "MachineOf=a.service")
	w.admits("a.service and b.service each ask for the other's machine (MachineOf cycle)", "b.service", "MachineOf=a.service")
	w.admits("", "b.service", "MachineOf=d.service") // its record says otherwise, and is replaced
	w.admits("x.service asks for MachineID=m2 and a.service for MachineID=m1, but MachineOf puts them on one machine",
		"x.service", "MachineOf=a.service", "MachineID=m2")
	w.admits("", "x.service", "MachineOf=a.service", "MachineID=m1")

	w.unit("app@.service", unit.Inactive, "MachineOf=db@%i.service")
	w.admits("app@1.service and db@1.service each ask for the other's machine (MachineOf cycle)", "db@.service", "MachineOf=app@%i.service")
	w.admits("app@7.service and db@7.service each ask for the other's machine (MachineOf cycle)", "db@7.service", "MachineOf=app@7.service")
	w.unit("app@7.service", unit.Inactive)
	w.admits("", "db@7.service", "MachineOf=app@7.service")
}

func TestAdmitChain(t *testing.T) {
	w := newWorld(t)
	for i := range 31 {
		w.unit(fmt.Sprintf("u%02d.service", i), unit.Inactive, fmt.Sprintf("MachineOf=u%02d.service", i+1))
	}
	w.admits("", "u31.service", "MachineID=m1") // the last of 32
	w.unit("u31.service", unit.Inactive)
	w.admits("", "u00.service", "MachineOf=u01.service")
	w.admits("more than 32 units follow each other with MachineOf: x.service, u00.service, u01.service and so on", "x.service", "MachineOf=u00.service")
	w.admits("more than 32 units follow each other with MachineOf: x.service, u00.service, u01.service and so on",
		"x.service", "MachineOf=u05.service", "MachineOf=u00.service")
}

func TestAdmitReplaces(t *testing.T) {
	w := newWorld(t)
	w.unit("a.service", unit.Inactive, "Replaces=b.service")
	w.unit("b.service", unit.Inactive, "Replaces=[cd].service")
	w.unit("web@1.service", unit.Inactive, "Replaces=old@*.service")
	w.admits("", "d.service")
	w.admits("", "d.service", "Replaces=unknown.service", "Replaces=web@1.service")
	w.admits("a.service, b.service and d.service replace each other (Replaces circle)", "d.service", "Replaces=a.service")
	w.admits("a.service, b.service and d.service replace each other (Replaces circle)", "d.service", "Replaces=[ax].service")
	w.admits("", "e.service", "Replaces=e*.service") // itself doesn't count
	w.admits("old@1.service and web@1.service replace each other (Replaces circle)", "old@.service", "Replaces=web@%i.service")
	w.admits("", "new@.service", "Replaces=new@*.service") // with one instance it may be
	w.unit("new@1.service", unit.Inactive, "Replaces=new@*.service")
	w.admits("new@1.service and new@2.service replace each other (Replaces circle)", "new@2.service", "Replaces=new@*.service")
	w.admits("a.service and b.service replace each other (Replaces circle)", "b.service", "Replaces=a.service")
}

func TestAdmitReservations(t *testing.T) {
	w := newWorld(t)
	w.admits("", "a.service", "MemoryReservation=64G") // no machine is known
	w.join("m0")                                       // which says nothing of itself
	w.admits("", "a.service", "MemoryReservation=64G")
	w.write(Change{Machine: &Machine{ID: "m1", Memory: 8 << 30, ReservedMemory: 1 << 30, CPUs: 2}})
	w.write(Change{Machine: &Machine{ID: "m2", Memory: 4 << 30, CPUs: 8, ReservedCPU: 500}})
	w.admits("", "a.service", "MemoryReservation=7G")
	w.admits("it reserves 64G of memory, and no machine has more than 7G for units", "a.service", "MemoryReservation=64G")
	w.admits("it reserves 7.6 CPUs, and no machine has more than 7.5 for units", "a.service", "CPUReservation=7.6")
	w.admits("it reserves 5G of memory and 4 CPUs, and no machine has both for units", "a.service", "MemoryReservation=5G", "CPUReservation=4")
	w.admits("it reserves 5G of memory, and machine m2 has 4G for units", "a.service", "MemoryReservation=5G", "MachineID=m2")
	w.admits("", "a.service", "MemoryReservation=5G", "MachineID=m9")
	w.admits("it reserves 64G of memory, and no machine has more than 7G for units", "a.service", "MemoryReservation=64G", "Global=true")
	w.unit("b.service", unit.Inactive, "MemoryReservation=5G", "MachineOf=c.service")
	w.unit("c.service", unit.Inactive)
	w.admits("together with what it follows (MachineOf) it reserves 8G of memory, and no machine has more than 7G for units",
		"a.service", "MachineOf=b.service", "MachineOf=c.service", "MemoryReservation=3G")
	w.admits("", "a.service", "MachineOf=b.service", "MemoryReservation=2G")
}

func TestAlone(t *testing.T) {
	for option, want := range map[string]bool{
		"": true, "MachineID=m1": true, "Conflicts=b*": true, "Avoid=b*": true,
		"MachineOf=b.service": false, "MachineOf=b@%i.service": false, "Replaces=b@%i.service": false, "CPUReservation=1": false,
	} {
		for _, name := range []string{"a@.service", "a@1.service"} {
			if got := Alone(name, file(t, option)); got != want {
				t.Errorf("%s with %s: %v", name, option, got)
			}
		}
	}
}

// TestAdmitInAnyOrder: what is wrong with several files together comes to light
// with the last of them, whichever it is.
func TestAdmitInAnyOrder(t *testing.T) {
	files := map[string]string{"a.service": "b", "b.service": "c", "c.service": "a"}
	for last := range files {
		for _, option := range []string{"MachineOf", "Replaces"} {
			w := newWorld(t)
			for name, other := range files {
				if name != last {
					w.admits("", name, option+"="+other+".service")
					w.unit(name, unit.Launched, option+"="+other+".service")
				}
			}
			if err := Admit(w.c, last, file(t, option+"="+files[last]+".service")); err == nil {
				t.Errorf("%s closes a circle of %s", last, option)
			}
		}
	}
}
