//go:build machine

package functional

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"fleet/functional/sandbox"
)

// testDrain empties a machine for maintenance: what runs there stops there
// before it starts elsewhere, a MachineOf group goes as a whole, a global unit
// and what fits nowhere else stay, and afterwards nothing moves back.
func testDrain(t *testing.T, c *cluster) {
	victim := c.others(c.via)[0]
	pinned := "pinned.service"
	c.start(t, pinned, small+"[X-Fleet]\nMachineID="+victim.ID+"\n")
	for _, name := range []string{"app@1.service", "app@2.service"} {
		c.start(t, name, small+"[X-Fleet]\nPrefer=fleet.hostname="+victim.Name+"\n")
		c.start(t, strings.Replace(name, "app", "side", 1), small+"[X-Fleet]\nMachineOf=app@%i.service\n")
	}
	c.start(t, "everywhere.service", small+"[X-Fleet]\nGlobal=true\n")
	movers := []string{"app@1.service", "app@2.service", "side@1.service", "side@2.service"}
	for u, on := range placesOf(c.awaitOnce(t, soon, movers...), movers) {
		if on != victim.Name {
			t.Fatalf("%s runs on %s, not on %s that it prefers", u, on, victim.Name)
		}
	}

	stdout, stderr, status := c.tryFleetctl(t, "drain", victim.Name)
	t.Logf("fleetctl drain:\n%s%s", stdout, stderr)
	if status != 1 || !strings.Contains(stdout+stderr, pinned) {
		t.Errorf("drain with a unit that fits nowhere else: exit status %d, and it should name %s", status, pinned)
	}
	after := c.awaitOnce(t, soon, append(movers, pinned)...)
	for u, on := range placesOf(after, movers) {
		if on == victim.Name {
			t.Errorf("%s is still on the drained machine", u)
		}
		if instance := strings.TrimPrefix(u, "app@"); instance != u {
			if side := placesOf(after, movers)["side@"+instance]; side != on {
				t.Errorf("%s is on %s, and the unit that follows it on %s", u, on, side)
			}
		}
	}
	if on := c.active(t, "everywhere.service").places("everywhere.service"); len(on) != len(c.running()) {
		t.Errorf("the global unit runs on %q", on)
	}
	if state := c.machineState(t, victim); state != "draining" {
		t.Errorf("list-machines says that the drained machine is %q", state)
	}

	c.fleetctl(t, "uncordon", victim.Name)
	if state := c.machineState(t, victim); state != "ready" {
		t.Errorf("list-machines says that the machine is %q after uncordon", state)
	}
	unchanged(t, after, c.active(t, append(movers, pinned)...))
}

// testDrainHung drains a machine on which one unit hangs in its stop: it holds
// up nobody else, and is waited for.
func testDrainHung(t *testing.T, c *cluster) {
	victim := c.others(c.via)[0]
	for _, m := range c.others(victim) {
		c.sh(t, m, "touch /run/let-go")
	}
	there := "[X-Fleet]\nPrefer=fleet.hostname=" + victim.Name + "\n"
	c.start(t, "hung.service", "[Service]\nExecStart=/bin/sleep 1d\nExecStop=/bin/sh -c 'until test -e /run/let-go; do sleep 0.1; done'\nTimeoutStopSec=10min\n"+there)
	c.start(t, "quick.service", small+there)
	if _, stderr, status := c.tryFleetctl(t, "drain", "--timeout=5s", victim.Name); status != 1 || !strings.Contains(stderr, "hung.service") {
		t.Errorf("drain with a hung stop: exit status %d:\n%s", status, stderr)
	}
	c.awaitOnce(t, soon, "quick.service")
	if on := c.where(t, "quick.service"); on.Name == victim.Name {
		t.Errorf("quick.service is still on %s", on.Name)
	}
	c.sh(t, victim, "touch /run/let-go")
	c.fleetctl(t, "drain", victim.Name)
	c.awaitOnce(t, soon, "hung.service")
	if on := c.where(t, "hung.service"); on.Name == victim.Name {
		t.Errorf("hung.service is still on %s", on.Name)
	}
	c.fleetctl(t, "uncordon", victim.Name)
	c.fleetctl(t, "destroy", "hung.service")
	for _, m := range c.running() {
		c.sh(t, m, "rm /run/let-go")
	}
}

// testCordon keeps new units off a machine.
func testCordon(t *testing.T, c *cluster) {
	m := c.others(c.via)[0]
	c.fleetctl(t, "cordon", m.Name)
	pinned := c.file(t, "pinned.service", small+"[X-Fleet]\nMachineID="+m.ID+"\n")
	c.refused(t, []string{"1 is cordoned"}, "start", "--block-attempts=4", pinned)
	c.fleetctl(t, "uncordon", m.Name)
	c.awaitOnce(t, soon, "pinned.service")
}

