package schedule

import (
	"testing"

	"fleet/unit"
)

func TestGlobalIsEverywhereThatFits(t *testing.T) {
	w := newWorld(t)
	w.join("m1 role=web", "m2", "m3 role=web", "m4 role=web")
	w.label(Label{MachineID: "m4", Cordoned: true})
	w.launch("g.service", "Global=true", "MachineMetadata=role=web")
	w.settle()
	w.expect("g.service", "m1:run m3:run")
	w.explains("g.service", "placed on m1 and m3; of the others 1 is cordoned, 1 lacks metadata role=web")

	w.join("m5 role=web")
	w.settle()
	w.expect("g.service", "m1:run m3:run m5:run")
	w.die("m1")
	w.quiet()
	w.comeBack("m1")
	w.quiet()
	w.label(Label{MachineID: "m3", Removed: []string{"role"}})
	w.settle()
	w.expect("g.service", "m1:run m5:run")
	w.target("g.service", unit.Loaded)
	w.settle()
	if p := w.placement("g.service", "m5"); p.Target != unit.Loaded {
		t.Errorf("stayed as %+v", p)
	}
	w.destroy("g.service")
	w.settle()
	w.expect("g.service", "")
}

func TestGlobalConflicts(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service", "Conflicts=g.service")
	w.settle()
	w.launch("g.service", "Global=true")
	w.settle()
	w.expect("g.service", "m2:run")
	w.launch("b.service", "Conflicts=g.service")
	w.settle()
	w.expect("b.service", "m1:run")
	w.destroy("a.service")
	w.destroy("b.service")
	w.settle()
	w.expect("g.service", "m1:run m2:run")
}

func TestGlobalAndBack(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2", "m3")
	w.launch("x.service")
	w.settle()
	w.launch("g.service", "Global=true")
	w.settle()
	w.launch("g.service")
	w.settle()
	w.expect("g.service", "m2:run")
	w.die("m2")
	w.settle()
	w.expect("g.service", "m2:held m3:run")
	w.launch("g.service", "Global=true")
	w.settle()
	w.expect("g.service", "m1:run m2:run m3:run")
}

func TestGlobalBesideAUnit(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2", "m3")
	w.launch("log.service", "Global=true", "MachineOf=web.service")
	w.settle()
	w.expect("log.service", "")
	w.explains("log.service", "no machine fits: 3 do not hold web.service")
	w.launch("web.service", "MachineMetadata=role=web")
	w.label(Label{MachineID: "m2", Set: map[string]string{"role": "web"}})
	w.settle()
	w.expect("log.service", "m2:run")

	// Where its target is lost it stays, and follows the replacement.
	w.label(Label{MachineID: "m3", Set: map[string]string{"role": "web"}})
	w.die("m2")
	w.settle()
	w.expect("web.service", "m2:held m3:run")
	w.expect("log.service", "m2:run m3:run")
	w.comeBack("m2")
	w.decide()
	w.expect("log.service", "m2:release m3:run")
	w.settle()
	w.expect("log.service", "m3:run")

	w.target("web.service", unit.Inactive)
	w.settle()
	w.expect("log.service", "")
}

func TestGlobalBesideGlobals(t *testing.T) {
	w := newWorld(t)
	w.join("m1 role=web", "m2 disk=ssd", "m3 role=web disk=ssd")
	w.launch("c.service", "Global=true", "MachineOf=a.service", "MachineOf=b.service")
	w.launch("a.service", "Global=true", "MachineMetadata=role=web")
	w.launch("b.service", "Global=true", "MachineMetadata=disk=ssd")
	w.settle()
	w.expect("c.service", "m3:run")
	w.label(Label{MachineID: "m1", Set: map[string]string{"disk": "ssd"}})
	w.settle()
	w.expect("c.service", "m1:run m3:run")
	w.destroy("a.service")
	w.settle()
	w.expect("c.service", "")
	w.explains("c.service", "no machine fits: 3 do not hold a.service")
}
