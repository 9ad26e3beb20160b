package runnertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"fleet/agent"
)

func testForeign(t *testing.T, f *fixture, name string) {
	if err := f.Load(t.Context(), name, sleeps); !errors.Is(err, agent.ErrForeign) {
		t.Errorf("load: %v", err)
	}
	if err := f.Start(t.Context(), name); err == nil {
		t.Error("it was started")
	}
	f.stop(name)
	f.unload(name)
	f.load("runnertest-marker.service", sleeps)
	f.state("runnertest-marker.service", "inactive/dead")
	f.view.wait(t, name, "left out", func(u agent.Observed) bool { return u.Name == "" })
}

// Each instance has its own file.
func testInstances(t *testing.T, f *fixture) {
	const one, two = "runnertest-app@1.service", `runnertest-app@a\x2db.service`
	f.load(one, sleeps)
	f.load(two, stays)
	f.start(one)
	f.start(two)
	f.state(one, "active/running")
	f.state(two, "active/exited")
	f.stop(one)
	f.unload(one)
	if u := f.state(two, "active/exited"); u.Hash != hash(stays) {
		t.Errorf("without its sibling it shows %+v", u)
	}
}

func testTypes(t *testing.T, f *fixture) {
	f.load("runnertest-types.service", sleeps)
	for _, unit := range []struct{ name, text, active string }{
		{"runnertest-types.timer", "[Timer]\nOnActiveSec=1d\n", "active/waiting"},
		{"runnertest-types.socket", "[Socket]\nListenStream=/run/runnertest.sock\n", "active/listening"},
		{"runnertest-types.path", "[Path]\nPathExists=/run/runnertest-nowhere\n", "active/waiting"},
		{"run-runnertest.mount", "[Mount]\nWhat=tmpfs\nWhere=/run/runnertest\nType=tmpfs\n", "active/mounted"},
		{"runnertest-types.target", "[Unit]\nDescription=a target\n", "active/active"},
	} {
		f.load(unit.name, unit.text)
		f.state(unit.name, "inactive/dead")
		f.start(unit.name)
		if u := f.state(unit.name, unit.active); u.Hash != hash(unit.text) || !isInvocation(u.InvocationID) {
			t.Errorf("started, it shows %+v", u)
		}
		f.stop(unit.name)
		f.state(unit.name, "inactive/dead")
		f.unload(unit.name)
	}
}

// A caller that gives up is let go at once; the job is the machine's.
func testCallerGivesUp(t *testing.T, f *fixture) {
	const name = "runnertest-hangs.service"
	f.load(name, hangs)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Start(ctx, name) }()
	f.state(name, "activating/start")
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || errors.Is(err, agent.ErrFailed) {
		t.Errorf("start by a caller that gave up: %v", err)
	}
	if u := f.state(name, "activating/start"); u.Hash == "" {
		t.Errorf("it shows %+v", u)
	}
	f.stop(name)
}

// What hangs holds up nobody else.
func testHangAlone(t *testing.T, f *fixture) {
	f.load("runnertest-hangs-alone.service", hangs)
	done := make(chan error, 1)
	go func() { done <- f.Start(t.Context(), "runnertest-hangs-alone.service") }()
	f.state("runnertest-hangs-alone.service", "activating/start")
	testLife(t, f)
	f.stop("runnertest-hangs-alone.service")
	if err := <-done; err == nil {
		t.Error("a start that a stop took the place of was a success")
	}
}

// A second runner on the machine, as after a restart of fleetd, finds all.
func testRestart(t *testing.T, f *fixture) {
	f.load("runnertest-idle.service", sleeps)
	f.load("runnertest-busy.service", stays)
	f.start("runnertest-busy.service")
	busy := f.state("runnertest-busy.service", "active/exited")
	idle := f.state("runnertest-idle.service", "inactive/dead")

	again := f.open(t)
	v := watch(t, again)
	v.wait(t, "runnertest-busy.service", "found", func(u agent.Observed) bool { return u == busy })
	if !v.first.All || !slices.Contains(v.first.Units, busy) || !slices.Contains(v.first.Units, idle) {
		t.Errorf("it is told first %+v, want all, with %+v and %+v", v.first, busy, idle)
	}
	if err := again.Load(t.Context(), "runnertest-busy.service", stays); err != nil {
		t.Error(err)
	}
	if err := again.Start(t.Context(), "runnertest-busy.service"); err != nil {
		t.Error(err)
	}
	if err := again.Stop(t.Context(), "runnertest-busy.service"); err != nil {
		t.Error(err)
	}
	after := f.state("runnertest-busy.service", "inactive/dead")
	if after.InvocationID != busy.InvocationID {
		t.Error("the second runner began a new run of what ran already")
	}
}

func testParallel(t *testing.T, f *fixture) {
	var wg sync.WaitGroup
	for i := range 40 {
		name := fmt.Sprintf("runnertest-many-%d.service", i)
		wg.Go(func() {
			ctx := t.Context()
			for _, text := range []string{sleeps, stays} {
				err := errors.Join(f.Load(ctx, name, text), f.Start(ctx, name))
				want := map[string]string{sleeps: "running", stays: "exited"}[text]
				f.view.wait(t, name, want, func(u agent.Observed) bool { return u.SubState == want && u.Hash == hash(text) })
				if err = errors.Join(err, f.Stop(ctx, name)); err != nil {
					t.Error(err)
				}
			}
			if err := f.Unload(ctx, name); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// What is told once a call has returned shows what the call did.
func testToldInOrder(t *testing.T, f *fixture) {
	var mu sync.Mutex
	must := map[string]string{} // name → the hash that may be told
	ctx, cancel := context.WithCancel(t.Context())
	var observing, loading sync.WaitGroup
	observing.Go(func() {
		f.Observe(ctx, func(o agent.Observation) {
			mu.Lock()
			defer mu.Unlock()
			for _, u := range o.Units {
				if want := must[u.Name]; want != "" && u.Hash != want {
					t.Errorf("it is told of the hash %.7s of %s after %.7s was loaded", u.Hash, u.Name, want)
				}
			}
		})
	})
	for i := range 8 {
		name := fmt.Sprintf("runnertest-order-%d.service", i)
		f.load(name, sleeps)
		loading.Go(func() {
			for i := range 60 {
				text := fmt.Sprintf("%s# %d\n", sleeps, i)
				if err := f.Load(ctx, name, text); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				must[name] = hash(text)
				mu.Unlock()
				f.view.wait(t, name, "as loaded", func(u agent.Observed) bool { return u.Hash == hash(text) })
				mu.Lock()
				delete(must, name)
				mu.Unlock()
			}
		})
	}
	loading.Wait()
	cancel()
	observing.Wait()
}
