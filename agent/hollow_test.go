package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const sleeper = "[Service]\nExecStart=/bin/sleep 1d\n"

// place loads and starts a unit that must start.
func place(t *testing.T, h *Hollow, name, text string) {
	t.Helper()
	if err := h.Load(t.Context(), name, text); err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

// observed returns what h shows of one unit.
func observed(t *testing.T, h *Hollow, name string) Observed {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var seen Observed
	h.Observe(ctx, func(o Observation) {
		for _, u := range o.Units {
			if u.Name == name {
				seen = u
			}
		}
		cancel()
	})
	return seen
}

func TestHollowSubStates(t *testing.T) {
	h := NewHollow(nil)
	for name, want := range map[string]string{
		"a.service": "active/running",
		"a.timer":   "active/waiting",
		"a.socket":  "active/listening",
		"a.path":    "active/waiting",
		"a.mount":   "active/mounted",
		"a.target":  "active/active",
	} {
		place(t, h, name, sleeper)
		u := observed(t, h, name)
		if got := u.ActiveState + "/" + u.SubState; got != want || u.LoadState != "loaded" {
			t.Errorf("%s is %s %s, want loaded %s", name, u.LoadState, got, want)
		}
	}
}

func TestHollowOneshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHollow(func(name string) Behavior {
			b := Behavior{StartTakes: time.Minute}
			if name == "bad.service" {
				b.ExitStatus = 3
			}
			return b
		})
		began := time.Now()
		place(t, h, "once.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
		if took := time.Since(began); took != time.Minute {
			t.Errorf("the start job took %s", took)
		}
		if u := observed(t, h, "once.service"); u.ActiveState != "inactive" || u.SubState != "dead" || u.Result != "success" {
			t.Errorf("after its run: %+v", u)
		}
		place(t, h, "stay.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n")
		if u := observed(t, h, "stay.service"); u.ActiveState != "active" || u.SubState != "exited" {
			t.Errorf("with RemainAfterExit: %+v", u)
		}
		h.Load(t.Context(), "bad.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n")
		err := h.Start(t.Context(), "bad.service")
		if !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), "exit-code, main process exited with status 3") {
			t.Errorf("a oneshot that fails: %v", err)
		}
	})
}

func TestHollowRefusesWhatSystemdRefuses(t *testing.T) {
	h := NewHollow(nil)
	for text, fine := range map[string]bool{
		sleeper: true,
		"[Unit]\nExecStart=/bin/true\n[Service]\n":                               false,
		"[Service]\nExecStart=/bin/true\n# over:\nExecStart=\n":                  false,
		"[Service]\nExecStop=/bin/true\n":                                        false,
		"[Service]\nRemainAfterExit=yes\nExecStop=/bin/true\n":                   true,
		"[Service]\nEnvironment=A=b \\\nExecStart=/bin/true\n":                   false,
		"[Service]\nType=oneshot\n":                                              false,
		"[Service]\n;ExecStart=/bin/true\nExecStart = /bin/true \\\n   --help\n": true,
	} {
		h.Load(t.Context(), "a.service", text)
		err := h.Start(t.Context(), "a.service")
		if fine != (err == nil) {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil && (!errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), "Unit a.service has a bad unit file setting")) {
			t.Errorf("the refusal of %q does not say why: %v", text, err)
		}
		if want := map[bool]string{true: "loaded", false: "bad-setting"}[fine]; observed(t, h, "a.service").LoadState != want {
			t.Errorf("%q: not %s", text, want)
		}
		h.Stop(t.Context(), "a.service")
	}
}

func TestHollowHangsUntilThawed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHollow(func(string) Behavior { return Behavior{StartHangs: true} })
		h.Load(t.Context(), "a.service", sleeper)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := h.Start(ctx, "a.service"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("start of a unit that hangs: %v", err)
		}
		if u := observed(t, h, "a.service"); u.ActiveState != "activating" {
			t.Errorf("the job did not outlive its caller: %+v", u)
		}
		done := make(chan error, 1)
		go func() { done <- h.Start(t.Context(), "a.service") }()
		synctest.Wait()
		h.Thaw("a.service")
		if err := <-done; err != nil {
			t.Errorf("start after Thaw: %v", err)
		}
		if n := len(h.History()); n != 1 {
			t.Errorf("%d runs begun, want one for both starts", n)
		}
	})
}

func TestHollowStopSupersedesStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHollow(func(string) Behavior { return Behavior{StartTakes: time.Minute, StopTakes: time.Second} })
		h.Load(t.Context(), "a.service", sleeper)
		done := make(chan error, 1)
		go func() { done <- h.Start(t.Context(), "a.service") }()
		synctest.Wait()
		if err := h.Stop(t.Context(), "a.service"); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err == nil {
			t.Error("the start job that was superseded ended well")
		}
		time.Sleep(time.Hour)
		if names := h.Running(); len(names) != 0 {
			t.Errorf("%v run after the stop", names)
		}
	})
}

func TestHollowExitsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHollow(func(string) Behavior { return Behavior{RunsFor: time.Minute, ExitStatus: 4} })
		place(t, h, "a.service", sleeper)
		time.Sleep(time.Minute + time.Second)
		u := observed(t, h, "a.service")
		if u.ActiveState != "failed" || u.Result != "exit-code" || u.ExitStatus != 4 {
			t.Errorf("after its exit: %+v", u)
		}
		place(t, h, "a.service", sleeper)
		time.Sleep(time.Second)
		h.Stop(t.Context(), "a.service")
		place(t, h, "a.service", sleeper)
		time.Sleep(59*time.Second + time.Millisecond)
		if u := observed(t, h, "a.service"); u.ActiveState != "active" {
			t.Errorf("an earlier run's exit ended this one: %+v", u)
		}
	})
}

func TestHollowReboot(t *testing.T) {
	h := NewHollow(nil)
	place(t, h, "a.service", sleeper)
	place(t, h, "b.service", sleeper)
	h.Foreign("ssh.service")
	h.Reboot()
	if names := h.Running(); len(names) != 0 {
		t.Errorf("%v run after a reboot", names)
	}
	if u := observed(t, h, "a.service"); u.Name != "" {
		t.Errorf("its file outlived the reboot: %+v", u)
	}
	if err := h.Start(t.Context(), "a.service"); err == nil {
		t.Error("it started without its file")
	}
	if err := h.Load(t.Context(), "ssh.service", sleeper); !errors.Is(err, ErrForeign) {
		t.Errorf("a foreign name after a reboot: %v", err)
	}
	last := h.History()[len(h.History())-1]
	if last.Unit != "b.service" || last.Running || last.Why != "reboot" {
		t.Errorf("the last event is %+v", last)
	}
}

func TestHollowForeignTemplate(t *testing.T) {
	h := NewHollow(nil)
	h.Foreign("getty@.service")
	for name, foreign := range map[string]bool{"getty@tty1.service": true, "getty.service": false, "getty@tty1.socket": false} {
		if err := h.Load(t.Context(), name, sleeper); errors.Is(err, ErrForeign) != foreign {
			t.Errorf("load %s: %v", name, err)
		}
	}
}

func TestHollowHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHollow(nil)
		var hooked []HollowEvent
		h.OnEvent(func(e HollowEvent) { hooked = append(hooked, e) })
		place(t, h, "a.service", sleeper)
		time.Sleep(time.Minute)
		h.Crash("a.service")
		h.Crash("a.service")
		place(t, h, "a.service", sleeper)
		h.Stop(t.Context(), "a.service")
		var got []string
		for _, e := range h.History() {
			got = append(got, fmt.Sprint(e.Why, e.Running))
		}
		if want := []string{"starttrue", "crashfalse", "starttrue", "stopfalse"}; !slices.Equal(got, want) {
			t.Errorf("history %v, want %v", got, want)
		}
		if !slices.Equal(hooked, h.History()) {
			t.Error("the hook saw other events than the history has")
		}
		if e := h.History(); e[0].InvocationID != e[1].InvocationID || e[0].InvocationID == e[2].InvocationID {
			t.Error("an invocation is not one run")
		}
		if e := h.History(); e[1].At.Sub(e[0].At) != time.Minute {
			t.Errorf("it ran %s, want 1m", e[1].At.Sub(e[0].At))
		}
	})
}

func TestHollowObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHollow(nil)
		place(t, h, "a.service", sleeper)
		ctx, cancel := context.WithCancel(t.Context())
		var seen []Observation
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.Observe(ctx, func(o Observation) { seen = append(seen, o) })
		}()
		synctest.Wait()
		h.Stop(ctx, "a.service")
		h.Unload(ctx, "a.service")
		synctest.Wait()
		time.Sleep(hollowObserveAll)
		cancel()
		<-done
		first, last := seen[0], seen[len(seen)-1]
		if !first.All || len(first.Units) != 1 || first.Units[0].ActiveState != "active" {
			t.Errorf("at first: %+v", first)
		}
		if !last.All || len(last.Units) != 0 {
			t.Errorf("everything again: %+v", last)
		}
		gone := seen[len(seen)-2]
		if gone.All || len(gone.Units) != 1 || gone.Units[0].Hash != "" || gone.Units[0].ActiveState != "inactive" {
			t.Errorf("of a unit whose file is gone: %+v", gone)
		}
	})
}

func BenchmarkHollow(b *testing.B) {
	b.Run("machines=300/units=300", func(b *testing.B) {
		for b.Loop() {
			for range 300 {
				h := NewHollow(nil)
				for i := range 300 {
					name := fmt.Sprintf("u%d.service", i)
					h.Load(b.Context(), name, sleeper)
					h.Start(b.Context(), name)
				}
			}
		}
	})
}
