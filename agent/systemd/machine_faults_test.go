//go:build machine

package systemd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fleet/agent"
)

func TestInstall(t *testing.T) {
	r := newRunner(t, Config{})
	const name = "runnertest-install.service"
	wants := filepath.Join(runtimeDir, "runnertest.target.wants", name)
	alias := filepath.Join(runtimeDir, "runnertest-alias.service")
	clean(t, r, name)
	must(t, r.Load(t.Context(), name, sleeps+"[Install]\nWantedBy=runnertest.target\nAlias=runnertest-alias.service\n"))
	for _, link := range []string{wants, alias} {
		if !r.files.isOurs(link, name) {
			t.Errorf("%s is not there", link)
		}
	}
	reloads := countReloads(t)
	must(t, r.Load(t.Context(), name, sleeps+"[Install]\nWantedBy=runnertest.target\nAlias=runnertest-alias.service\n"))
	if n := reloads(); n != 0 {
		t.Errorf("loading it again took %d reloads", n)
	}
	must(t, r.Load(t.Context(), name, sleeps+"[Install]\nWantedBy=runnertest.target\n"))
	if _, err := os.Lstat(alias); err == nil {
		t.Error("the alias outlived the line that made it")
	}
	must(t, r.Start(t.Context(), name), r.Stop(t.Context(), name), r.Unload(t.Context(), name))
	if _, err := os.Lstat(wants); err == nil {
		t.Error("it is still wanted")
	}
}

func TestInstallForeign(t *testing.T) {
	host(t, "/etc/systemd/system", "runnertest-etc.service")
	r := newRunner(t, Config{})
	for _, line := range []string{"Alias=runnertest-etc.service", "Also=runnertest-etc.service", "Alias=dbus.service"} {
		err := r.Load(t.Context(), "runnertest-install.service", sleeps+"[Install]\n"+line+"\n")
		if !errors.Is(err, agent.ErrForeign) || !strings.Contains(err.Error(), line) {
			t.Errorf("%s: %v", line, err)
		}
		if r.files.has("runnertest-install.service") {
			t.Errorf("with %s it is in place", line)
		}
	}
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16k"))
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	r := newRunner(t, Config{Dir: dir})
	const name = "runnertest-full.service"
	clean(t, r, name)
	must(t, r.Load(t.Context(), name, sleeps))
	before := r.files.hash(name)
	big := sleeps + strings.Repeat("# filling\n", 10_000)
	for _, name := range []string{name, "runnertest-fuller.service"} {
		err := r.Load(t.Context(), name, big)
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "no space left on device") {
			t.Errorf("load of %s on a full disk: %v", name, err)
		}
	}
	if r.files.hash(name) != before || r.files.has("runnertest-fuller.service") {
		t.Error("half of a file is there")
	}
	if _, err := os.Lstat(r.files.dropIns("runnertest-fuller.service")); err == nil {
		t.Error("a drop-in for no unit is there")
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left over are %v", left)
	}
}

// A file that was removed by hand doesn't keep its unit from being stopped.
func TestStopWithoutFile(t *testing.T) {
	r := newRunner(t, Config{})
	const name = "runnertest-vanished.service"
	clean(t, r, name)
	must(t, r.Load(t.Context(), name, sleeps), r.Start(t.Context(), name), r.files.remove(name), r.Stop(t.Context(), name))
	conn, err := r.systemd(t.Context())
	must(t, err)
	if row, ok, err := inMemory(t.Context(), conn, name); err != nil || ok && running(row) {
		t.Errorf("it still runs: %+v %v", row, err)
	}
}

// daemon-reexec cuts every connection: a job that is awaited is looked after
// from a new one, and Observe ends and can be called again.
func TestReexec(t *testing.T) {
	r := newRunner(t, Config{})
	const name = "runnertest-reexec.service"
	clean(t, r, name)
	must(t, r.Load(t.Context(), name, "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep 4\n"))
	observing, started := make(chan error, 1), make(chan error, 1)
	activating := make(chan struct{}, 100)
	go func() {
		observing <- r.Observe(t.Context(), func(o agent.Observation) {
			for _, u := range o.Units {
				if u.Name == name && u.ActiveState == "activating" {
					activating <- struct{}{}
				}
			}
		})
	}()
	go func() { started <- r.Start(t.Context(), name) }()
	<-activating
	conn, err := r.bus.dial(t.Context(), func(_, _, _ []byte) bool { return false })
	must(t, err)
	defer conn.Close()
	// Its answer is the end of the connection.
	conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1").
		Call("org.freedesktop.systemd1.Manager.Reexecute", 0)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, end := range []struct {
		what string
		ch   chan error
		lost bool
	}{{"Observe", observing, true}, {"Start", started, false}} {
		select {
		case err := <-end.ch:
			if (err != nil) != end.lost {
				t.Errorf("%s ended: %v", end.what, err)
			}
		case <-ctx.Done():
			t.Fatalf("%s does not end", end.what)
		}
	}
	err = r.Observe(ctx, func(o agent.Observation) {
		for _, u := range o.Units {
			if u.Name == name && u.ActiveState == "active" {
				cancel()
			}
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Observe after it: %v", err)
	}
}

// The first call on a new connection is answered like any other.
func TestFirstCall(t *testing.T) {
	for range 50 {
		conn, err := bus{socket: privateSocket}.dial(t.Context(), func(_, _, _ []byte) bool { return false })
		must(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err = conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1").
			CallWithContext(ctx, "org.freedesktop.DBus.Peer.Ping", 0).Err
		cancel()
		conn.Close()
		must(t, err)
	}
}
