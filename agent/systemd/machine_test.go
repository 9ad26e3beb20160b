//go:build machine

package systemd

import (
	"os"
	"path/filepath"
	"testing"

	"fleet/agent"
	"fleet/agent/runnertest"
)

const foreignText = "[Service]\nExecStart=/bin/sleep 1d\n"

// host gives the machine a unit of its own until t ends.
func host(t *testing.T, dir, name string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(foreignText), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if text, err := os.ReadFile(path); err != nil || string(text) != foreignText {
			t.Errorf("the host's own %s was touched: %q, %v", path, text, err)
		}
		os.Remove(path)
	})
}

// opener opens runners on this machine, through the given bus.
func opener(b bus) func(*testing.T) agent.Runner {
	return func(t *testing.T) agent.Runner {
		t.Helper()
		r, err := open(t.Context(), Config{}, b)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		return r
	}
}

func TestConforms(t *testing.T) {
	host(t, "/etc/systemd/system", "runnertest-etc.service")
	host(t, "/etc/systemd/system", "runnertest-etc@.service")
	host(t, "/run/systemd/system", "runnertest-run.service")
	host(t, "/run/systemd/transient", "runnertest-transient.service")
	o := runnertest.Options{Foreign: []string{
		"runnertest-etc.service", "runnertest-etc@1.service", "runnertest-run.service", "runnertest-transient.service",
		"dbus.service", "init.scope", "-.mount", "system.slice", "getty@tty1.service",
	}}
	t.Run("private", func(t *testing.T) { runnertest.Run(t, opener(bus{socket: privateSocket}), o) })
	t.Run("bus", func(t *testing.T) { runnertest.Run(t, opener(bus{socket: systemSocket, daemon: true}), o) })
}
