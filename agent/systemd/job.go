package systemd

import (
	"context"
	"errors"
	"fmt"
	"time"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"

	"fleet/agent"
)

// pollTime is how often a job that is awaited is looked after: whether its
// result can still come, and if it can't, whether the job is still there.
const pollTime = time.Second

// Start implements agent.Runner.
func (r *Runner) Start(ctx context.Context, name string) error {
	defer r.touched(name)
	if !r.files.has(name) {
		if err := r.checkForeignFile(name); err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
		return fmt.Errorf("start %s: it is not loaded", name)
	}
	conn, err := r.systemd(ctx)
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	active, err := r.prepare(ctx, conn, name)
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	if active {
		return nil
	}
	result, err := r.job(ctx, conn, name, conn.StartUnitContext)
	switch {
	case err != nil:
		return refusal(name, err)
	case result == "done" || result == "skipped":
		return nil
	case result == "canceled":
		return fmt.Errorf("start %s: the job was canceled, another took its place", name)
	}
	return fmt.Errorf("%s %w: %s; see journalctl -u %s", name, agent.ErrFailed, r.ending(ctx, name, result), name)
}

// prepare sees to it that systemd starts the unit from the file in place, and
// reports whether it runs already.
func (r *Runner) prepare(ctx context.Context, conn *sd.Conn, name string) (active bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if err := r.checkForeign(ctx, conn, name); err != nil {
		return false, err
	}
	row, ok, err := inMemory(ctx, conn, name)
	if err != nil || !ok {
		return false, err
	}
	switch row.ActiveState {
	case "active", "reloading":
		return true, nil
	case "activating":
		return false, nil
	}
	stale, err := r.isStale(ctx, conn, name)
	if err != nil || !stale {
		return false, err
	}
	return false, r.reloader.do(ctx)
}

// refusal is why systemd would not even try.
func refusal(name string, err error) error {
	var e dbus.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("start %s: %w", name, err)
	}
	switch e.Name {
	case "org.freedesktop.systemd1.BadUnitSetting", "org.freedesktop.systemd1.LoadFailed":
		return fmt.Errorf("%s %w: systemd says %q; see journalctl -u %s", name, agent.ErrFailed, e.Error(), name)
	}
	return fmt.Errorf("start %s: systemd says %q", name, e.Error())
}

// Stop implements agent.Runner.
func (r *Runner) Stop(ctx context.Context, name string) error {
	defer r.touched(name)
	if err := r.stop(ctx, name); err != nil {
		return fmt.Errorf("stop %s: %w", name, err)
	}
	return nil
}

func (r *Runner) stop(ctx context.Context, name string) error {
	conn, err := r.systemd(ctx)
	if err != nil {
		return err
	}
	row, ok, err := inMemory(ctx, conn, name)
	if err != nil || !ok || !running(row) {
		return err
	}
	if ours, err := r.isOurs(ctx, conn, name); err != nil || !ours {
		return err
	}
	result, err := r.job(ctx, conn, name, conn.StopUnitContext)
	if err != nil || result == "done" {
		return err
	}
	// A stop that ended badly has stopped the unit all the same, or not.
	if conn, err = r.systemd(ctx); err != nil {
		return err
	}
	row, ok, err = inMemory(ctx, conn, name)
	if err != nil || !ok || !running(row) {
		return err
	}
	return fmt.Errorf("the job ended as %s and it is %s; see journalctl -u %s", result, row.ActiveState, name)
}

// queue is how a job is asked for.
type queue func(ctx context.Context, name, mode string, result chan<- string) (int, error)

// job queues a job and waits for its result, one of those of JobRemoved in
// org.freedesktop.systemd1(5). When ctx ends the job goes on. How long a job
// may take is for the unit's file to say.
func (r *Runner) job(ctx context.Context, conn *sd.Conn, name string, ask queue) (string, error) {
	asking, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	result := make(chan string, 1)
	id, err := ask(asking, name, "replace", result)
	if err != nil {
		return "", err
	}
	poll := time.NewTicker(pollTime)
	defer poll.Stop()
	for {
		select {
		case word := <-result:
			return word, nil
		case <-ctx.Done():
			return "", ctx.Err()
		case <-poll.C:
			if conn.Connected() {
				continue
			}
			// The result was for the connection that is lost.
			if word, known := r.jobGone(ctx, name, uint32(id)); known {
				return word, nil
			}
		}
	}
}

// jobGone looks whether a job has ended and judges by the unit how: its result
// can't be known any more. known is false while it goes on, and as long as
// systemd can't be asked.
func (r *Runner) jobGone(ctx context.Context, name string, id uint32) (result string, known bool) {
	conn, err := r.systemd(ctx)
	if err != nil {
		return "", false
	}
	row, ok, err := inMemory(ctx, conn, name)
	switch {
	case err != nil || row.JobId == id:
		return "", false
	case ok && row.ActiveState == "failed":
		return "failed", true
	case row.JobId != 0:
		return "canceled", true
	}
	return "done", true
}
