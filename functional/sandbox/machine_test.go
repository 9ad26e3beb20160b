//go:build machine

package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// crashDir, in the environment, makes the test binary a process that brings up
// a sandbox there, for a test to kill.
const crashDir = "SANDBOX_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		_, err := Up(context.Background(), crashConfig(dir))
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func crashConfig(dir string) Config {
	return Config{Dir: dir, Name: "sbcrash", Machines: 2, NoDocker: true}
}

// TestMachines takes two machines through everything that can be done to them.
func TestMachines(t *testing.T) {
	c := upForTest(t, Config{Dir: t.TempDir(), Name: "sbtest", Machines: 2})
	m1, m2 := c.Machines()[0], c.Machines()[1]
	loadPeer(t, m1, m2)
	t.Run("identity", func(t *testing.T) { testIdentity(t, m1, m2) })
	t.Run("exec", func(t *testing.T) { testExec(t, m1) })
	t.Run("open", func(t *testing.T) { testOpen(t, c) })
	t.Run("accounting", func(t *testing.T) { testAccounting(t, m1) })

	serve := []string{"docker", "run", "--detach", "--network=host", "peer", "/peer", "serve"}
	output(t, m2, append(serve, ":7000")...)
	output(t, m2, append(serve, fmt.Sprintf(":%d", clientPort))...)
	hears(t, m1, m2, 7000, true)
	t.Run("cut", func(t *testing.T) { testFault(t, m1, m2, m2.Cut, m2.Heal) })
	t.Run("freeze", func(t *testing.T) { testFault(t, m1, m2, m2.Freeze, m2.Thaw) })
	t.Run("cut store", func(t *testing.T) { testCutStore(t, m1, m2) })
	t.Run("kill", func(t *testing.T) { testPower(t, m2, m2.Kill, m2.Start) })
	t.Run("power off", func(t *testing.T) { testPower(t, m2, m2.PowerOff, m2.Start) })
	t.Run("reboot", func(t *testing.T) {
		testPower(t, m2, m2.Reboot, func(context.Context) error { return nil })
	})
	t.Run("add", func(t *testing.T) { testAdd(t, c) })
}

func testIdentity(t *testing.T, ms ...*Machine) {
	for _, m := range ms {
		got := output(t, m, "cat", "/etc/machine-id", "/etc/hostname")
		if want := m.ID + "\n" + m.Name + "\n"; got != want {
			t.Errorf("%s: got machine ID and host name %q, want %q", m.Name, got, want)
		}
		if got := output(t, m, "find", "/root", "/home", "/srv", "-mindepth", "1", "-maxdepth", "1", "-not", "-name", ".*"); got != "" {
			t.Errorf("%s has files of the host: %s", m.Name, got)
		}
	}
	if ms[0].ID == ms[1].ID {
		t.Error("two machines have the same machine ID")
	}
}

func testExec(t *testing.T, m *Machine) {
	var out, errOut bytes.Buffer
	err := m.Exec(t.Context(), strings.NewReader("in"), &out, &errOut, "sh", "-c", "cat; echo err >&2; exit 7")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 || out.String() != "in" || errOut.String() != "err\n" {
		t.Errorf("got error %v, output %q and %q", err, &out, &errOut)
	}
	// A command that is cancelled ends inside the machine, too.
	ctx, cancel := context.WithCancel(t.Context())
	started := startedWriter{cancel}
	if err := m.Exec(ctx, nil, started, nil, "sh", "-c", "echo started; sleep 4321"); err == nil {
		t.Error("a cancelled command has no error")
	}
	eventually(t, "the cancelled command ends", func() error {
		if out, err := m.Output(t.Context(), "pgrep", "-f", "sleep 4321"); err == nil {
			return fmt.Errorf("it runs as %s", out)
		}
		return nil
	})
}

// startedWriter cancels something when anything is written to it.
type startedWriter struct{ cancel func() }

func (w startedWriter) Write(p []byte) (int, error) { w.cancel(); return len(p), nil }

