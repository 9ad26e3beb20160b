package runnertest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync"
	"testing"
	"time"

	"fleet/agent"
)

// Options say what the machine below the runner is like.
type Options struct {
	// Foreign are names that the machine has from elsewhere, or that are
	// instances of a template that it has.
	Foreign []string
}

// patience is how long something that must come about may take.
const patience = 20 * time.Second

// Files of units.
const (
	sleeps = "[Service]\nExecStart=/bin/sleep 1d\n[X-Fleet]\nMachineMetadata=a=b\n"
	once   = "[Service]\nType=oneshot\nExecStart=/bin/true\n"
	stays  = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"
	fails  = "[Service]\nType=oneshot\nExecStart=/bin/false\n"
	empty  = "[Service]\nType=simple\n"
	// A runner without programs makes units named runnertest-hangs… so.
	hangs = "[Service]\nType=oneshot\nTimeoutStartSec=infinity\nExecStart=/bin/sleep 1d\n"
)

// Run tests a runner. open returns one on the same machine each time, as a
// fleetd that was restarted would have it; it closes it when t ends.
func Run(t *testing.T, open func(t *testing.T) agent.Runner, o Options) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"Life", testLife},
		{"Idempotent", testIdempotent},
		{"ReplaceRunning", testReplaceRunning},
		{"ReplaceFailed", testReplaceFailed},
		{"InvocationPerStart", testInvocationPerStart},
		{"ToldAfterStart", testToldAfterStart},
		{"Oneshot", testOneshot},
		{"FailingStart", testFailingStart},
		{"CrashLater", testCrashLater},
		{"NothingToRun", testNothingToRun},
		{"NotLoaded", testNotLoaded},
		{"UnloadRunning", testUnloadRunning},
		{"Instances", testInstances},
		{"Types", testTypes},
		{"CallerGivesUp", testCallerGivesUp},
		{"HangAlone", testHangAlone},
		{"Restart", testRestart},
		{"Parallel", testParallel},
		{"ToldInOrder", testToldInOrder},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newFixture(t, open)) })
	}
	for _, name := range o.Foreign {
		t.Run("Foreign/"+name, func(t *testing.T) { testForeign(t, newFixture(t, open), name) })
	}
}

// fixture is a runner under test and what it shows.
type fixture struct {
	agent.Runner
	t    *testing.T
	open func(t *testing.T) agent.Runner
	view *view
}

func newFixture(t *testing.T, open func(t *testing.T) agent.Runner) *fixture {
	t.Helper()
	f := &fixture{Runner: open(t), t: t, open: open}
	f.view = watch(t, f.Runner)
	return f
}

// load loads a unit and takes it away when the test ends.
func (f *fixture) load(name, text string) {
	f.t.Helper()
	f.t.Cleanup(func() { f.clean(name) })
	if err := f.Load(f.t.Context(), name, text); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) clean(name string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := f.Stop(ctx, name); err != nil {
		f.t.Error(err)
	}
	if err := f.Unload(ctx, name); err != nil {
		f.t.Error(err)
	}
}

func (f *fixture) start(name string) {
	f.t.Helper()
	if err := f.Start(f.t.Context(), name); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) stop(name string) {
	f.t.Helper()
	if err := f.Stop(f.t.Context(), name); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) unload(name string) {
	f.t.Helper()
	if err := f.Unload(f.t.Context(), name); err != nil {
		f.t.Fatal(err)
	}
}

// state waits until a unit is shown as active/sub and returns what is shown.
func (f *fixture) state(name, want string) agent.Observed {
	f.t.Helper()
	return f.view.wait(f.t, name, want, func(u agent.Observed) bool { return u.ActiveState+"/"+u.SubState == want })
}

// view is what one Observe has shown.
type view struct {
	mu    sync.Mutex
	told  int // observations so far
	first agent.Observation
	units map[string]agent.Observed
	news  chan struct{} // closed and replaced with each observation
}

// watch observes until t ends, and fails it if the observing ends before.
func watch(t *testing.T, r agent.Runner) *view {
	t.Helper()
	v := &view{units: map[string]agent.Observed{}, news: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.Observe(ctx, v.tell); ctx.Err() == nil {
			t.Errorf("Observe ended: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return v
}

func (v *view) tell(o agent.Observation) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.told++; v.told == 1 {
		v.first = o
		v.first.Units = slices.Clone(o.Units)
	}
	if o.All {
		clear(v.units)
	}
	for _, u := range o.Units {
		v.units[u.Name] = u
	}
	close(v.news)
	v.news = make(chan struct{})
}

// count is how often something was told so far.
func (v *view) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.told
}

// wait waits until what is shown of a unit is as it should be. What was never
// shown is the zero Observed.
func (v *view) wait(t *testing.T, name, what string, ok func(agent.Observed) bool) agent.Observed {
	t.Helper()
	late := time.After(patience)
	for {
		v.mu.Lock()
		u, news := v.units[name], v.news
		v.mu.Unlock()
		if ok(u) {
			return u
		}
		select {
		case <-news:
		case <-late:
			t.Errorf("%s is not %s but %+v", name, what, u)
			return u
		}
	}
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
