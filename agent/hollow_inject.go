package agent

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// HollowEvent is the beginning or the end of a unit's run on a hollow machine.
// A unit runs from the moment its start job begins.
type HollowEvent struct {
	At           time.Time
	Unit         string
	Hash         string // of the file that the run was started from
	InvocationID string
	Running      bool   // it runs from now on; false: until now
	Why          string // start; stop, exit, crash, start failed, reboot
}

// OnEvent has fn called with each event from now on, in order. It is called
// with the machine locked, so it must not call back.
func (h *Hollow) OnEvent(fn func(HollowEvent)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hook = fn
}

// History returns every event since the machine was made, oldest first.
func (h *Hollow) History() []HollowEvent {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.history)
}

// Running returns the names of the units that run, sorted: also those that are
// starting or stopping.
func (h *Hollow) Running() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var names []string
	for name, u := range h.units {
		if u.running() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Foreign gives the machine a unit of that name from elsewhere; a template's
// name stands for all of its instances too.
func (h *Hollow) Foreign(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.foreign[name] = true
}

// Crash kills the process of a running unit; else it does nothing.
func (h *Hollow) Crash(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.units[name]
	if u == nil || !u.running() {
		return
	}
	h.cancel(u, fmt.Errorf("%s %w: signal, main process was killed by signal 9; see journalctl -u %s", name, ErrFailed, name))
	h.end(u, "crash", "failed", "signal", 9)
}

// Thaw lets the job of a unit that hangs come to its end.
func (h *Hollow) Thaw(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if u := h.units[name]; u != nil && u.job != nil {
		h.finish(u, u.job)
	}
}

// Reboot stops everything at once and empties the directory of runtime units,
// as a machine's reboot does. What is foreign stays.
func (h *Hollow) Reboot() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(h.units)) {
		u := h.units[name]
		h.cancel(u, fmt.Errorf("%s: the machine was rebooted", name))
		if u.running() {
			h.end(u, "reboot", "dead", "success", 0)
		}
		h.remove(u)
	}
}

// cancel ends u's job, if it has one, without its effect.
func (h *Hollow) cancel(u *hollowUnit, err error) {
	if job := u.job; job != nil {
		job.err, u.job = err, nil
		close(job.done)
	}
}

func (h *Hollow) record(u *hollowUnit, running bool, why string) {
	e := HollowEvent{
		At: time.Now(), Unit: u.Name, Hash: u.runHash, InvocationID: u.InvocationID,
		Running: running, Why: why,
	}
	h.history = append(h.history, e)
	if h.hook != nil {
		h.hook(e)
	}
}
