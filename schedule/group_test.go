package schedule

import "testing"

func TestGroupIsPlacedAsAWhole(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2 disk=ssd")
	w.launch("a.service")
	w.launch("b.service", "MachineOf=a.service", "MachineMetadata=disk=ssd")
	if n := w.plan(); n != 1 {
		t.Errorf("%d decisions, want one", n)
	}
	w.settle()
	w.expect("a.service", "m2:run")
	w.expect("b.service", "m2:run")
	w.launch("c.service", "MachineOf=b.service")
	w.settle()
	w.expect("c.service", "m2:run")
	w.explains("c.service", "placed on m2: it joins b.service (MachineOf)")
	w.quiet()
}

func TestGroupFitsNowhere(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service")
	w.launch("b.service", "MachineOf=a.service", "MachineMetadata=disk=ssd")
	w.quiet()
	w.explains("a.service", "no machine fits: 2 lack metadata disk=ssd (b.service)")
	w.explains("b.service", "no machine fits: 2 lack metadata disk=ssd")
	w.destroy("b.service")
	w.settle()
	w.expect("a.service", "m1:run")
}

func TestNewcomerThatDoesNotFitWaits(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2 disk=ssd")
	w.launch("a.service")
	w.settle()
	w.launch("b.service", "MachineOf=a.service", "MachineMetadata=disk=ssd")
	w.quiet()
	w.expect("a.service", "m1:run")
	w.explains("b.service", "no machine fits: 1 does not hold a.service, 1 lacks metadata disk=ssd")
	// It does not hold up a.service when its machine dies.
	w.join("m3")
	w.label(Label{MachineID: "m2", Cordoned: true})
	w.die("m1")
	w.settle()
	w.expect("a.service", "m1:held m3:run")
	w.label(Label{MachineID: "m3", Set: map[string]string{"disk": "ssd"}})
	w.settle()
	w.expect("b.service", "m3:run")
}

func TestTargetJoinsItsFollower(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service")
	w.launch("b.service", "MachineOf=a.service")
	w.settle()
	w.destroy("a.service")
	w.settle()
	w.expect("b.service", "m1:run")
	w.explains("b.service", "placed on m1, but MachineOf=a.service, which is unknown")
	w.launch("a.service")
	w.settle()
	w.expect("a.service", "m1:run") // though m2 has less
	w.explains("a.service", "placed on m1: it joins b.service (MachineOf)")
}

func TestLostGroupMovesTogetherOrNotAtAll(t *testing.T) {
	w := newWorld(t)
	w.join("m1 disk=ssd", "m2", "m3")
	w.launch("a.service")
	w.launch("b.service", "MachineOf=a.service", "MachineMetadata=disk=ssd")
	w.settle()
	w.expect("a.service", "m1:run")
	w.die("m1")
	w.quiet()
	w.explains("a.service", "placed on m1, which is lost; no machine fits: 2 lack metadata disk=ssd (b.service), 1 is lost")
	w.label(Label{MachineID: "m3", Set: map[string]string{"disk": "ssd"}})
	w.plan()
	if len(w.made) != 1 || len(w.made[0].Writes) != 4 {
		t.Errorf("decided %+v", w.made)
	}
	w.settle()
	w.expect("a.service", "m1:held m3:run")
	w.expect("b.service", "m1:held m3:run")
	w.comeBack("m1")
	w.settle()
	w.expect("a.service", "m3:run")
	w.expect("b.service", "m3:run")
}

func TestGroupIsReleasedTogether(t *testing.T) {
	w := newWorld(t)
	w.join("m1 disk=ssd", "m2", "m3")
	w.launch("a.service")
	w.launch("b.service", "MachineOf=a.service", "MachineMetadata=disk=ssd")
	w.settle()
	w.label(Label{MachineID: "m1", Removed: []string{"disk"}})
	w.quiet()
	w.label(Label{MachineID: "m2", Set: map[string]string{"disk": "ssd"}})
	w.decide()
	w.expect("a.service", "m1:release")
	w.expect("b.service", "m1:release")
	w.obeyOne("m1", "a.service")
	w.decide()
	w.expect("a.service", "m1:release") // not before b.service has stopped too
	w.explains("a.service", "waits for m1 to confirm that b.service has stopped there")
	w.settle()
	w.expect("a.service", "m2:run")
	w.expect("b.service", "m2:run")
}

func TestFollowerMovesToItsTarget(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service")
	w.launch("b.service")
	w.settle()
	w.expect("b.service", "m2:run")
	w.launch("a.service", "MachineOf=b.service")
	w.settle()
	w.expect("b.service", w.where("a.service"))
	w.quiet()
}

