//go:build machine

package functional

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"fleet/functional/sandbox"
)

// outage is how long the control plane is away: longer than the machines'
// leases.
const outage = ttl + 5*time.Second

// three starts a unit on each of the machines and returns what runs.
func (c *cluster) three(t *testing.T) seen {
	t.Helper()
	c.file(t, "keep@.service", small+"[X-Fleet]\nConflicts=keep@*.service\n")
	c.fleetctl(t, "start", "/root/units/keep@1.service", "/root/units/keep@2.service", "/root/units/keep@3.service")
	return c.kept(t)
}

func (c *cluster) kept(t *testing.T) seen {
	t.Helper()
	return c.active(t, "keep@1.service", "keep@2.service", "keep@3.service")
}

// each runs a shell script on all machines at once.
func (c *cluster) each(t *testing.T, machines []*sandbox.Machine, script string) {
	t.Helper()
	var wg sync.WaitGroup
	for _, m := range machines {
		wg.Go(func() {
			if _, err := m.Output(c.ctx, "sh", "-ec", script); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// works starts a unit, which takes a cluster that is at work.
func (c *cluster) works(t *testing.T, name string) {
	t.Helper()
	eventually(t, soon, func() error {
		if _, stderr, status := c.tryFleetctl(t, "start", c.file(t, name, small)); status != 0 {
			return fmt.Errorf("fleetctl start %s: %s", name, stderr)
		}
		return c.active(t, name).once(name)
	})
}

// testRestartFleetd restarts all fleetds under running units, and kills them.
func testRestartFleetd(t *testing.T, c *cluster) {
	before := c.three(t)
	for _, how := range []struct{ name, script string }{
		{"restart", "systemctl restart fleet"},
		{"kill -9", "old=$(systemctl show --value --property=MainPID fleet); kill -9 $old; " +
			"until systemctl is-active --quiet fleet && ! systemctl show --value --property=MainPID fleet | grep -qx $old; do sleep 0.1; done"},
	} {
		began := time.Now()
		c.each(t, c.Machines(), how.script)
		c.works(t, "after-"+strings.Fields(how.name)[0]+".service")
		t.Logf("%s of all fleetds, to the next unit that runs: %s", how.name, since(began))
		unchanged(t, before, c.kept(t))
	}
}

// testKillLeader kills the leading fleetd for good. Its machine's units stay,
// and another engine takes over.
func testKillLeader(t *testing.T, c *cluster) {
	before := c.three(t)
	old := c.leader(t)
	c.via = c.others(old)[0]
	defer func() { c.via = c.Machines()[0] }()
	began := time.Now()
	c.sh(t, old, "systemctl stop fleet.socket; systemctl kill --signal=KILL fleet; systemctl stop fleet")
	c.works(t, "new.service")
	t.Logf("from the leader's end to the next unit that runs: %s", since(began))
	if now := c.leader(t); now.Name == old.Name {
		t.Errorf("%s leads without a fleetd", old.Name)
	}
	c.sh(t, old, "systemctl start fleet.socket fleet")
	c.awaitMembers(t, 3)
	c.works(t, "newer.service")
	unchanged(t, before, c.kept(t))
}

// testStopAll has every fleetd stopped, and the embedded store with them, for
// longer than a lease lasts.
func testStopAll(t *testing.T, c *cluster) {
	before := c.three(t)
	c.each(t, c.Machines(), "systemctl stop fleet.socket fleet")
	c.quiet(t, before, outage, c.kept)
	c.each(t, c.Machines(), "systemctl start fleet.socket fleet")
	c.awaitMembers(t, 3)
	c.works(t, "next.service")
	unchanged(t, before, c.kept(t))
}

// testStoreGone has the store killed, and started again later than the leases
// last.
func testStoreGone(t *testing.T, c *cluster) {
	before := c.three(t)
	if err := c.Store().Kill(c.ctx); err != nil {
		t.Fatal(err)
	}
	c.quiet(t, before, outage, c.kept)
	if err := c.Store().Start(c.ctx); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	c.awaitMembers(t, 3)
	c.works(t, "next.service")
	t.Logf("from the store's return to the next unit that runs: %s", since(began))
	c.quiet(t, before, ttl+2*time.Second, c.kept) // and no late eviction either
}

// quiet watches for a while that nothing is touched: look shows the same runs
// as before.
func (c *cluster) quiet(t *testing.T, before seen, during time.Duration, look func(*testing.T) seen) {
	t.Helper()
	end := time.After(during)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if unchanged(t, before, look(t)); t.Failed() {
				t.FailNow()
			}
		case <-end:
			return
		}
	}
}

// testStoreWiped has the store come back empty. That is not the store that the
// machines know: every unit runs on, and everyone who asks is told. It is the
// last story, for nothing can be destroyed after it.
func testStoreWiped(t *testing.T, c *cluster) {
	before := c.three(t)
	if err := c.Store().Kill(c.ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Store().Wipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.Store().Start(c.ctx); err != nil {
		t.Fatal(err)
	}
	frozen := func() {
		for _, m := range c.Machines() {
			c.unavailable(t, m, "/run/fleet.sock", "frozen: ")
		}
	}
	frozen()
	c.each(t, c.Machines(), "systemctl restart fleet")
	frozen()
	c.quiet(t, before, ttl+2*time.Second, c.kept)
}

// testKilledDuringStop kills fleetd while a unit takes long to stop. fleetd is
// back before that is over, and so is one that is restarted in order: nothing
// else that runs on the machine is moved or touched.
func testKilledDuringStop(t *testing.T, c *cluster) {
	m := c.others(c.via)[0]
	here := "[X-Fleet]\nMachineID=" + m.ID + "\n"
	c.start(t, "bystander.service", small+here)
	c.start(t, "hung.service", "[Service]\nExecStart=/bin/sleep 1d\nExecStop=/bin/sh -c 'until test -e /run/let-go; do sleep 0.1; done'\nTimeoutStopSec=10min\n"+here)
	before := c.awaitOnce(t, soon, "bystander.service", "hung.service")
	c.fleetctl(t, "stop", "--no-block", "hung.service")
	eventually(t, soon, func() error {
		if out := c.sh(t, m, "systemctl show --value --property=ActiveState hung.service"); strings.TrimSpace(out) != "deactivating" {
			return fmt.Errorf("hung.service is %q", out)
		}
		return nil
	})
	for _, end := range []string{"systemctl kill --signal=KILL fleet.service", "systemctl restart fleet.service"} {
		old := c.sh(t, m, "systemctl show --value --property=MainPID fleet.service")
		began := time.Now()
		c.sh(t, m, "timeout 60 "+end)
		eventually(t, soon, func() error {
			pid := c.sh(t, m, "systemctl show --value --property=MainPID fleet.service; systemctl is-active fleet.service || true")
			if pid == old+"active\n" || !strings.HasSuffix(pid, "active\n") || strings.HasSuffix(pid, "inactive\n") {
				return fmt.Errorf("after %s: %q, before %q", end, pid, old)
			}
			return nil
		})
		t.Logf("fleetd was back %s after %s, with a unit hanging in its stop", since(began), end)
	}
	unchanged(t, before, c.active(t, "bystander.service", "hung.service"))
	c.sh(t, m, "touch /run/let-go")
	eventually(t, soon, func() error {
		if s := c.active(t, "hung.service"); len(s) > 0 {
			return fmt.Errorf("still there: %v", s)
		}
		return nil
	})
	c.sh(t, m, "rm /run/let-go")
}
