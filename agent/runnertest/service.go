package runnertest

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"fleet/agent"
)

func isInvocation(id string) bool { return regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(id) }

func testLife(t *testing.T, f *fixture) {
	const name = "runnertest-life.service"
	f.load(name, sleeps)
	u := f.state(name, "inactive/dead")
	if u.Hash != hash(sleeps) || u.LoadState != "loaded" || u.InvocationID != "" {
		t.Errorf("loaded, it shows %+v", u)
	}
	f.start(name)
	u = f.state(name, "active/running")
	if u.Hash != hash(sleeps) || u.LoadState != "loaded" || u.Result != "success" || !isInvocation(u.InvocationID) {
		t.Errorf("started, it shows %+v", u)
	}
	f.stop(name)
	if u = f.state(name, "inactive/dead"); u.Hash != hash(sleeps) || u.Result != "success" {
		t.Errorf("stopped, it shows %+v", u)
	}
	f.unload(name)
	u = f.view.wait(t, name, "without a file", func(u agent.Observed) bool { return u.Hash == "" })
	if u.ActiveState != "inactive" {
		t.Errorf("unloaded, it shows %+v", u)
	}
}

func testIdempotent(t *testing.T, f *fixture) {
	const name = "runnertest-idempotent.service"
	f.stop(name)
	f.unload(name)
	f.load(name, sleeps)
	f.load(name, sleeps)
	f.start(name)
	before := f.state(name, "active/running")
	f.start(name)
	f.load(name, sleeps)
	f.start(name)
	f.stop(name)
	if after := f.state(name, "inactive/dead"); after.InvocationID != before.InvocationID {
		t.Error("starting or loading it again began a new run")
	}
	f.stop(name)
	f.unload(name)
	f.unload(name)
	f.stop(name)
}

// A running unit runs on with what it had; its next start uses the new file.
func testReplaceRunning(t *testing.T, f *fixture) {
	const name = "runnertest-replace.service"
	f.load(name, sleeps)
	f.start(name)
	before := f.state(name, "active/running")
	f.load(name, stays)
	after := f.view.wait(t, name, "with the new file", func(u agent.Observed) bool { return u.Hash == hash(stays) })
	if after.InvocationID != before.InvocationID || after.ActiveState != "active" {
		t.Errorf("replacing its file disturbed it: %+v, then %+v", before, after)
	}
	f.stop(name)
	f.start(name)
	f.state(name, "active/exited")
	f.stop(name)
	f.load(name, sleeps)
	f.start(name)
	f.state(name, "active/running")
}

func testReplaceFailed(t *testing.T, f *fixture) {
	const name = "runnertest-failed.service"
	f.load(name, fails)
	if err := f.Start(t.Context(), name); err == nil {
		t.Fatal("it started")
	}
	f.state(name, "failed/failed")
	f.load(name, sleeps)
	u := f.view.wait(t, name, "with the new file", func(u agent.Observed) bool { return u.Hash == hash(sleeps) })
	if u.ActiveState == "failed" {
		t.Errorf("with its new file it shows the old one's failure: %+v", u)
	}
	f.start(name)
	f.state(name, "active/running")
	f.stop(name)
	f.load(name, fails)
	if err := f.Start(t.Context(), name); err == nil {
		t.Fatal("it started from the old file")
	}
	f.unload(name)
	f.load(name, sleeps)
	f.start(name)
	f.state(name, "active/running")
}

func testInvocationPerStart(t *testing.T, f *fixture) {
	const name = "runnertest-invocation.service"
	f.load(name, sleeps)
	seen := map[string]bool{}
	for range 3 {
		f.start(name)
		u := f.view.wait(t, name, "running anew", func(u agent.Observed) bool {
			return u.ActiveState == "active" && !seen[u.InvocationID]
		})
		seen[u.InvocationID] = true
		f.stop(name)
	}
}

func testOneshot(t *testing.T, f *fixture) {
	f.load("runnertest-once.service", once)
	f.start("runnertest-once.service")
	u := f.view.wait(t, "runnertest-once.service", "done", func(u agent.Observed) bool {
		return u.ActiveState == "inactive" && u.InvocationID != ""
	})
	if u.SubState != "dead" || u.Result != "success" || u.ExitStatus != 0 || !isInvocation(u.InvocationID) {
		t.Errorf("after its run it shows %+v", u)
	}
	f.load("runnertest-stays.service", stays)
	f.start("runnertest-stays.service")
	f.state("runnertest-stays.service", "active/exited")
}

func testFailingStart(t *testing.T, f *fixture) {
	const name = "runnertest-fails.service"
	f.load(name, fails)
	err := f.Start(t.Context(), name)
	if !errors.Is(err, agent.ErrFailed) {
		t.Fatalf("start of a unit that fails: %v", err)
	}
	const want = "runnertest-fails.service failed to start: exit-code, main process exited with status 1; see journalctl -u runnertest-fails.service"
	if err.Error() != want {
		t.Errorf("the user is told %q, want %q", err, want)
	}
	if u := f.state(name, "failed/failed"); u.Result != "exit-code" || u.ExitStatus != 1 {
		t.Errorf("it shows %+v", u)
	}
	if err := f.Start(t.Context(), name); !errors.Is(err, agent.ErrFailed) {
		t.Errorf("start of a unit that has failed: %v", err)
	}
	f.stop(name)
	f.unload(name)
}

// A process that ends after a successful start is only shown.
func testCrashLater(t *testing.T, f *fixture) {
	const name = "runnertest-crash.service"
	f.load(name, "[Service]\nExecStart=/bin/false\n")
	f.start(name)
	if u := f.state(name, "failed/failed"); u.Result != "exit-code" || u.ExitStatus != 1 {
		t.Errorf("it shows %+v", u)
	}
}

func testNothingToRun(t *testing.T, f *fixture) {
	const name = "runnertest-empty.service"
	f.load(name, empty)
	f.view.wait(t, name, "bad-setting", func(u agent.Observed) bool { return u.LoadState == "bad-setting" })
	err := f.Start(t.Context(), name)
	if !errors.Is(err, agent.ErrFailed) || !strings.Contains(err.Error(), "Unit "+name+" has a bad unit file setting") {
		t.Errorf("start of a unit without ExecStart: %v", err)
	}
	f.load(name, sleeps)
	f.start(name)
	f.state(name, "active/running")
}

func testNotLoaded(t *testing.T, f *fixture) {
	err := f.Start(t.Context(), "runnertest-unknown.service")
	if err == nil || errors.Is(err, agent.ErrFailed) {
		t.Errorf("start of a unit that isn't loaded: %v", err)
	}
}

func testUnloadRunning(t *testing.T, f *fixture) {
	const name = "runnertest-running.service"
	f.load(name, sleeps)
	f.start(name)
	if err := f.Unload(t.Context(), name); err == nil || !strings.Contains(err.Error(), "stop it first") {
		t.Errorf("unload of a running unit: %v", err)
	}
	if u := f.state(name, "active/running"); u.Hash != hash(sleeps) {
		t.Errorf("it shows %+v", u)
	}
}

// A start is followed by what the unit shows, also where it changed nothing.
func testToldAfterStart(t *testing.T, f *fixture) {
	const name = "runnertest-told.service"
	f.load(name, stays)
	f.start(name)
	f.state(name, "active/exited")
	before := f.view.count()
	f.start(name)
	f.view.wait(t, name, "told again", func(agent.Observed) bool { return f.view.count() > before })
}
