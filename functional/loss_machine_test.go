//go:build machine

package functional

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fleet/functional/sandbox"
)

// slack is what a busy host may add to the bound on a fail-over: this fails
// when the promise is broken, and the log says by how much it was kept.
const slack = 5 * time.Second

// testPowerLoss takes the power of a machine with a container and its sidekick
// away. It is not the one whose member leads the store: the store's election
// would count as well.
func testPowerLoss(t *testing.T, c *cluster) {
	c.file(t, "web@.service", example(t, "web@.service"))
	c.file(t, "web-announce@.service", example(t, "web-announce@.service"))
	began := time.Now()
	c.fleetctl(t, "start", "/root/units/web@1.service")
	c.answers(t, "1", c.where(t, "web@1.service"))
	start := time.Since(began)
	c.fleetctl(t, "start", "/root/units/web@2.service", "/root/units/web-announce@1.service", "/root/units/web-announce@2.service")

	instance := "1"
	if c.where(t, "web@1.service").Name == c.storeLeader(t) {
		instance = "2"
	}
	victim := c.where(t, "web@"+instance+".service")
	replaced := c.loses(t, victim, start, "web@1.service", "web@2.service", "web-announce@1.service", "web-announce@2.service")
	c.answers(t, instance, replaced)
}

// testLeaderPowerLoss takes the power of the machine whose engine leads away.
// That costs no more than losing another one.
func testLeaderPowerLoss(t *testing.T, c *cluster) {
	names := []string{"lead@1.service", "lead@2.service"}
	victim := c.leader(t)
	c.file(t, "lead@.service", small+"[X-Fleet]\nConflicts=lead@*.service\n")
	began := time.Now()
	c.fleetctl(t, "start", "/root/units/lead@1.service")
	start := time.Since(began)
	c.fleetctl(t, "start", "/root/units/lead@2.service")
	if s := c.active(t, names...); !slices.Contains(append(s.places(names[0]), s.places(names[1])...), victim.Name) {
		// It is on the third machine that neither runs: bring one there.
		c.start(t, "lead@3.service", small+"[X-Fleet]\nMachineID="+victim.ID+"\nConflicts=lead@*.service\n")
		c.fleetctl(t, "destroy", names[1])
		c.file(t, "lead@3.service", small+"[X-Fleet]\nConflicts=lead@*.service\n")
		c.fleetctl(t, "start", "--replace", "/root/units/lead@3.service")
		names[1] = "lead@3.service"
	}
	c.loses(t, victim, start, names...)
}

// testCable pulls a machine's cable and plugs it in again. Its unit runs on, for
// nobody can tell it to stop, and is replaced elsewhere. After that it runs
// only there.
func testCable(t *testing.T, c *cluster) {
	moving, m, before := c.diaries(t)
	began := time.Now()
	if err := m.Cut(c.ctx); err != nil {
		t.Fatal(err)
	}
	var during seen
	eventually(t, 4*ttl, func() error {
		during = c.both(t)
		if on := during.places(moving); len(on) != 2 || during.starting(moving) {
			return fmt.Errorf("%s runs, or is starting, on %q", moving, on)
		}
		return nil
	})
	t.Logf("replaced %s after the cable was pulled", since(began))
	c.sameRuns(t, before, during)
	if err := m.Heal(c.ctx); err != nil {
		t.Fatal(err)
	}
	after := c.awaitBoth(t)
	t.Logf("the replaced one was stopped %s after that", since(began))
	unchanged(t, during.without(m), after)
}

// loses takes the victim's power away, waits until its units run elsewhere
// within the promised time, gives it its power back and waits to see that
// nothing starts twice. start is how long starting the slowest of the units
// takes. It returns the machine that runs the victim's units afterwards.
func (c *cluster) loses(t *testing.T, victim *sandbox.Machine, start time.Duration, units ...string) *sandbox.Machine {
	t.Helper()
	before := c.active(t, units...)
	if err := before.once(units...); err != nil {
		t.Fatal(err)
	}
	lost := before.on(victim)
	kept := before.without(victim)
	c.via = c.others(victim)[0]
	defer func() { c.via = c.Machines()[0] }()

	began := time.Now()
	if err := victim.Kill(c.ctx); err != nil {
		t.Fatal(err)
	}
	after := c.awaitOnce(t, 4*ttl, units...)
	took := time.Since(began)
	limit := ttl + 2*time.Second + start
	t.Logf("%q run elsewhere %s after the power loss of %s; a start took %s: %s of %s used",
		lost, took.Round(time.Millisecond), victim.Name, start.Round(time.Millisecond), (took - start).Round(time.Millisecond), ttl+2*time.Second)
	if took > limit+slack {
		t.Errorf("the fail-over took %s, more than %s", took, limit)
	}
	if took < ttl/2 {
		t.Errorf("the fail-over took %s: the machine's lease had not run out", took)
	}
	c.sameRuns(t, kept, after)

	if err := victim.Start(c.ctx); err != nil {
		t.Fatal(err)
	}
	c.awaitPresence(t, victim)
	eventually(t, soon, func() error {
		if keys := c.keys(t, "place/"+victim.ID+"/"); len(keys) > 0 {
			return fmt.Errorf("the returned machine still has %q", keys)
		}
		return nil
	})
	unchanged(t, after, c.active(t, units...))
	for _, u := range lost {
		if log := c.sh(t, victim, `journalctl --boot --no-pager --output=cat --unit="$1" _PID=1`, u); strings.Contains(log, "Start") {
			t.Errorf("%s was started on the returned machine too:\n%s", u, log)
		}
	}
	m, err := c.Machine(after.places(lost[0])[0])
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// on are the units that run on m.
func (s seen) on(m *sandbox.Machine) []string {
	var units []string
	for place := range s {
		if unit, ok := strings.CutPrefix(place, m.Name+"/"); ok {
			units = append(units, unit)
		}
	}
	slices.Sort(units)
	return units
}

// without are the runs on other machines than m.
func (s seen) without(m *sandbox.Machine) seen {
	rest := seen{}
	for place, r := range s {
		if !strings.HasPrefix(place, m.Name+"/") {
			rest[place] = r
		}
	}
	return rest
}

// sameRuns fails the test unless all of the runs still are.
func (c *cluster) sameRuns(t *testing.T, kept, now seen) {
	t.Helper()
	for place, r := range kept {
		if now[place] != r {
			t.Errorf("%s was touched: %v before, %v now", place, r, now[place])
		}
	}
}

// awaitPresence waits until the machine is in the cluster.
func (c *cluster) awaitPresence(t *testing.T, m *sandbox.Machine) {
	t.Helper()
	eventually(t, soon, func() error {
		if len(c.keys(t, "alive/"+m.ID)) == 0 {
			return fmt.Errorf("%s is not in the cluster", m.Name)
		}
		return nil
	})
}
