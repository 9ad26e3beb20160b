package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"time"

	"fleet/unit"
)

// hollowKind is what of a unit file decides how the unit lives.
type hollowKind struct {
	suffix  string // ".service", ".timer", …
	oneshot bool
	remains bool // RemainAfterExit=yes
	fails   bool // its program is false(1)
}

// readHollow reads from a file what a hollow unit needs. A service that has
// nothing to run is refused, as systemd does (systemd.service(5)).
func readHollow(name, text string) (hollowKind, error) {
	kind := hollowKind{suffix: path.Ext(name)}
	if kind.suffix != ".service" {
		return kind, nil
	}
	f, err := unit.Parse([]byte(text))
	if err != nil {
		return kind, err
	}
	kind.oneshot = f.Value("Service", "Type") == "oneshot"
	switch strings.ToLower(f.Value("Service", "RemainAfterExit")) {
	case "yes", "true", "on", "1", "y", "t":
		kind.remains = true
	}
	runs := f.Values("Service", "ExecStart")
	kind.fails = len(runs) > 0 && path.Base(runs[len(runs)-1]) == "false"
	if runs == nil && (f.Values("Service", "ExecStop") == nil || !kind.remains) {
		return kind, fmt.Errorf(`%s %w: systemd says "Unit %s has a bad unit file setting."; see journalctl -u %s`,
			name, ErrFailed, name, name)
	}
	return kind, nil
}

// begin starts a run of u: from here on it counts as running.
func (h *Hollow) begin(u *hollowUnit, kind hollowKind) {
	h.runs++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", u.Name, h.runs))
	u.InvocationID = hex.EncodeToString(sum[:16])
	u.ActiveState, u.SubState, u.Result, u.ExitStatus = "activating", "start", "success", 0
	u.runHash, u.remains = u.hash, kind.remains
	h.record(u, true, "start")
	h.changed(u)
}

// started ends u's start job.
func (h *Hollow) started(u *hollowUnit, kind hollowKind, b Behavior) {
	if kind.fails && b.ExitStatus == 0 {
		b.ExitStatus, b.RunsFor = 1, max(b.RunsFor, time.Millisecond)
	}
	switch {
	case b.StartFails != "":
		u.job.err = fmt.Errorf("%s %w: %s", u.Name, ErrFailed, b.StartFails)
		h.end(u, "start failed", "failed", "exit-code", max(b.ExitStatus, 1))
	case kind.oneshot && b.ExitStatus != 0:
		u.job.err = fmt.Errorf("%s %w: exit-code, main process exited with status %d; see journalctl -u %s",
			u.Name, ErrFailed, b.ExitStatus, u.Name)
		h.end(u, "start failed", "failed", "exit-code", b.ExitStatus)
	case kind.oneshot:
		h.exited(u, 0)
	default:
		u.ActiveState, u.SubState = "active", activeSub(kind.suffix)
		h.changed(u)
		if b.RunsFor > 0 && kind.suffix == ".service" {
			h.exitAfter(u, b.RunsFor, b.ExitStatus)
		}
	}
}

// activeSub is the sub state of a unit that has been started.
func activeSub(suffix string) string {
	switch suffix {
	case ".service":
		return "running"
	case ".timer", ".path", ".automount":
		return "waiting"
	case ".socket":
		return "listening"
	case ".mount":
		return "mounted"
	}
	return "active"
}

// exitAfter lets u's process exit by itself, unless this run is over by then.
func (h *Hollow) exitAfter(u *hollowUnit, d time.Duration, status int) {
	invocation := u.InvocationID
	time.AfterFunc(d, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if u.InvocationID == invocation && u.ActiveState == "active" {
			h.exited(u, status)
		}
	})
}

// exited is the end of u's process with a status.
func (h *Hollow) exited(u *hollowUnit, status int) {
	switch {
	case status != 0:
		h.end(u, "exit", "failed", "exit-code", status)
	case u.remains:
		u.ActiveState, u.SubState = "active", "exited"
		h.changed(u)
	default:
		h.end(u, "exit", "dead", "success", 0)
	}
}

// end ends the run of u. sub is dead or failed.
func (h *Hollow) end(u *hollowUnit, why, sub, result string, status int) {
	u.ActiveState, u.SubState = "inactive", sub
	if sub == "failed" {
		u.ActiveState = "failed"
	}
	u.Result, u.ExitStatus = result, status
	h.record(u, false, why)
	h.changed(u)
}

// remove takes u's file away and, as it does not run, all else.
func (h *Hollow) remove(u *hollowUnit) {
	u.text, u.hash = "", ""
	u.LoadState, u.ActiveState, u.SubState = "not-found", "inactive", "dead"
	u.InvocationID, u.Result, u.ExitStatus = "", "", 0
	h.changed(u)
	delete(h.units, u.Name)
}
