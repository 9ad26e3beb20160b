//go:build machine

package functional

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"fleet/functional/sandbox"
)

// testBadInput tries what can't work, and is told why.
func testBadInput(t *testing.T, c *cluster) {
	t.Run("no ExecStart", func(t *testing.T) {
		path := c.file(t, "empty.service", "[Unit]\nDescription=Nothing to do\n[Service]\nRestart=no\n")
		c.refused(t, []string{"empty.service failed to start", "bad unit file setting"}, "start", path)
	})
	t.Run("fails to start", func(t *testing.T) {
		path := c.file(t, "fails.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'exit 7'\n")
		c.refused(t, []string{"fails.service failed to start", "exited with status 7", "journalctl -u fails.service"}, "start", path)
	})
	t.Run("fits nowhere", func(t *testing.T) {
		path := c.file(t, "picky.service", small+"[X-Fleet]\nMachineMetadata=disk=ssd\n")
		began := time.Now()
		c.refused(t, []string{"no machine fits: 3 lack metadata disk=ssd", "not launched after 2s"}, "start", "--timeout=2s", path)
		if took := time.Since(began); took > soon {
			t.Errorf("it took %s to give up after 2 s", took)
		}
	})
	t.Run("the host's own unit", func(t *testing.T) { testHostUnit(t, c) })
	t.Run("configuration", func(t *testing.T) { testBadConfiguration(t, c) })
}

// testHostUnit uses a name that every host has a unit of already.
func testHostUnit(t *testing.T, c *cluster) {
	const name = "docker.service"
	text := func(m *sandbox.Machine) string { return c.sh(t, m, "systemctl cat "+name) }
	runs, texts := c.active(t, name), map[string]string{}
	for _, m := range c.Machines() {
		texts[m.Name] = text(m)
	}
	path := c.file(t, name, small)
	c.refused(t, []string{"the machine has a unit of this name that is not fleet's: it is at", "system/" + name}, "start", path)
	c.fleetctl(t, "destroy", name)
	unchanged(t, runs, c.active(t, name))
	for _, m := range c.Machines() {
		if got := text(m); got != texts[m.Name] {
			t.Errorf("%s on %s has become\n%s", name, m.Name, got)
		}
	}
}

// testBadConfiguration starts fleetd with options that it doesn't have.
func testBadConfiguration(t *testing.T, c *cluster) {
	m := c.via
	const path = "/root/bad.conf"
	c.write(t, m, path, "# a comment\nagent_tl=3s\nsurprise=1\n")
	_, err := m.Output(c.ctx, "fleetd", "--config", path)
	if err == nil {
		t.Fatal("fleetd accepts options that it does not have")
	}
	for _, want := range []string{
		path + " line 2: unknown option agent_tl, did you mean agent_ttl?",
		path + " line 3: unknown option surprise",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("fleetd does not say %q: %v", want, err)
		}
	}
}

// secondFleetd starts one more fleetd on m, with a store and a disk of its own
// and the machine's ID, and returns its API's socket.
func (c *cluster) secondFleetd(t *testing.T, m *sandbox.Machine, store string) string {
	t.Helper()
	const socket = "/run/second.sock"
	c.write(t, m, "/etc/fleet/second.conf", "data_dir=/var/lib/second\netcd_servers="+store+"\n")
	c.sh(t, m, "systemd-run --quiet --unit=second --socket-property=ListenStream="+socket+
		" /usr/bin/fleetd --config /etc/fleet/second.conf")
	t.Cleanup(func() {
		c.sh(t, m, "systemctl stop second.socket second.service; rm -rf /var/lib/second "+socket)
	})
	return socket
}

// unavailable waits until the API at a socket answers 503 and says why.
func (c *cluster) unavailable(t *testing.T, m *sandbox.Machine, socket, why string) {
	t.Helper()
	eventually(t, soon, func() error {
		out, err := m.Output(c.ctx, "curl", "--silent", "--max-time", "5", "--unix-socket", socket,
			"--write-out", " %{http_code}", "http://fleet/fleet/v1/units")
		if err == nil && (!strings.HasSuffix(out, " 503") || !strings.Contains(out, why)) {
			err = fmt.Errorf("the API on %s answers %q, not 503 with %q", m.Name, out, why)
		}
		return err
	})
}

// testSecondFleetd has a second fleetd with a machine ID that is in the cluster
// already: it takes no part, and the first one's units don't notice.
func testSecondFleetd(t *testing.T, c *cluster) {
	c.start(t, "single.service", small)
	before := c.awaitOnce(t, soon, "single.service")
	m := c.where(t, "single.service")
	socket := c.secondFleetd(t, m, strings.Join(c.Endpoints(), ","))
	c.unavailable(t, m, socket, "another machine with this machine ID is in the cluster: "+m.ID)
	c.start(t, "later.service", small)
	c.awaitOnce(t, soon, "later.service")
	c.unavailable(t, m, socket, "another machine with this machine ID is in the cluster: "+m.ID)
	unchanged(t, before, c.active(t, "single.service"))
}

// testStoreGoneAtStart has a fleetd that finds no store: it waits for it, and
// says so in its log and to whoever asks.
func testStoreGoneAtStart(t *testing.T, c *cluster) {
	m := c.Machines()[1]
	gone := fmt.Sprintf("http://%s:4001", c.Gateway())
	socket := c.secondFleetd(t, m, gone)
	c.unavailable(t, m, socket, "fleetd can't reach the store: ")
	eventually(t, soon, func() error {
		if log := c.sh(t, m, "journalctl --no-pager --output=cat --unit=second"); !strings.Contains(log, gone) {
			return fmt.Errorf("the log does not say what fleetd waits for:\n%s", log)
		}
		return nil
	})
	if state := c.sh(t, m, "systemctl is-active second.service"); state != "active\n" {
		t.Errorf("a fleetd without a store is %s", state)
	}
}