func testOpen(t *testing.T, c *Cluster) {
	again, err := Open(c.state.Config.Dir, c.Name())
	if err != nil {
		t.Fatal(err)
	}
	m, err := again.Machine("m2")
	if err != nil {
		t.Fatal(err)
	}
	if got := output(t, m, "hostname"); got != "m2\n" {
		t.Errorf("host name is %q", got)
	}
	if _, err := again.Machine("m9"); err == nil || err.Error() != `no machine "m9" in sandbox "sbtest": it has [m1 m2]` {
		t.Errorf("got error %v", err)
	}
	_, err = Up(t.Context(), c.state.Config)
	if err == nil || err.Error() != `sandbox "sbtest" is up already: take it down first` {
		t.Errorf("a second Up: got error %v", err)
	}
}

// testAccounting looks whether systemd in the machine has the controllers, and
// its own part of them only.
func testAccounting(t *testing.T, m *Machine) {
	if got := output(t, m, "systemctl", "show", "--property=MemoryCurrent", "dbus.service"); strings.Contains(got, "not set") {
		t.Errorf("systemd does not account for memory: %s", got)
	}
	for line := range strings.Lines(output(t, m, "cat", "/proc/1/cgroup")) {
		if strings.Contains(line, "fleet-sandbox") {
			t.Errorf("the machine sees the host's cgroups: %s", line)
		}
	}
}

// testFault looks whether m1 loses m2 by a fault and finds it again after.
func testFault(t *testing.T, m1, m2 *Machine, fault, repair func(context.Context) error) {
	do(t, fault)
	hears(t, m1, m2, 7000, false)
	do(t, repair)
	hears(t, m1, m2, 7000, true)
}

func testCutStore(t *testing.T, m1, m2 *Machine) {
	hears(t, m1, m2, clientPort, true)
	do(t, m1.CutStore)
	hears(t, m1, m2, clientPort, false)
	hears(t, m1, m2, 7000, true)
	do(t, m1.HealStore)
	hears(t, m1, m2, clientPort, true)
}

// testPower switches a machine off and on: it keeps its disk and its identity,
// and it is another boot.
func testPower(t *testing.T, m *Machine, off, on func(context.Context) error) {
	boot := output(t, m, "cat", "/proc/sys/kernel/random/boot_id")
	output(t, m, "sh", "-c", "echo kept >/var/kept && echo lost >/run/lost")
	before := m.systemdPID()
	do(t, off)
	if now := m.systemdPID(); now == before {
		t.Errorf("its systemd is still there, process %d", now)
	}
	do(t, on)
	if m.State() != Running {
		t.Fatalf("it is %s", m.State())
	}
	if got := output(t, m, "cat", "/proc/sys/kernel/random/boot_id"); got == boot {
		t.Error("it has the same boot ID")
	}
	if got := output(t, m, "cat", "/etc/machine-id", "/var/kept"); got != m.ID+"\nkept\n" {
		t.Errorf("it has not kept its disk: %q", got)
	}
	if _, err := m.Output(t.Context(), "cat", "/run/lost"); err == nil {
		t.Error("it has kept /run")
	}
	output(t, m, "docker", "image", "inspect", "peer")
}

func testAdd(t *testing.T, c *Cluster) {
	m, err := c.Add(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "m3" || m.State() != Running || len(c.Machines()) != 3 {
		t.Errorf("got %s, %s, %d machines", m.Name, m.State(), len(c.Machines()))
	}
}

// TestCrash kills a process that is bringing a sandbox up, once machines are
// booting. The next Up of that name starts afresh.
func TestCrash(t *testing.T) {
	cfg := crashConfig(t.TempDir())
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashDir+"="+cfg.Dir)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a machine boots", func() error {
		if boxes, err := findBoxes(cfg.Name); err != nil || len(boxes) == 0 {
			return fmt.Errorf("no cgroups: %v", err)
		}
		return nil
	})
	child.Process.Kill()
	child.Wait()
	if _, err := Open(cfg.Dir, cfg.Name); err == nil || !strings.Contains(err.Error(), "its making was cut short") {
		t.Errorf("Open: got error %v", err)
	}
	c := upForTest(t, cfg)
	if got := output(t, c.Machines()[1], "hostname"); got != "m2\n" {
		t.Errorf("host name is %q", got)
	}
}

