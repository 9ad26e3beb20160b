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
