//go:build machine

package functional

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"fleet/functional/sandbox"
)

// diary is a unit that notes when it starts and stops, and how fleetd was then.
const diary = `[Service]
ExecStartPre=/bin/sh -c 'echo "start $$(date +%%s%%N) -" >>/var/lib/diary-%n'
ExecStart=/bin/sleep 1d
ExecStop=/bin/sh -c 'echo "stop $$(date +%%s%%N) $$(systemctl is-active fleet)" >>/var/lib/diary-%n'
[X-Fleet]
Conflicts=diary@*.service
`

// entry is one line of a diary.
type entry struct {
	what, fleetd string
	when         int64 // ns; the machines share the host's clock
}

func (c *cluster) diary(t *testing.T, m *sandbox.Machine, unit string) []entry {
	t.Helper()
	var entries []entry
	for line := range strings.Lines(c.sh(t, m, "cat /var/lib/diary-$1 2>/dev/null || true", unit)) {
		f := strings.Fields(line)
		when, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry{f[0], f[2], when})
	}
	return entries
}

// diaries starts two of them and returns which is on a machine that fleetctl
// doesn't run on, that machine, and what runs.
func (c *cluster) diaries(t *testing.T) (moving string, m *sandbox.Machine, before seen) {
	t.Helper()
	c.each(t, c.Machines(), "rm -f /var/lib/diary-*") // of an earlier story
	c.file(t, "diary@.service", diary)
	names := []string{"diary@1.service", "diary@2.service"}
	c.fleetctl(t, "start", "/root/units/diary@1.service", "/root/units/diary@2.service")
	before = c.awaitOnce(t, soon, names...)
	if moving = names[0]; before.places(moving)[0] == c.via.Name {
		moving = names[1]
	}
	return moving, c.where(t, moving), before
}

// testReboot reboots a machine in order. Its unit stops before fleetd does,
// runs elsewhere or again after that, and nothing runs twice.
func testReboot(t *testing.T, c *cluster) {
	moving, m, before := c.diaries(t)
	began := time.Now()
	if err := m.Reboot(c.ctx); err != nil {
		t.Fatal(err)
	}
	c.awaitPresence(t, m)
	after := c.awaitBoth(t)
	t.Logf("rebooted and back in the cluster after %s", since(began))
	c.sameRuns(t, before.without(m), after)
	c.inTurn(t, moving, m, after)
}

// testPowerOff switches a machine off in order: it hands its unit over, so that
// nobody has to wait until its lease runs out.
func testPowerOff(t *testing.T, c *cluster) {
	moving, m, before := c.diaries(t)
	// A machine's absence means something to an engine that knows the store for
	// as long as a lease lasts.
	c.quiet(t, before, ttl+time.Second, c.both)
	if err := m.PowerOff(c.ctx); err != nil {
		t.Fatal(err)
	}
	after := c.awaitBoth(t)
	if err := m.Start(c.ctx); err != nil {
		t.Fatal(err)
	}
	c.awaitPresence(t, m)
	if took := c.inTurn(t, moving, m, after); took > ttl/2 {
		t.Errorf("%s ran nowhere for %s, although %s was switched off in order", moving, took, m.Name)
	}
	c.sameRuns(t, before.without(m), after)
	unchanged(t, after, c.both(t))
}

func (c *cluster) both(t *testing.T) seen {
	t.Helper()
	return c.active(t, "diary@1.service", "diary@2.service")
}

func (c *cluster) awaitBoth(t *testing.T) (s seen) {
	t.Helper()
	eventually(t, soon, func() error {
		s = c.both(t)
		return s.once("diary@1.service", "diary@2.service")
	})
	return s
}

// inTurn fails the test unless the unit was stopped on m, fleetd being there,
// before it was started where it is now, and returns how much later that was.
func (c *cluster) inTurn(t *testing.T, unit string, m *sandbox.Machine, s seen) time.Duration {
	t.Helper()
	old := c.diary(t, m, unit)
	if len(old) < 2 || old[1].what != "stop" {
		t.Fatalf("%s was not stopped on %s: %+v", unit, m.Name, old)
	}
	if old[1].fleetd != "active" {
		t.Errorf("when %s was stopped, fleetd was %s", unit, old[1].fleetd)
	}
	now, err := c.Machine(s.places(unit)[0])
	if err != nil {
		t.Fatal(err)
	}
	next := c.diary(t, now, unit)
	last := next[len(next)-1]
	between := time.Duration(last.when - old[1].when).Round(time.Millisecond)
	if last.what != "start" || between < 0 {
		t.Errorf("%s was started on %s before it was stopped on %s: %+v, %+v", unit, now.Name, m.Name, next, old)
	}
	t.Logf("%s was started on %s %s after it was stopped on %s", unit, now.Name, between, m.Name)
	return between
}