// TestUpUndoes lets an Up run out of time.
func TestUpUndoes(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Name: "sbundo", Machines: 1, NoDocker: true}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		poll(ctx, func() bool { return newBox(cfg.Name, "m1").populated() })
	}()
	if _, err := Up(ctx, cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v", err)
	}
	<-ctx.Done()
	if left := traces(t, cfg.Dir, cfg.Name); len(left) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
}

// upForTest brings a sandbox up and sees to it that nothing of it is left when
// the test ends.
func upForTest(t *testing.T, cfg Config) *Cluster {
	t.Helper()
	c := tryUp(t, cfg)
	if c == nil {
		t.FailNow()
	}
	return c
}

// tryUp is upForTest for any goroutine: it returns nil when it has failed.
func tryUp(t *testing.T, cfg Config) *Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := Clean(ctx, cfg.Dir, cfg.Name); err != nil {
			t.Error(err)
		}
		if left := traces(t, cfg.Dir, cfg.Name); len(left) > 0 {
			t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
		}
	})
	c, err := Up(ctx, cfg)
	if err != nil {
		t.Error(err)
		return nil
	}
	// What looks for traces must see them while they are there.
	seen := strings.Join(traces(t, cfg.Dir, cfg.Name), "\n")
	for _, kind := range []string{"cgroup ", "link ", "process ", "file "} {
		if !strings.Contains(seen, kind) {
			t.Errorf("no %sof a sandbox that is up among:\n%s", kind, seen)
		}
	}
	return c
}

// traces lists what the host shows of a sandbox.
func traces(t *testing.T, dir, name string) []string {
	t.Helper()
	var found []string
	note := func(kind string, items ...string) {
		for _, i := range items {
			found = append(found, kind+" "+i)
		}
	}
	cgroups, err := findCgroups("fleet-sandbox-" + name + "-*")
	if err != nil {
		t.Error(err)
	}
	note("cgroup", cgroups...)
	links, _ := filepath.Glob("/sys/class/net/*-" + name + "*")
	note("link", links...)
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	hidden, _ := filepath.Glob(filepath.Join(dir, ".*"))
	note("file", append(files, hidden...)...)
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range processes {
		command, _ := os.ReadFile(p + "/cmdline")
		cgroup, _ := os.ReadFile(p + "/cgroup")
		if len(command) == 0 {
			continue // the kernel's, or ended and not yet reaped by the host's init
		}
		if bytes.Contains(command, []byte(dir)) || bytes.Contains(cgroup, []byte("fleet-sandbox-"+name+"-")) {
			note("process", p+" "+string(command))
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Error(err)
	}
	rules, err := exec.Command("iptables", "-w", "-S").Output()
	if err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(string(mounts) + string(rules)) {
		if strings.Contains(line, dir) || strings.Contains(line, (network{name}).bridge()) {
			note("mount or rule", line)
		}
	}
	slices.Sort(found)
	return found
}

// loadPeer gives machines an image with the peer program.
func loadPeer(t *testing.T, ms ...*Machine) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "peer")
	build := exec.Command("go", "build", "-o", binary, "./testdata/peer")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	image, err := ScratchImage("peer", binary)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ms {
		if err := m.LoadImage(t.Context(), bytes.NewReader(image)); err != nil {
			t.Fatal(err)
		}
	}
}

// hears waits until m1 gets an answer from m2's port, or gets none.
func hears(t *testing.T, m1, m2 *Machine, port int, want bool) {
	t.Helper()
	addr := fmt.Sprintf("%s:%d", m2.IP, port)
	eventually(t, fmt.Sprintf("%s hears %s: %t", m1.Name, addr, want), func() error {
		out, err := m1.Output(t.Context(), "docker", "run", "--rm", "--network=host", "peer", "/peer", "call", addr)
		if (err == nil && out == m2.Name) != want {
			return fmt.Errorf("got %q, error %v", out, err)
		}
		return nil
	})
}

func output(t *testing.T, m *Machine, command ...string) string {
	t.Helper()
	out, err := m.Output(t.Context(), command...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func do(t *testing.T, act func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := act(ctx); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a check to pass, at most ten seconds.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var last error
	if poll(ctx, func() bool { last = check(); return last == nil }) != nil {
		t.Fatalf("%s: not so after 10 s: %v", what, last)
	}
}
