//go:build machine

package functional

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"fleet/functional/sandbox"
	"fleet/packaging"
)

const (
	sandboxName   = "test"
	sandboxSubnet = "10.231.0.0/24"
	helloImage    = "fleet/hello:1"
	ttl           = 10 * time.Second // agent_ttl's default
)

// TestMain sees to it that an interrupted run leaves no machines and no files
// behind. A failed one removes them itself, and a killed one's machines go with
// the next run.
func TestMain(m *testing.M) {
	temp, err := os.MkdirTemp("", "fleet-machines-")
	if err == nil {
		err = os.Setenv("TMPDIR", temp)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		_ = sandbox.Clean(context.Background(), "", sandboxName)
		_ = os.RemoveAll(temp)
		os.Exit(1)
	}()
	status := m.Run()
	_ = os.RemoveAll(temp)
	os.Exit(status)
}

// TestMachines tells what fleet promises on real machines, one story after the
// other; in the second part the store is outside of the machines, and in the
// last there is but one.
func TestMachines(t *testing.T) {
	ctx := untilDeadline(t)
	bin := build(t, ctx)
	t.Run("embedded store", func(t *testing.T) { testEmbedded(t, ctx, bin) })
	t.Run("external store", func(t *testing.T) { testExternal(t, ctx, bin) })
	t.Run("one host", func(t *testing.T) { testAlone(t, ctx, bin) })
}

func testEmbedded(t *testing.T, ctx context.Context, bin string) {
	c := up(t, ctx, sandbox.Config{Machines: 3, Bin: bin})
	c.loadImage(t, bin)
	c.story(t, "start a container", testContainer)
	c.story(t, "stop, unload, destroy", testRemoval)
	c.story(t, "spread a template", testSpread)
	c.story(t, "sidekick", testSidekick)
	c.story(t, "timer", testTimer)
	c.story(t, "bad input", testBadInput)
	c.story(t, "time to start", testStartTime)
	c.story(t, "restart fleetd", testRestartFleetd)
	c.story(t, "killed during a stop", testKilledDuringStop)
	c.story(t, "kill the leader", testKillLeader)
	c.story(t, "second fleetd", testSecondFleetd)
	c.story(t, "stop all fleetds", testStopAll)
	c.story(t, "reboot", testReboot)
	c.story(t, "power off", testPowerOff)
	c.story(t, "power loss", testPowerLoss)
	c.story(t, "cable pulled", testCable)
	c.story(t, "cordon", testCordon)
	c.story(t, "drain", testDrain)
	c.story(t, "drain with a hung stop", testDrainHung)
	c.story(t, "scale and roll", testScale)
	c.story(t, "reservations", testReservations)
	c.story(t, "replaces", testReplaces)
	c.story(t, "broken host", testBrokenHost)
	c.story(t, "run once", testRunOnce)
	c.story(t, "global unit", testGlobal) // adds a machine
}

func testExternal(t *testing.T, ctx context.Context, bin string) {
	c := up(t, ctx, sandbox.Config{Machines: 3, Bin: bin, Store: sandbox.StoreExternal, NoDocker: true})
	c.story(t, "power loss of the leader", testLeaderPowerLoss)
	c.story(t, "store gone", testStoreGone)
	c.story(t, "store gone at the start", testStoreGoneAtStart)
	c.story(t, "runner of systemd", func(t *testing.T, c *cluster) { testRunner(t, c, bin) })
	c.story(t, "forget", testForget)
	t.Run("store wiped", func(t *testing.T) { testStoreWiped(t, c) })
}

// untilDeadline ends early enough for the machines to be taken down before the
// test binary's time is over.
func untilDeadline(t *testing.T) context.Context {
	ctx := context.Background()
	if deadline, ok := t.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-time.Minute))
		t.Cleanup(cancel)
	}
	return ctx
}

// build makes the static binaries that the machines run.
func build(t *testing.T, ctx context.Context) string {
	t.Helper()
	bin := t.TempDir()
	golang(t, ctx, "build", "-o", bin+"/", "../cmd/fleetd", "../cmd/fleetctl", "../examples/hello")
	golang(t, ctx, "test", "-c", "-tags", "machine", "-o", filepath.Join(bin, "systemd.test"), "../agent/systemd")
	return bin
}

func golang(t *testing.T, ctx context.Context, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
}

// up boots a cluster that is taken down when t ends.
func up(t *testing.T, ctx context.Context, cfg sandbox.Config) *cluster {
	t.Helper()
	cfg.Name, cfg.Subnet, cfg.Units = sandboxName, netip.MustParsePrefix(sandboxSubnet), packaging.Units()
	down := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		if err := sandbox.Clean(ctx, cfg.Dir, cfg.Name); err != nil {
			t.Error(err)
		}
	}
	down() // a run that was killed left it up
	began := time.Now()
	s, err := sandbox.Up(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(down)
	c := &cluster{Cluster: s, ctx: ctx, via: s.Machines()[0]}
	c.awaitMembers(t, cfg.Machines)
	t.Logf("%d machines in the cluster after %s", cfg.Machines, since(began))
	return c
}

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Millisecond) }