func TestBrokenMachineOf(t *testing.T) {
	for _, test := range []struct {
		name   string
		launch map[string]string
		unit   string
		says   string
	}{
		{"unknown", map[string]string{"a.service": "MachineOf=web.service"},
			"a.service", "MachineOf=web.service, which is unknown"},
		{"cycle of two", map[string]string{"a.service": "MachineOf=b.service", "b.service": "MachineOf=a.service"},
			"a.service", "a.service and b.service each ask for the other's machine (MachineOf cycle)"},
		{"cycle of three", map[string]string{"a.service": "MachineOf=b.service", "b.service": "MachineOf=c.service", "c.service": "MachineOf=a.service"},
			"b.service", "a.service, b.service and c.service ask for each other's machine (MachineOf cycle)"},
		{"behind a cycle", map[string]string{"a.service": "MachineOf=b.service", "b.service": "MachineOf=a.service", "c.service": "MachineOf=a.service"},
			"c.service", "MachineOf=a.service, which can't be placed itself"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.join("m1")
			for name, option := range test.launch {
				w.launch(name, option)
			}
			w.settle()
			w.expect(test.unit, "")
			w.explains(test.unit, test.says)
			if !w.c.Explain(test.unit).Pending {
				t.Error("not pending")
			}
		})
	}
}

func TestTargetNotLoaded(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	w.unit("web.service", "inactive")
	w.launch("a.service", "MachineOf=web.service")
	w.settle()
	w.explains("a.service", "MachineOf=web.service, which is not loaded")
	w.target("web.service", "launched")
	w.settle()
	w.expect("a.service", "m1:run")
}

// A follower that can't be placed does not hold up what it follows.
func TestBrokenFollowerHoldsNothingUp(t *testing.T) {
	w := newWorld(t)
	w.join("m1")
	w.launch("a.service")
	w.launch("c.service")
	w.launch("b.service", "MachineOf=a.service", "MachineOf=c.service", "MachineMetadata=disk=ssd")
	w.settle()
	w.expect("a.service", "")
	w.destroy("c.service")
	w.settle()
	w.expect("a.service", "m1:run")
	w.explains("b.service", "MachineOf=c.service, which is unknown")
}

func TestFollowerOfGlobal(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2 role=log")
	w.launch("g.service", "Global=true", "MachineMetadata=role=log")
	w.launch("a.service", "MachineOf=g.service")
	w.settle()
	w.expect("a.service", "m2:run")
}

// A timer or socket and its service are beside each other, whichever of them
// names the other, and whichever comes first.
func TestTriggersStayBesideTheirService(t *testing.T) {
	const service = "app.service"
	for _, trigger := range []string{"app.timer", "app.socket", "app.path"} {
		for _, test := range []struct{ name, follower, target, option string }{
			{"the trigger follows", trigger, service, "MachineOf=%p.service"},
			{"the service follows", service, trigger, "MachineOf=" + trigger},
		} {
			for _, first := range []string{test.follower, test.target} {
				t.Run(test.name+", "+trigger+", "+first+" first", func(t *testing.T) {
					w := newWorld(t)
					w.join("m1", "m2", "m3")
					launch := func(name string) {
						if name == test.follower {
							w.launch(name, test.option)
						} else {
							w.launch(name)
						}
						w.settle()
					}
					together := func(at string) {
						t.Helper()
						w.settle()
						w.expect(trigger, at)
						w.expect(service, at)
					}
					launch(first)
					if first == test.follower {
						w.expect(first, "")
						w.explains(first, "MachineOf="+test.target+", which is unknown")
						launch(test.target)
					} else {
						launch(test.follower)
					}
					together("m1:run")
					w.drain("m1")
					together("m2:run")
					w.die("m2")
					together("m2:held m3:run")
				})
			}
		}
	}
}

// All that MachineOf binds moves as one wherever it is moved: none of it stops
// unless all of it has a place to go.
func TestGroupMovesWhole(t *testing.T) {
	group := []string{"a.service", "b.service", "c.service"}
	for name, move := range map[string]func(w *world){
		"drain":      func(w *world) { w.drain("m1") },
		"constraint": func(w *world) { w.label(Label{MachineID: "m1", Removed: []string{"disk"}}) },
		"Replaces":   func(w *world) { w.launch("new.service", "Replaces=a.service", "MachineID=m1") },
		"conflict":   func(w *world) { w.launch("b.service", "MachineOf=a.service", "Conflicts=x.service") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.join("m1 disk=ssd")
			w.launch("a.service")
			w.launch("b.service", "MachineOf=a.service")
			w.launch("c.service", "MachineOf=b.service", "MachineMetadata=disk=ssd")
			w.settle()
			w.join("m2")
			w.label(Label{MachineID: "m2", Cordoned: true})
			w.launch("x.service", "MachineID=m1")
			w.settle()
			move(w)
			w.settle()
			for _, name := range group {
				w.expect(name, "m1:run") // m2 has no disk=ssd
			}
			w.label(Label{MachineID: "m2", Set: map[string]string{"disk": "ssd"}})
			w.decide()
			for _, name := range group {
				w.expect(name, "m1:release")
			}
			w.settle()
			for _, name := range group {
				w.expect(name, "m2:run")
			}
			w.quiet()
		})
	}
}
