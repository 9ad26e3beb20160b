package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"fleet/unit"
)

// Hollow is a Runner with nothing in it: units live in memory, behave as they
// are told to and obey the rules that systemd's obey. It stands for a machine,
// so it outlives any agent that uses it; Reboot is what empties it.
//
// It reads the time from package time, starts no goroutine and holds no lock
// while it waits, so that it works in a testing/synctest bubble and outside,
// for hundreds of machines with hundreds of units each.
type Hollow struct {
	behave func(name string) Behavior

	mu        sync.Mutex
	units     map[string]*hollowUnit
	foreign   map[string]bool
	observers map[*hollowObserver]bool
	history   []HollowEvent
	hook      func(HollowEvent)
	runs      int // ever begun, for the invocation IDs
}

// Behavior is how one hollow unit behaves. The zero value starts at once, runs
// until it is stopped and stops at once, but for a service whose program is
// false(1), which exits with status 1.
type Behavior struct {
	StartTakes time.Duration // the start job's length; of a oneshot, its run
	StartFails string        // the start job fails, in these words
	StartHangs bool          // the start job lasts until Thaw, Stop or Reboot
	RunsFor    time.Duration // the process exits after so long; 0: never
	ExitStatus int           // what it exits with; of a oneshot too
	StopTakes  time.Duration
	StopHangs  bool // the stop job lasts until Thaw or Reboot
}

// NewHollow returns an empty machine. behave is asked, by the unit's name, each
// time that a unit is started or stopped; nil stands for the zero Behavior.
func NewHollow(behave func(name string) Behavior) *Hollow {
	if behave == nil {
		behave = func(string) Behavior { return Behavior{} }
	}
	return &Hollow{
		behave:    behave,
		units:     map[string]*hollowUnit{},
		foreign:   map[string]bool{},
		observers: map[*hollowObserver]bool{},
	}
}

// hollowUnit is a unit that has a file, or runs on without one.
type hollowUnit struct {
	text, hash string
	Observed          // what it shows, but for the hash
	runHash    string // of the file that the current run was started from
	remains    bool   // RemainAfterExit=yes in that file
	job        *hollowJob
}

// hollowJob is a start or stop under way. Whoever finishes it sets err and
// closes done; superseded, it is no longer its unit's job and finishes nothing.
type hollowJob struct {
	done   chan struct{}
	err    error
	start  bool
	finish func() // what happens at its end, with Hollow.mu held
}

// Load implements Runner.
func (h *Hollow) Load(ctx context.Context, name, text string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	defer h.returning()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.isForeign(name) {
		return fmt.Errorf("load %s: %w", name, ErrForeign)
	}
	u := h.units[name]
	if u == nil {
		u = &hollowUnit{Observed: Observed{Name: name, ActiveState: "inactive", SubState: "dead", Result: "success"}}
		h.units[name] = u
	}
	sum := sha256.Sum256([]byte(text))
	hash := hex.EncodeToString(sum[:])
	if u.hash == hash {
		return nil
	}
	u.text, u.hash = text, hash
	u.LoadState = "loaded"
	if _, err := readHollow(name, text); err != nil {
		u.LoadState = "bad-setting"
	}
	if u.ActiveState == "failed" {
		u.ActiveState, u.SubState, u.Result, u.ExitStatus = "inactive", "dead", "success", 0
	}
	h.changed(u)
	return nil
}

// Start implements Runner. When ctx ends the job goes on, as in systemd.
func (h *Hollow) Start(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	defer h.returning()
	b := h.behave(name)
	h.mu.Lock()
	job, err := h.startJob(name, b)
	if u := h.units[name]; u != nil && job == nil && err == nil {
		h.changed(u)
	}
	h.mu.Unlock()
	if job == nil {
		return err
	}
	return job.wait(ctx, "start", name)
}

// startJob returns the job to wait for; nil when there is nothing to wait for.
// It begins a run of what can be started.
func (h *Hollow) startJob(name string, b Behavior) (*hollowJob, error) {
	u := h.units[name]
	if u == nil || u.hash == "" {
		if h.isForeign(name) {
			return nil, fmt.Errorf("start %s: %w", name, ErrForeign)
		}
		return nil, fmt.Errorf("start %s: the unit is not loaded", name)
	}
	switch {
	case u.job != nil && u.job.start:
		return u.job, nil
	case u.job == nil && u.running():
		return nil, nil
	}
	kind, err := readHollow(name, u.text)
	if err != nil {
		return nil, err
	}
	if u.running() { // a stop is under way: the new job takes its place
		h.end(u, "stop", "dead", "success", 0)
	}
	h.begin(u, kind)
	return h.run(u, b.StartTakes, b.StartHangs, true, func() { h.started(u, kind, b) }), nil
}

// Stop implements Runner.
func (h *Hollow) Stop(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	defer h.returning()
	b := h.behave(name)
	h.mu.Lock()
	u := h.units[name]
	if u == nil || !u.running() {
		h.mu.Unlock()
		return nil
	}
	job := u.job
	if job == nil || job.start {
		u.ActiveState, u.SubState = "deactivating", "stop-sigterm"
		h.changed(u)
		job = h.run(u, b.StopTakes, b.StopHangs, false, func() { h.end(u, "stop", "dead", "success", 0) })
	}
	h.mu.Unlock()
	return job.wait(ctx, "stop", name)
}

// Unload implements Runner.
func (h *Hollow) Unload(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	defer h.returning()
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.units[name]
	if u == nil || u.hash == "" {
		return nil
	}
	if u.running() {
		return fmt.Errorf("unload %s: it is %s, stop it first", name, u.ActiveState)
	}
	h.remove(u)
	return nil
}

// run makes a job of u, in place of one that it has, and finishes it after d.
func (h *Hollow) run(u *hollowUnit, d time.Duration, hangs, start bool, finish func()) *hollowJob {
	if u.job != nil {
		u.job.err = fmt.Errorf("the job of %s was canceled, another took its place", u.Name)
		close(u.job.done)
	}
	job := &hollowJob{done: make(chan struct{}), start: start, finish: finish}
	u.job = job
	switch {
	case hangs:
	case d > 0:
		time.AfterFunc(d, func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.finish(u, job)
		})
	default:
		h.finish(u, job)
	}
	return job
}

func (h *Hollow) finish(u *hollowUnit, job *hollowJob) {
	if u.job != job {
		return
	}
	job.finish()
	u.job = nil
	close(job.done)
}

func (j *hollowJob) wait(ctx context.Context, verb, name string) error {
	select {
	case <-j.done:
	case <-ctx.Done():
		return fmt.Errorf("%s %s: %w", verb, name, ctx.Err())
	}
	return j.err
}

func (h *Hollow) isForeign(name string) bool {
	if h.foreign[name] {
		return true
	}
	n, err := unit.ParseName(name)
	return err == nil && n.IsInstance() && h.foreign[n.Template()]
}

// running says that systemd would hold something of it running.
func (u *hollowUnit) running() bool { return u.ActiveState != "inactive" && u.ActiveState != "failed" }
