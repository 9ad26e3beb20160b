//go:build machine

package systemd

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

const sleeps = "[Service]\nExecStart=/bin/sleep 1d\n"

// newRunner returns a runner that ends with t.
func newRunner(t *testing.T, c Config) *Runner {
	t.Helper()
	r, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// clean takes a unit away when t ends.
func clean(t *testing.T, r *Runner, name string) {
	t.Cleanup(func() {
		if err := r.Stop(context.Background(), name); err != nil {
			t.Error(err)
		}
		if err := r.Unload(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// countReloads returns how often systemd has reloaded so far.
func countReloads(t *testing.T) func() int64 {
	t.Helper()
	var reloads atomic.Int64
	conn, err := findBus().events(t.Context(), func(_, member, frame []byte) {
		if string(member) != "Reloading" {
			return
		}
		if msg, err := dbus.DecodeMessage(bytes.NewReader(frame)); err == nil && msg.Body[0] == true {
			reloads.Add(1)
		}
	})
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return func() int64 {
		// What systemd has sent before it answers is there with the answer.
		must(t, conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1").
			Call("org.freedesktop.DBus.Peer.Ping", 0).Err)
		return reloads.Load()
	}
}

func TestNewUnitsNeedNoReload(t *testing.T) {
	r, reloads := newRunner(t, Config{}), countReloads(t)
	began := time.Now()
	var wg sync.WaitGroup
	for i := range 50 {
		name := fmt.Sprintf("runnertest-new-%d.service", i)
		clean(t, r, name)
		wg.Go(func() {
			if err := r.Load(t.Context(), name, sleeps); err != nil {
				t.Error(err)
			}
			if err := r.Start(t.Context(), name); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	t.Logf("50 services loaded and started in %v", time.Since(began))
	began = time.Now()
	for i := range 50 {
		name := fmt.Sprintf("runnertest-new-%d.service", i)
		wg.Go(func() {
			if err := r.Stop(t.Context(), name); err != nil {
				t.Error(err)
			}
			if err := r.Unload(t.Context(), name); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	t.Logf("50 services stopped and unloaded in %v", time.Since(began))
	if n := reloads(); n != 0 {
		t.Errorf("%d reloads, want none", n)
	}
}

func TestOneUnit(t *testing.T) {
	r, reloads := newRunner(t, Config{}), countReloads(t)
	clean(t, r, "runnertest-one.service")
	var up, down time.Duration
	const times = 20
	for range times {
		began := time.Now()
		must(t, r.Load(t.Context(), "runnertest-one.service", sleeps), r.Start(t.Context(), "runnertest-one.service"))
		up += time.Since(began)
		began = time.Now()
		must(t, r.Stop(t.Context(), "runnertest-one.service"), r.Unload(t.Context(), "runnertest-one.service"))
		down += time.Since(began)
	}
	t.Logf("load and start take %v, stop and unload %v", up/times, down/times)
	if n := reloads(); n != 0 {
		t.Errorf("%d reloads, want none", n)
	}
}

func TestReplacedFileNeedsNoReload(t *testing.T) {
	r, reloads := newRunner(t, Config{}), countReloads(t)
	const name = "runnertest-replaced.service"
	clean(t, r, name)
	for i := range 10 {
		text := fmt.Sprintf("[Unit]\nDescription=version %d\n%s", i, sleeps)
		must(t, r.Load(t.Context(), name, text), r.Stop(t.Context(), name), r.Start(t.Context(), name))
		if got := description(t, r, name); got != fmt.Sprintf("version %d", i) {
			t.Errorf("version %d was started as %q", i, got)
		}
	}
	if n := reloads(); n != 0 {
		t.Errorf("%d reloads, want none", n)
	}
}

// What another unit refers to stays in memory, so its new file needs one.
func TestReferredFileNeedsReload(t *testing.T) {
	r, reloads := newRunner(t, Config{}), countReloads(t)
	const name, other = "runnertest-referred.service", "runnertest-refers.service"
	clean(t, r, name)
	clean(t, r, other)
	must(t,
		r.Load(t.Context(), name, "[Unit]\nDescription=old\n"+sleeps),
		r.Load(t.Context(), other, "[Unit]\nWants="+name+"\n"+sleeps),
		r.Start(t.Context(), other), r.Stop(t.Context(), name))
	if n := reloads(); n != 0 {
		t.Errorf("%d reloads before the file changed", n)
	}
	must(t, r.Load(t.Context(), name, "[Unit]\nDescription=new\n"+sleeps), r.Start(t.Context(), name))
	if got := description(t, r, name); got != "new" {
		t.Errorf("it was started as %q", got)
	}
	if n := reloads(); n != 1 {
		t.Errorf("%d reloads, want 1", n)
	}
	// Unloaded, it must not come back with the unit that wants it.
	must(t, r.Stop(t.Context(), name), r.Unload(t.Context(), name), r.Stop(t.Context(), other), r.Start(t.Context(), other))
	conn, err := r.systemd(t.Context())
	must(t, err)
	if row, ok, err := inMemory(t.Context(), conn, name); err != nil || ok && row.ActiveState != "inactive" {
		t.Errorf("it came back: %+v %v", row, err)
	}
}

func description(t *testing.T, r *Runner, name string) string {
	t.Helper()
	conn, err := r.systemd(t.Context())
	must(t, err)
	text, err := property[string](t.Context(), conn, name, "Unit", "Description")
	must(t, err)
	return text
}
