package schedule

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"fleet/unit"
)

// kept names the units of the store, those that the engine keeps with a star.
func (w *world) kept() string {
	var names []string
	for _, k := range slices.SortedFunc(maps.Keys(w.records), func(a, b key) int { return strings.Compare(a.unit, b.unit) }) {
		if k.kind != unitKind || strings.Contains(k.unit, "@.") {
			continue
		}
		if name := k.unit; w.records[k].Unit.Managed {
			names = append(names, name+"*")
		} else {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

func (w *world) keeps(want string) {
	w.t.Helper()
	if got := w.kept(); got != want {
		w.t.Fatalf("there are %q, want %q\n%s", got, want, w.log())
	}
}

func (w *world) scale(name string, s *unit.Scale) {
	ch := w.records[key{kind: unitKind, unit: name}]
	u := *ch.Unit
	u.Scaled = s
	w.write(Change{Unit: &u, File: ch.File})
}

func TestInstancesAreKept(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("app@.service", "Instances=3")
	w.settle()
	w.keeps("app@1.service* app@2.service* app@3.service*")
	w.expect("app@1.service", "m1:run")
	w.expect("app@2.service", "m2:run")
	w.expect("app@.service", "")
	w.explains("app@.service", "3 instances are kept (Instances=3)")
	w.quiet()

	w.destroy("app@2.service") // it is one that belongs
	w.settle()
	w.keeps("app@1.service* app@2.service* app@3.service*")

	w.target("app@.service", unit.Inactive)
	w.settle()
	w.keeps("app@1.service* app@2.service* app@3.service*")
	w.expect("app@1.service", "")

	w.target("app@.service", unit.Launched)
	w.settle()
	w.destroy("app@.service")
	w.log()
	w.decide()
	if want := "app@3.service is not among the 0 instances of app@.service"; !strings.HasPrefix(w.log(), want) {
		t.Fatalf("want first: %s", want)
	}
	w.settle()
	w.keeps("")
	w.explains("app@.service", "app@.service is unknown")
}

func TestInstancesAreScaled(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	w.launch("app@.service", "Instances=2")
	w.settle()
	w.scale("app@.service", &unit.Scale{To: 4, From: 2})
	w.settle()
	w.keeps("app@1.service* app@2.service* app@3.service* app@4.service*")
	w.explains("app@.service", "4 instances are kept, scaled from Instances=2")
	w.log()
	w.scale("app@.service", &unit.Scale{To: 1, From: 2})
	w.settle()
	w.keeps("app@1.service*")
	want := "app@4.service is not among the 1 instances of app@.service\n" +
		"app@3.service is not among the 1 instances of app@.service\n" +
		"app@2.service is not among the 1 instances of app@.service\n"
	if l := w.log(); !strings.HasPrefix(l, want) {
		t.Fatalf("got %s", l)
	}
	w.explains("app@.service", "1 instance is kept, scaled from Instances=2")
	w.unit("app@.service", unit.Launched, "Instances=3")
	w.scale("app@.service", &unit.Scale{To: 1, From: 2}) // void: the file says something else
	w.settle()
	w.keeps("app@1.service* app@2.service* app@3.service*")
	w.launch("app@.service")
	w.settle()
	w.keeps("")
	w.launch("app@.service", "Instances=0")
	w.settle()
	w.keeps("")
	w.explains("app@.service", "0 instances are kept (Instances=0)")
}

func TestInstancesOfAUserAreLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	for _, name := range []string{"app@2.service", "app@02.service", "app@x.service", "app@9.service"} {
		w.unit(name, unit.Loaded, "Prefer=mine")
	}
	w.launch("app@.service", "Instances=3")
	w.settle()
	all := "app@02.service app@1.service* app@2.service app@3.service* app@9.service app@x.service"
	w.keeps(all)
	w.explains("app@.service", "3 instances are kept (Instances=3); app@2.service is not among them: made by hand")
	w.launch("app@.service", "Instances=3", "Prefer=other")
	w.settle()
	w.target("app@.service", unit.Inactive)
	w.settle()
	w.keeps(all)
	if u, _ := w.c.Unit("app@2.service"); u.DesiredState != unit.Loaded || u.Hash != file(t, "Prefer=mine").Hash {
		t.Fatalf("the user's is now %+v", u)
	}
	w.destroy("app@.service")
	w.settle()
	w.keeps("app@02.service app@2.service app@9.service app@x.service")
}

func TestUserTakesAnInstanceWhileItIsDecidedAbout(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	w.launch("app@.service", "Instances=2")
	w.settle()
	w.target("app@.service", unit.Loaded)
	ds := w.c.Plan(w.now)
	w.launch("app@1.service", "Prefer=mine")
	w.commitAll(ds)
	w.settle()
	w.keeps("app@1.service app@2.service*")
	if u, _ := w.c.Unit("app@1.service"); u.DesiredState != unit.Launched {
		t.Fatalf("the user's is now %+v", u)
	}
	if u, _ := w.c.Unit("app@2.service"); u.DesiredState != unit.Loaded {
		t.Fatalf("app@2.service is %+v", u)
	}
}

// files tells which instances have the template's file.
func (w *world) current(template string) string {
	var names []string
	for _, u := range slices.Collect(w.c.Units()) {
		t, _ := w.c.Unit(template)
		if u.Name != template && u.Hash == t.Hash {
			names = append(names, u.Name)
		}
	}
	return strings.Join(names, " ")
}

// fail has a machine report that a unit has failed.
func (w *world) fail(id, name string) {
	s := w.running[id][name]
	s.ActiveState = "failed"
	w.running[id][name] = s
	w.report(id, s)
}

func (w *world) obeyAll() {
	for _, id := range slices.Sorted(maps.Keys(w.running)) {
		w.obey(id)
	}
}

func TestRollWithinMaxUnavailable(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("app@.service", "Instances=3")
	w.settle()
	w.launch("app@.service", "Instances=3", "Prefer=v2")
	w.decide()
	if got := w.current("app@.service"); got != "app@1.service" {
		t.Fatalf("the new file is at %q", got)
	}
	w.explains("app@.service", "3 instances are kept (Instances=3); 1 of 3 have the new file; waits for app@1.service, which is not up yet on m1")
	w.obeyAll()
	w.decide()
	w.obeyAll()
	w.fail("m2", "app@2.service")
	w.decide()
	if got := w.current("app@.service"); got != "app@1.service app@2.service" {
		t.Fatalf("the new file is at %q", got)
	}
	w.explains("app@.service", "3 instances are kept (Instances=3); 2 of 3 have the new file; waits for app@2.service, which is failed on m2")
	w.now = w.now.Add(1e12)
	w.quiet()

	// The next version goes first to the one that is down anyway.
	w.launch("app@.service", "Instances=3", "Prefer=v3")
	w.decide()
	if got := w.current("app@.service"); got != "app@2.service" {
		t.Fatalf("the new file is at %q", got)
	}
	w.settle()
	if got := w.current("app@.service"); got != "app@1.service app@2.service app@3.service" {
		t.Fatalf("the new file is at %q", got)
	}
	w.explains("app@.service", "3 instances are kept (Instances=3)")
}

func TestRollTakesAsManyAsTheNewFileSays(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("app@.service", "Instances=5")
	w.settle()
	w.launch("app@.service", "Instances=7", "MaxUnavailable=3")
	w.decide()
	// Two that are new count as down until they are up.
	if got := w.current("app@.service"); got != "app@1.service app@6.service app@7.service" {
		t.Fatalf("the new file is at %q", got)
	}
	w.settle()
	if got := strings.Fields(w.current("app@.service")); len(got) != 7 {
		t.Fatalf("the new file is at %q", got)
	}
}

// TestRollWaitsForWhatCannotTakeTheNewFile has a new file that reserves more
// than there is.
func TestRollWaitsForWhatCannotTakeTheNewFile(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	w.write(Change{Machine: &Machine{ID: "m1", Memory: 4 << 30}})
	w.launch("app@.service", "Instances=2", "MemoryReservation=1G")
	w.settle()
	w.launch("app@.service", "Instances=2", "MemoryReservation=5G")
	w.settle()
	if got := w.current("app@.service"); got != "app@1.service" {
		t.Fatalf("the new file is at %q", got)
	}
	w.explains("app@.service", "2 instances are kept (Instances=2); 1 of 2 have the new file; waits for app@1.service, which goes on with its earlier file on m1")
}

// TestRollAndDrainShareABudget has a roll begin where a drain is under way.
func TestRollAndDrainShareABudget(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2", "m3")
	w.launch("app@.service", "Instances=3")
	w.settle()
	w.launch("app@.service", "Instances=3", "Prefer=v2")
	w.label(Label{MachineID: "m3", Draining: true})
	for range 50 {
		did := w.plan() > 0
		down := 0
		for _, name := range []string{"app@1.service", "app@2.service", "app@3.service"} {
			if !w.c.units[name].available() {
				down++
			}
		}
		if down > 1 {
			t.Fatalf("%d are down at once:\n%s", down, w.log())
		}
		for _, id := range slices.Sorted(maps.Keys(w.running)) {
			did = w.obey(id) || did
		}
		if !did {
			break
		}
	}
	if got := strings.Fields(w.current("app@.service")); len(got) != 3 {
		t.Fatalf("the new file is at %q", got)
	}
	if p := w.c.PlacementsOn("m3"); p != nil {
		t.Fatalf("not drained: %+v", p)
	}
}

func TestInstancesWithASidekick(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2", "m3")
	w.launch("side@.service", "Instances=3", "MachineOf=app@%i.service")
	w.launch("app@.service", "Instances=3", "Conflicts=app@*.service")
	w.settle()
	for i := range 3 {
		name, side := fmt.Sprintf("app@%d.service", i+1), fmt.Sprintf("side@%d.service", i+1)
		if at := w.where(name); at == "" || at != w.where(side) {
			t.Fatalf("%s is on %q, %s on %q", name, at, side, w.where(side))
		}
	}
	w.launch("app@.service", "Instances=2", "Conflicts=app@*.service", "Prefer=v2")
	w.settle()
	w.explains("side@3.service", "placed on m3, but MachineOf=app@3.service, which is unknown")
}

func TestInstanceNamesThatWouldBeTooLong(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	name := strings.Repeat("a", unit.MaxNameSize-len("@.service")-1) + "@.service"
	w.launch(name, "Instances=8")
	w.scale(name, &unit.Scale{To: 12, From: 8})
	w.settle()
	if n := len(strings.Fields(w.kept())); n != 9 {
		t.Fatalf("%d instances", n)
	}
	w.explains(name, "9 instances are kept, scaled from Instances=8; of 12, the names of the others would be longer than 255 bytes")
	w.quiet()
}

func TestTemplateThatCannotBeReadChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	w.launch("app@.service", "Instances=2")
	w.settle()
	u, _ := w.c.Unit("app@.service")
	w.write(Change{Unit: &u})
	w.quiet()
	w.keeps("app@1.service* app@2.service*")
	w.explains("app@.service", "its file can't be read")
}

// TestSurplusIsNotPlaced: what an instance waits for comes in the same Plan that
// takes the instance away.
func TestSurplusIsNotPlaced(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	w.launch("app@.service", "Instances=1", "MachineOf=a.service")
	w.settle()
	w.launch("a.service", "Global=true")
	w.launch("app@.service")
	w.plan()
	if l := w.log(); strings.Contains(l, "app@1.service on m1") {
		t.Error(l)
	}
	w.settle()
	w.keeps("a.service")
}
