package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The states of a machine or of the store.
const (
	Off     = "off"
	Booting = "booting" // or shutting down: it has power and its systemd doesn't answer
	Running = "running"
	Frozen  = "frozen"
)

// dockerService is the unit that a machine with Docker must have active to be
// ready.
const dockerService = "docker.service"

// Machine is one machine of a sandbox. Its methods may be called at once, also
// from several processes.
type Machine struct {
	Name string     // m1, m2, …
	ID   string     // /etc/machine-id
	IP   netip.Addr // on the sandbox's bridge

	sandbox string // name
	dir     string // the machine's own, on the host
	docker  bool
}

func (m *Machine) box() box         { return newBox(m.sandbox, m.Name) }
func (m *Machine) network() network { return network{m.sandbox} }
func (m *Machine) link() string     { return m.network().link(m.Name) }

// Console is the host file that the machine's console is written to.
func (m *Machine) Console() string { return filepath.Join(m.dir, "console.log") }

// Start switches the machine on and waits until it is ready: its systemd, and
// its Docker Engine if it has one, answer. Disk, machine ID and address are
// those of earlier boots. Fleet may still be starting.
func (m *Machine) Start(ctx context.Context) error {
	if m.box().populated() {
		return fmt.Errorf("machine %s is on already", m.Name)
	}
	// The kernel may not have come to removing the last boot's link yet.
	if err := m.network().unplug(ctx, m.link()); err != nil {
		return err
	}
	env := []string{"PATH=" + defaultPath, "SYSTEMD_NSPAWN_API_VFS_WRITABLE=1"}
	if err := m.box().start(ctx, m.Console(), env, m.command()...); err != nil {
		return err
	}
	return m.awaitReady(ctx, 0)
}

// defaultPath is the command path inside, and of what the package starts.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// mountScript mounts a root ($1 the options, $2 where) and runs the rest. What
// systemd-nspawn would leave in /run when it is killed goes with the mounts.
const mountScript = `
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn
mount -t overlay overlay -o "$1" "$2"
shift 2
exec "$@"
`

// command boots the machine: it mounts the root in a mount namespace of its
// own and starts systemd-nspawn on it. The wrapper is the payload, not -b, for
// it has work to do before systemd starts; the signal is the one that makes
// systemd power off.
func (m *Machine) command() []string {
	root := filepath.Join(m.dir, "root")
	overlay := fmt.Sprintf("lowerdir=/,upperdir=%s,workdir=%s", filepath.Join(m.dir, "upper"), filepath.Join(m.dir, "work"))
	argv := []string{
		"unshare", "--mount", "sh", "-ec", mountScript, "boot", overlay, root,
		"systemd-nspawn", "--quiet", "--keep-unit", "--register=no",
		"--capability=all", "--system-call-filter=@keyring bpf", "--kill-signal=SIGRTMIN+3",
		"--resolv-conf=off", "--timezone=off", "--link-journal=no",
		"--directory=" + root, "--machine=" + m.sandbox + "-" + m.Name, "--hostname=" + m.Name,
		"--network-bridge=" + m.network().bridge(),
	}
	if m.docker {
		argv = append(argv, "--bind="+filepath.Join(m.dir, "docker")+":/var/lib/docker")
	}
	return append(argv, initPath)
}

// awaitReady waits until a boot whose init is not the given one is ready.
func (m *Machine) awaitReady(ctx context.Context, before int) error {
	units := []string{"basic.target", "dbus.service"}
	if m.docker {
		units = append(units, dockerService)
	}
	var off bool
	err := poll(ctx, func() bool {
		if off = !m.box().populated(); off {
			return true
		}
		pid := m.systemdPID()
		return pid != 0 && pid != before && m.active(ctx, units...)
	})
	if off {
		return fmt.Errorf("machine %s stopped while booting: %s", m.Name, tail(m.Console()))
	}
	if err != nil {
		return fmt.Errorf("machine %s did not become ready: %w: %s", m.Name, err, tail(m.Console()))
	}
	return nil
}

// active tells whether all of the units are active in the machine.
func (m *Machine) active(ctx context.Context, units ...string) bool {
	out, err := m.Output(ctx, append([]string{"systemctl", "is-active"}, units...)...)
	return err == nil && out == strings.Repeat("active\n", len(units))
}

// systemdPID is the machine's init once it has become systemd, and 0 before
// that and while it shuts down: inside such a process's namespaces commands
// would find themselves on the host or nowhere.
func (m *Machine) systemdPID() int {
	pid := m.box().initPID()
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || string(comm) != "systemd\n" {
		return 0
	}
	return pid
}

// State is one of Off, Booting, Running and Frozen.
func (m *Machine) State() string {
	switch b := m.box(); {
	case !b.populated():
		return Off
	case b.frozen():
		return Frozen
	case m.systemdPID() == 0:
		return Booting
	}
	return Running
}

// Connected tells whether the machine's cable is plugged in.
func (m *Machine) Connected() bool { return linkUp(m.link()) }

