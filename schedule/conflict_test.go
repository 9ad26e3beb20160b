package schedule

import (
	"testing"

	"fleet/unit"
)

func TestConflicts(t *testing.T) {
	for _, test := range []struct{ name, first, second, option string }{
		{"newcomer avoids", "a.service", "b.service", "Conflicts=a.service"},
		{"newcomer avoids instances", "a@1.service", "a@2.service", "Conflicts=a@*.service"},
		{"newcomer avoids by glob", "a@1.service", "b.service", "Conflicts=a@?.service"},
		{"newcomer avoids all", "a.service", "b.service", "Conflicts=*"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.join("m1")
			w.launch(test.first)
			w.settle()
			w.launch(test.second, test.option)
			w.settle()
			w.expect(test.second, "")
			w.explains(test.second, "no machine fits: 1 conflicts with "+test.first)
			w.destroy(test.first)
			w.settle()
			w.expect(test.second, "m1:run")
			// And the other way round.
			w.launch(test.first)
			w.settle()
			w.explains(test.first, "no machine fits: 1 conflicts with "+test.second)
			w.launch(test.second)
			w.settle()
			w.expect(test.first, "m1:run")
		})
	}
}

func TestConflictAfterTheFact(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	w.launch("a.service")
	w.launch("b.service")
	w.settle()
	w.launch("a.service", "Conflicts=b.service")
	w.quiet()
	w.explains("a.service", "placed on m1, but m1 conflicts with b.service; no machine fits: 1 conflicts with b.service")
	w.join("m2")
	w.settle()
	w.expect("a.service", "m2:run") // the one that changed
	w.expect("b.service", "m1:run")
}

// Of two that conflict the one changed later goes, so a change of one may
// allow the other its new file.
func TestConflictTurnsAround(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	w.launch("a.service")
	w.launch("b.service")
	w.settle()
	w.launch("a.service", "Conflicts=b.service")
	w.quiet()
	was := w.placement("a.service", "m1")
	w.launch("b.service", "Conflicts=x.service")
	w.settle()
	w.expect("a.service", "m1:run")
	if p := w.placement("a.service", "m1"); p.Hash == was.Hash {
		t.Error("a.service still has its earlier file")
	}
}

func TestUnitDoesNotConflictWithItself(t *testing.T) {
	for _, glob := range []string{"a@*.service", "a@?.service"} {
		w := newWorld(t)
		w.join("m1", "m2")
		w.launch("b.service", "MachineID=m2")
		w.settle()
		state := unit.State{Name: "a@1.service", ActiveState: "active", Orphaned: true}
		w.running["m2"][state.Name] = state
		w.report("m2", state)
		w.launch("a@1.service", "Conflicts="+glob)
		w.settle()
		w.expect("a@1.service", "m2:run")
		w.quiet()
	}
}
