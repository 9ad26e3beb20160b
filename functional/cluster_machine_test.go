//go:build machine

package functional

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fleet/functional/sandbox"
)

// soon is how long anything may take that takes a moment, on a busy host.
const soon = 30 * time.Second

// small is a unit that costs nothing.
const small = "[Service]\nExecStart=/bin/sleep 1d\n"

// cluster is the sandbox that the stories play in.
type cluster struct {
	*sandbox.Cluster
	ctx context.Context
	via *sandbox.Machine // where fleetctl runs
}

// story runs one test, which gets a cluster without units and is told if it
// leaves any behind.
func (c *cluster) story(t *testing.T, name string, test func(*testing.T, *cluster)) {
	t.Run(name, func(t *testing.T) {
		began := time.Now()
		t.Cleanup(func() {
			c.uncordonAll(t)
			c.destroyAll(t)
			if t.Failed() {
				c.logFleet(t, began)
			}
			t.Logf("took %s", since(began))
		})
		test(t, c)
	})
}

// uncordonAll puts back to use what a story that failed has left cordoned.
func (c *cluster) uncordonAll(t *testing.T) {
	t.Helper()
	for _, m := range c.running() {
		c.fleetctl(t, "uncordon", m.ID)
	}
}

// destroyAll destroys every unit and looks for what that has left.
func (c *cluster) destroyAll(t *testing.T) {
	t.Helper()
	c.fleetctl(t, "destroy", "*")
	eventually(t, soon, func() error {
		var left []string
		for _, m := range c.running() {
			if out := c.sh(t, m, "mkdir -p /run/fleet/units; find /run/fleet/units -type f"); out != "" {
				left = append(left, m.Name+": "+out)
			}
		}
		if left = append(left, c.keys(t, "unit/", "place/", "state/")...); len(left) > 0 {
			return fmt.Errorf("left after destroy: %q", left)
		}
		return nil
	})
}

// logFleet shows what the fleetds have said since a story began.
func (c *cluster) logFleet(t *testing.T, began time.Time) {
	for _, m := range c.running() {
		out, _ := m.Output(c.ctx, "journalctl", "--no-pager", "--output=short-precise", "--unit=fleet", "--lines=80",
			"--since=@"+fmt.Sprint(began.Unix()))
		t.Logf("fleetd on %s (%s):\n%s", m.Name, m.ID, out)
	}
}

// running are the machines that are up and can be spoken to.
func (c *cluster) running() []*sandbox.Machine {
	return slices.DeleteFunc(c.Machines(), func(m *sandbox.Machine) bool { return m.State() != sandbox.Running })
}

// others are the running machines but m.
func (c *cluster) others(m *sandbox.Machine) []*sandbox.Machine {
	return slices.DeleteFunc(c.running(), func(o *sandbox.Machine) bool { return o.Name == m.Name })
}

// byID finds a machine by its machine ID.
func (c *cluster) byID(t *testing.T, id string) *sandbox.Machine {
	t.Helper()
	for _, m := range c.Machines() {
		if m.ID == id {
			return m
		}
	}
	t.Fatalf("no machine %q", id)
	return nil
}

// sh runs a shell script in a machine and returns its output.
func (c *cluster) sh(t *testing.T, m *sandbox.Machine, script string, args ...string) string {
	t.Helper()
	out, err := m.Output(c.ctx, append([]string{"sh", "-ec", script, "sh"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// write puts a file into a machine.
func (c *cluster) write(t *testing.T, m *sandbox.Machine, path, text string) {
	t.Helper()
	if err := m.Exec(c.ctx, strings.NewReader(text), nil, nil, "sh", "-ec", `mkdir -p "$(dirname "$1")"; cat >"$1"`, "sh", path); err != nil {
		t.Fatalf("write %s on %s: %v", path, m.Name, err)
	}
}

// tryFleetctl runs fleetctl and returns its output and exit status.
func (c *cluster) tryFleetctl(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errOut bytes.Buffer
	err := c.via.Exec(c.ctx, nil, &out, &errOut, append([]string{"fleetctl"}, args...)...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status = exit.ExitCode()
	} else if err != nil {
		t.Fatalf("fleetctl %s: %v", strings.Join(args, " "), err)
	}
	return out.String(), errOut.String(), status
}

// fleetctl runs fleetctl, which must succeed, and returns its output.
func (c *cluster) fleetctl(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, status := c.tryFleetctl(t, args...)
	if status != 0 {
		t.Fatalf("fleetctl %s: exit status %d\n%s%s", strings.Join(args, " "), status, stdout, stderr)
	}
	return stdout
}

// refused runs fleetctl, which must fail and say all of that.
func (c *cluster) refused(t *testing.T, say []string, args ...string) {
	t.Helper()
	stdout, stderr, status := c.tryFleetctl(t, args...)
	if status != 1 {
		t.Errorf("fleetctl %s: exit status %d instead of 1", strings.Join(args, " "), status)
	}
	for _, s := range say {
		if !strings.Contains(stderr, s) {
			t.Errorf("fleetctl %s does not say %q:\n%s%s", strings.Join(args, " "), s, stdout, stderr)
		}
	}
}

// file makes a unit file where fleetctl can read it, and returns its path.
func (c *cluster) file(t *testing.T, name, text string) string {
	t.Helper()
	path := "/root/units/" + name
	c.write(t, c.via, path, text)
	return path
}

// start starts a unit that is there as a file from then on.
func (c *cluster) start(t *testing.T, name, text string) {
	t.Helper()
	c.fleetctl(t, "start", c.file(t, name, text))
}

// example is the text of one of the examples.
func example(t *testing.T, name string) string {
	t.Helper()
	return readFile(t, filepath.Join("..", "examples", name))
}

// loadImage gives every machine the example's image.
func (c *cluster) loadImage(t *testing.T, bin string) {
	t.Helper()
	image, err := sandbox.ScratchImage(helloImage, filepath.Join(bin, "hello"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, m := range c.Machines() {
		wg.Go(func() {
			if err := m.LoadImage(c.ctx, bytes.NewReader(image)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// awaitMembers waits until n machines are in the cluster.
func (c *cluster) awaitMembers(t *testing.T, n int) {
	t.Helper()
	eventually(t, soon, func() error {
		out, stderr, _ := c.tryFleetctl(t, "list-machines", "--no-legend", "--full")
		if got := strings.Count(out, "\n"); got != n {
			return fmt.Errorf("%d machines in the cluster instead of %d: %s%s", got, n, out, stderr)
		}
		return nil
	})
}

// eventually waits until check returns nil, and fails the test with its last
// error when that takes too long.
func eventually(t *testing.T, within time.Duration, check func() error) {
	t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %s: %v", within, err)
		}
	}
}