// Exec runs a command as root in the machine, with a fresh environment, and
// waits for it. A command that ends with another status than 0 gives an
// *exec.ExitError. When ctx ends, the command is killed with its children,
// unless stdin is a terminal, which then signals them itself.
func (m *Machine) Exec(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, command ...string) error {
	pid := m.systemdPID()
	if pid == 0 {
		return fmt.Errorf("machine %s is not running", m.Name)
	}
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--target", strconv.Itoa(pid), "--all", "--"}, command...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	cmd.Env = []string{"PATH=" + defaultPath, "HOME=/root", "LANG=C.UTF-8", "SYSTEMD_PAGER=cat"}
	if isTerminal(stdin) {
		cmd.Env = append(cmd.Env, "TERM="+os.Getenv("TERM"))
	} else {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	}
	cmd.WaitDelay = time.Second
	return cmd.Run()
}

// isTerminal tells whether a command that reads from r would read from a
// terminal (or another device than the null one).
func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok || f.Name() == os.DevNull {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// Output runs a command as Exec does and returns what it wrote to its standard
// output; the error has what it wrote to its standard error.
func (m *Machine) Output(ctx context.Context, command ...string) (string, error) {
	var out, errOut bytes.Buffer
	err := m.Exec(ctx, nil, &out, &errOut, command...)
	if err != nil {
		err = fmt.Errorf("%s on %s: %w: %s", strings.Join(command, " "), m.Name, err, strings.TrimSpace(errOut.String()))
	}
	return out.String(), err
}

// LoadImage gives the machine's Docker Engine the image in a tarball.
func (m *Machine) LoadImage(ctx context.Context, tarball io.Reader) error {
	var out bytes.Buffer
	if err := m.Exec(ctx, tarball, &out, &out, "docker", "load", "--quiet"); err != nil {
		return fmt.Errorf("load image on %s: %w: %s", m.Name, err, strings.TrimSpace(out.String()))
	}
	return nil
}

// Kill takes the machine's power away: everything in it ends at once, and its
// peers hear nothing, for the cable is pulled first. It is a no-op on a machine
// that is off.
func (m *Machine) Kill(ctx context.Context) error {
	if linkExists(m.link()) {
		if err := m.Cut(ctx); err != nil && linkExists(m.link()) {
			return err
		}
	}
	if err := m.box().kill(ctx); err != nil {
		return err
	}
	return m.network().unplug(ctx, m.link())
}

// PowerOff shuts the machine down in order and waits until it is off.
func (m *Machine) PowerOff(ctx context.Context) error {
	if _, err := m.Output(ctx, "systemctl", "poweroff", "--no-wall"); err != nil {
		return err
	}
	if err := poll(ctx, func() bool { return !m.box().populated() }); err != nil {
		return fmt.Errorf("machine %s did not power off: %w", m.Name, err)
	}
	return nil
}

// Reboot shuts the machine down in order and waits until it is ready again.
func (m *Machine) Reboot(ctx context.Context) error {
	before := m.systemdPID()
	if _, err := m.Output(ctx, "systemctl", "reboot", "--no-wall"); err != nil {
		return err
	}
	return m.awaitReady(ctx, before)
}

// Freeze stops everything in the machine where it is: it hangs. Its kernel
// still acknowledges what it is sent.
func (m *Machine) Freeze(ctx context.Context) error { return m.box().freeze(ctx, true) }

// Thaw lets a frozen machine go on.
func (m *Machine) Thaw(ctx context.Context) error { return m.box().freeze(ctx, false) }

// Cut pulls the machine's cable, until Heal or the next boot.
func (m *Machine) Cut(ctx context.Context) error {
	return run(ctx, "ip", "link", "set", m.link(), "down")
}

// Heal plugs the cable in again.
func (m *Machine) Heal(ctx context.Context) error {
	return run(ctx, "ip", "link", "set", m.link(), "up")
}

// CutStore drops what the machine sends to other hosts' store, in one
// direction, until HealStore or the next boot. All else still gets through.
func (m *Machine) CutStore(ctx context.Context) error {
	return m.storeRule(ctx, "-I")
}

// HealStore undoes one CutStore.
func (m *Machine) HealStore(ctx context.Context) error {
	return m.storeRule(ctx, "-D")
}

func (m *Machine) storeRule(ctx context.Context, verb string) error {
	ports := fmt.Sprintf("%d,%d", clientPort, peerPort)
	_, err := m.Output(ctx, "iptables", "-w", verb, "OUTPUT", "!", "-o", "lo", "-p", "tcp", "-m", "multiport", "--dports", ports, "-j", "DROP")
	return err
}

// maxRestarts is how often fleetd may end before it counts as failed: its unit
// starts it again for ever.
const maxRestarts = 5

// awaitFleet waits until the machine's fleetd has said that it is ready.
func (m *Machine) awaitFleet(ctx context.Context) error {
	var failed bool
	err := poll(ctx, func() bool {
		out, _ := m.Output(ctx, "systemctl", "show", "--value", "--property=ActiveState", fleetService)
		if out == "active\n" {
			return true
		}
		restarts, _ := m.Output(ctx, "systemctl", "show", "--value", "--property=NRestarts", fleetService)
		n, _ := strconv.Atoi(strings.TrimSpace(restarts))
		failed = out == "failed\n" || n >= maxRestarts
		return failed
	})
	if err == nil && !failed {
		return nil
	}
	if err == nil {
		err = errors.New("it fails")
	}
	// The caller's time may be over; what happened is still worth knowing.
	logCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	journal, _ := m.Output(logCtx, "journalctl", "--no-pager", "--lines=20", "--output=cat", "--unit="+fleetService)
	return fmt.Errorf("%s on %s did not become active: %w\n%s", fleetService, m.Name, err, strings.TrimSpace(journal))
}
