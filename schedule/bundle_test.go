package schedule

import (
	"fmt"
	"testing"

	"fleet/unit"
)

const tooMany = "MachineOf would bind more than 32 units together"

func TestAdmitGroup(t *testing.T) {
	w := newWorld(t)
	for i := range maxGroup - 1 {
		name := fmt.Sprintf("f%02d.service", i)
		w.admits("", name, "MachineOf=db.service")
		w.unit(name, unit.Inactive, "MachineOf=db.service")
	}
	w.admits("", "db.service")
	w.unit("db.service", unit.Inactive)
	w.admits(tooMany, "one-more.service", "MachineOf=db.service")
	w.admits(tooMany, "one-more.service", "MachineOf=f07.service")
	w.admits(tooMany, "db.service", "MachineOf=one-more.service")
	w.admits("", "f00.service", "MachineOf=db.service", "MachineMetadata=disk=ssd")
	w.admits("", "everywhere.service", "MachineOf=db.service", "Global=true")
	w.unit("f00.service", unit.Inactive)
	w.admits("", "one-more.service", "MachineOf=db.service")
	w.unit("db.service", unit.Inactive, "Global=true")
	w.admits("", "f00.service", "MachineOf=db.service")
	w.unit("f00.service", unit.Inactive, "MachineOf=db.service")
	w.admits("", "one-more.service", "MachineOf=db.service")
}

func TestAdmitGroupOfInstances(t *testing.T) {
	w := newWorld(t)
	w.admits("", "app@.service", "Instances=31", "MachineOf=db.service")
	w.admits(tooMany, "app@.service", "Instances=32", "MachineOf=db.service")
	w.admits("", "app@.service", "Instances=10000", "MachineOf=db@%i.service")
	w.admits("", "app@.service", "MachineOf=db.service") // nobody keeps any
	scales := func(want, template string, count int) {
		t.Helper()
		got := ""
		if err := AdmitScale(w.c, template, count); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("AdmitScale(%s, %d): %q, want %q", template, count, got, want)
		}
	}
	w.unit("app@.service", unit.Inactive, "Instances=3", "MachineOf=db.service")
	scales("", "app@.service", 31)
	scales(tooMany, "app@.service", 32)
	w.unit("app@32.service", unit.Inactive) // a user's own, which follows nobody
	scales("", "app@.service", 32)
	w.unit("lone@.service", unit.Inactive, "Instances=3")
	scales("", "lone@.service", 10000)
	w.write(Change{Unit: &unit.Unit{Name: "app@.service", Hash: w.c.File("app@.service").Hash, DesiredState: unit.Inactive,
		Scaled: &unit.Scale{From: 3, To: 40}}, File: w.c.File("app@.service")})
	w.admits(tooMany, "app@.service", "Instances=3", "MachineOf=db.service")
	w.admits("", "app@.service", "Instances=4", "MachineOf=db.service")
}

// TestGroupThatIsTooLarge: whoever comes last waits, and changes nothing for
// the others, which move as a whole.
func TestGroupThatIsTooLarge(t *testing.T) {
	w := newWorld(t)
	w.check = func(d Decision) {
		// etcd takes 128 conditions, of which two are the term's and the store's.
		if n := len(d.Writes) + len(d.Units) + len(d.Gone); n > 126 {
			t.Errorf("a decision of %d writes and %d units is too large: %s", len(d.Writes), len(d.Units), d.Reason)
		}
	}
	w.join("m1", "m2")
	w.launch("everywhere.service", "Global=true")
	w.launch("db.service", "MachineOf=everywhere.service")
	for i := range maxGroup + 2 {
		w.launch(fmt.Sprintf("f%02d.service", i), "MachineOf=db.service")
	}
	w.launch("behind.service", "MachineOf=f32.service")
	w.settle()
	for _, late := range []string{"f31.service", "f32.service", "f33.service"} {
		w.expect(late, "")
		w.explains(late, tooMany)
	}
	w.explains("behind.service", "MachineOf=f32.service, which can't be placed itself")
	w.expect("f30.service", "m1:run")
	w.die("m1")
	w.settle()
	w.expect("db.service", "m1:held m2:run")
	w.expect("f30.service", "m1:held m2:run")
	w.destroy("f00.service")
	w.settle()
	w.expect("f31.service", "m2:run")
	w.comeBack("m1")
	w.settle()
	w.label(Label{MachineID: "m2", Draining: true})
	w.settle()
	w.expect("db.service", "m1:run")
	w.expect("f31.service", "m1:run")
	w.quiet()
}

// TestTwoGroupsAndWhatWouldBindThem: each goes on by itself.
func TestTwoGroupsAndWhatWouldBindThem(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2", "m3")
	for _, head := range []string{"a", "b"} {
		w.launch(head + ".service")
		for i := range 20 {
			w.launch(fmt.Sprintf("%s%02d.service", head, i), "MachineOf="+head+".service")
		}
	}
	w.settle()
	w.launch("both.service", "MachineOf=a.service", "MachineOf=b.service")
	w.settle()
	w.explains("both.service", tooMany)
	w.die("m1")
	w.settle()
	w.expect("a19.service", "m1:held m3:run")
	w.expect("b19.service", "m2:run")
}
