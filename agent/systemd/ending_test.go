package systemd

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godbus/dbus/v5"

	"fleet/agent"
)

func TestRunSentence(t *testing.T) {
	for want, last := range map[string]run{
		"exit-code, main process exited with status 1":                                         {"exit-code", exited, 1},
		"exit-code, main process exited with status 203 (EXEC: its program can't be executed)": {"exit-code", exited, 203},
		"signal, main process was killed by signal 9":                                          {"signal", killed, 9},
		"core-dump, main process was killed by signal 11":                                      {"core-dump", dumped, 11},
		"start-limit-hit": {result: "start-limit-hit"},
	} {
		if got := last.sentence(); got != want {
			t.Errorf("%+v reads %q, want %q", last, got, want)
		}
	}
}

func TestRefusal(t *testing.T) {
	bad := dbus.Error{Name: "org.freedesktop.systemd1.BadUnitSetting", Body: []any{"Unit a.service has a bad unit file setting."}}
	err := refusal("a.service", bad)
	const want = `a.service failed to start: systemd says "Unit a.service has a bad unit file setting."; see journalctl -u a.service`
	if err.Error() != want || !errors.Is(err, agent.ErrFailed) {
		t.Errorf("a bad setting reads %q", err)
	}
	gone := dbus.Error{Name: "org.freedesktop.systemd1.NoSuchUnit", Body: []any{"Unit db.service not found."}}
	err = refusal("a.service", gone)
	if err.Error() != `start a.service: systemd says "Unit db.service not found."` || errors.Is(err, agent.ErrFailed) {
		t.Errorf("a missing unit, which may yet come, reads %q", err)
	}
}

// Whoever asks while a reload is under way needs another, shared with the rest.
func TestReloadsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reloads, asking sync.WaitGroup
		count := 0
		r := newReloader(t.Context(), &reloads, func(context.Context) error {
			count++
			time.Sleep(time.Second)
			return nil
		})
		ask := func() {
			if err := r.do(t.Context()); err != nil {
				t.Error(err)
			}
		}
		for range 50 {
			asking.Go(ask)
		}
		time.Sleep(gather + time.Millisecond)
		for range 50 {
			asking.Go(ask)
		}
		asking.Wait()
		reloads.Wait()
		if count != 2 {
			t.Errorf("%d reloads, want 2", count)
		}
	})
}

func TestReloadCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reloads sync.WaitGroup
		r := newReloader(t.Context(), &reloads, func(context.Context) error { time.Sleep(time.Hour); return nil })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.do(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a caller that gave up is told %v", err)
		}
		reloads.Wait()
	})
}