// testScale has a template keep a number of instances: started as a whole,
// scaled, rolled over to a new version one at a time, and destroyed as a whole.
func testScale(t *testing.T, c *cluster) {
	const name = "app@.service"
	version := func(n int) string {
		return fmt.Sprintf("[Service]\nExecStart=/bin/sh -c 'echo version %d; exec sleep 1d'\n[X-Fleet]\nInstances=3\nConflicts=none@*.service\n", n)
	}
	instances := func(n int) []string {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("app@%d.service", i+1))
		}
		return names
	}
	c.fleetctl(t, "start", c.file(t, name, version(1)))
	before := c.awaitOnce(t, soon, instances(3)...)
	c.fleetctl(t, "scale", name, "5")
	grown := c.awaitOnce(t, soon, instances(5)...)
	for place, run := range before {
		if grown[place] != run {
			t.Errorf("%s was touched by scaling up", place)
		}
	}

	c.file(t, name, version(2))
	stop := make(chan struct{})
	least := make(chan int)
	go func() {
		fewest := 5
		for {
			select {
			case <-stop:
				least <- fewest
				return
			default:
				fewest = min(fewest, len(c.active(t, instances(5)...)))
			}
		}
	}()
	c.fleetctl(t, "start", "--replace", "/root/units/"+name)
	eventually(t, soon, func() error {
		for place, run := range c.active(t, instances(5)...) {
			if grown[place] == run {
				return fmt.Errorf("%s still runs the old version", place)
			}
		}
		return nil
	})
	close(stop)
	if n := <-least; n < 4 {
		t.Errorf("%d of 5 instances ran during the roll, at most one was to be down", n)
	}
	c.awaitOnce(t, soon, instances(5)...)

	c.fleetctl(t, "scale", name, "2")
	eventually(t, soon, func() error {
		s := c.active(t, instances(5)...)
		if got := len(s); got != 2 {
			return fmt.Errorf("%d instances run: %v", got, s)
		}
		return s.once(instances(2)...)
	})
	c.fleetctl(t, "destroy", name)
	eventually(t, soon, func() error {
		if s := c.active(t, instances(5)...); len(s) > 0 {
			return fmt.Errorf("still running: %v", s)
		}
		return nil
	})
}

// testReservations shares machines by what units reserve, and says why one more
// finds no room.
func testReservations(t *testing.T, c *cluster) {
	most := func(name string) string {
		// Three fifths of any machine here: they are all the same host's.
		kib := strings.TrimSpace(c.sh(t, c.via, `awk '/MemTotal/ { printf "%d", $2 * 3 / 5 }' /proc/meminfo`))
		return c.file(t, name, small+"[X-Fleet]\nMemoryReservation="+kib+"K\n")
	}
	var names, paths []string
	for i := range len(c.running()) {
		names = append(names, fmt.Sprintf("big-%d.service", i+1))
		paths = append(paths, most(names[i]))
	}
	c.fleetctl(t, append([]string{"start"}, paths...)...)
	var on []string
	for _, m := range placesOf(c.awaitOnce(t, soon, names...), names) {
		on = append(on, m)
	}
	slices.Sort(on)
	if len(slices.Compact(slices.Clone(on))) != len(names) {
		t.Errorf("units that reserve more than half of a machine run on %q", on)
	}
	c.refused(t, []string{"no machine fits", "memory"}, "start", "--block-attempts=4", most("one-more.service"))
	out := c.fleetctl(t, "explain", "one-more.service")
	if !strings.Contains(out, "memory") {
		t.Errorf("fleetctl explain does not name what is lacking:\n%s", out)
	}
	c.fleetctl(t, "destroy", names[0])
	c.awaitOnce(t, soon, "one-more.service")
}

// testReplaces has a unit take the place of another, which goes elsewhere, and
// only then is started.
func testReplaces(t *testing.T, c *cluster) {
	c.start(t, "old.service", small)
	was := c.where(t, "old.service")
	c.start(t, "new.service", small+"[X-Fleet]\nReplaces=old.service\n")
	c.awaitOnce(t, soon, "old.service", "new.service")
	if on := c.where(t, "new.service"); on.Name != was.Name {
		t.Errorf("new.service runs on %s, not in the place of old.service on %s", on.Name, was.Name)
	}
	if on := c.where(t, "old.service"); on.Name == was.Name {
		t.Errorf("old.service still runs on %s", on.Name)
	}
}

