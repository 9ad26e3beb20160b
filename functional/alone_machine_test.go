//go:build machine

package functional

import (
	"context"
	"strings"
	"testing"

	"fleet/functional/sandbox"
)

// testAlone has fleetd on a single host without any configuration: it is a
// cluster of one, listens on no port, and is the same one after a restart, in
// which its unit runs on.
func testAlone(t *testing.T, ctx context.Context, bin string) {
	c := up(t, ctx, sandbox.Config{Machines: 1, Bin: bin, NoDocker: true})
	m := c.via
	c.sh(t, m, `systemctl stop fleet.socket fleet.service
		rm -r /etc/fleet /var/lib/fleet
		systemctl start fleet.socket fleet.service`)
	c.awaitMembers(t, 1)
	c.start(t, "alone.service", small)
	before := c.awaitOnce(t, soon, "alone.service")
	if out := c.sh(t, m, "ss --listening --tcp --numeric --processes"); strings.Contains(out, `"fleetd"`) {
		t.Errorf("fleetd listens on the network unasked:\n%s", out)
	}
	c.sh(t, m, "systemctl restart fleet.service")
	c.awaitMembers(t, 1)
	unchanged(t, before, c.awaitOnce(t, soon, "alone.service"))
	c.fleetctl(t, "destroy", "alone.service")
	if left := c.active(t, "alone.service"); len(left) > 0 {
		t.Errorf("runs on after destroy: %v", left)
	}
}