// testBrokenHost has a host fail at every start: it gets no further units until
// it recovers, and a unit that asks for it is tried elsewhere.
func testBrokenHost(t *testing.T, c *cluster) {
	broken := c.others(c.via)[0]
	c.sh(t, broken, "touch /run/broken")
	needs := "[Service]\nExecStartPre=/bin/sh -c 'test ! -e /run/broken'\nExecStart=/bin/sleep 1d\n[X-Fleet]\nPrefer=fleet.hostname=" + broken.Name + "\n"
	c.start(t, "moving.service", needs+"Reschedule=on-failure:2\n")
	eventually(t, 2*soon, func() error {
		return c.active(t, "moving.service").once("moving.service")
	})
	if on := c.where(t, "moving.service"); on.Name == broken.Name {
		t.Errorf("moving.service runs on the broken host")
	}
	for i := range 3 {
		name := fmt.Sprintf("fails-%d.service", i+1)
		c.tryFleetctl(t, "start", c.file(t, name, needs))
	}
	eventually(t, soon, func() error {
		if state := c.machineState(t, broken); !strings.HasPrefix(state, "not ready") {
			return fmt.Errorf("the machine that fails at every start is %q", state)
		}
		return nil
	})
	c.start(t, "wise.service", needs)
	if on := c.where(t, "wise.service"); on.Name == broken.Name {
		t.Errorf("wise.service went to the broken host")
	}
	// One of them that has been up for a minute is enough.
	c.sh(t, broken, "rm /run/broken; systemctl start fails-1.service")
	eventually(t, 4*soon, func() error {
		if state := c.machineState(t, broken); state != "ready" {
			return fmt.Errorf("the machine is still %q when it works again", state)
		}
		return nil
	})
}

// testRunOnce has a job run, and its machine lose power: what finished is not
// run again, what was at work is.
func testRunOnce(t *testing.T, c *cluster) {
	victim := c.others(c.via)[0]
	job := "[X-Fleet]\nRunOnce=true\nPrefer=fleet.hostname=" + victim.Name + "\n"
	c.start(t, "finished.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo $$RANDOM >>/root/finished'\n"+job)
	c.start(t, "at-work.service", small+job)
	c.start(t, "plain.service", small+"[X-Fleet]\nPrefer=fleet.hostname="+victim.Name+"\n")
	eventually(t, soon, func() error {
		if n := len(c.keys(t, "done/finished.service")); n != 1 {
			return fmt.Errorf("there are %d records that the job is done", n)
		}
		return nil
	})
	if err := victim.Kill(c.ctx); err != nil {
		t.Fatal(err)
	}
	c.awaitOnce(t, 4*ttl, "at-work.service", "plain.service")
	for _, m := range c.running() {
		if out := c.sh(t, m, "cat /root/finished 2>/dev/null || true"); out != "" {
			t.Errorf("the job was run again on %s", m.Name)
		}
	}
	if err := victim.Start(c.ctx); err != nil {
		t.Fatal(err)
	}
	c.awaitMembers(t, len(c.Machines()))
	eventually(t, soon, func() error {
		return c.active(t, "at-work.service", "plain.service").once("at-work.service", "plain.service")
	})
	if runs := strings.Count(c.sh(t, victim, "cat /root/finished; rm /root/finished"), "\n"); runs != 1 {
		t.Errorf("the job ran %d times on the machine that came back", runs)
	}
}

// testForget has a machine that is gone for good forgotten, and come back after
// all: what it still runs stays, without a place in the cluster.
func testForget(t *testing.T, c *cluster) {
	m := c.others(c.via)[0]
	c.start(t, "left.service", small+"[X-Fleet]\nMachineID="+m.ID+"\n")
	before := c.awaitOnce(t, soon, "left.service")
	c.refused(t, []string{"is there"}, "machine", "forget", m.Name)
	if err := m.Cut(c.ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, 4*ttl, func() error {
		_, stderr, status := c.tryFleetctl(t, "machine", "forget", m.Name)
		if status != 0 {
			return fmt.Errorf("machine forget: %s", stderr)
		}
		return nil
	})
	c.fleetctl(t, "destroy", "left.service")
	if left := c.keys(t, "machine/"+m.ID, "place/"+m.ID, "label/"+m.ID, "absent/"+m.ID); len(left) > 0 {
		t.Errorf("left of a forgotten machine: %q", left)
	}
	if err := m.Heal(c.ctx); err != nil {
		t.Fatal(err)
	}
	c.awaitMembers(t, len(c.Machines()))
	unchanged(t, before, c.active(t, "left.service"))
	// The cluster takes it up where it runs when a user wants it again.
	c.fleetctl(t, "start", "/root/units/left.service")
	unchanged(t, before, c.active(t, "left.service"))
}

// placesOf is where each of the units runs.
func placesOf(s seen, units []string) map[string]string {
	on := map[string]string{}
	for _, u := range units {
		on[u] = strings.Join(s.places(u), ",")
	}
	return on
}

// machineState is what list-machines says of a machine's condition.
func (c *cluster) machineState(t *testing.T, m *sandbox.Machine) string {
	t.Helper()
	for line := range strings.Lines(c.fleetctl(t, "list-machines", "--full", "--no-legend", "--fields=machine,state")) {
		if id, state, _ := strings.Cut(strings.TrimSpace(line), "\t"); id == m.ID {
			return strings.TrimSpace(state)
		}
	}
	return ""
}
