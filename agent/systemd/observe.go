package systemd

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	sd "github.com/coreos/go-systemd/v22/dbus"

	"fleet/agent"
)

const (
	// settle is how long signals are collected before they are followed up: a
	// start or a stop sends a dozen.
	settle = 5 * time.Millisecond
	// fewNames is up to how many units are asked for by name: systemd compares
	// each of its own with each name.
	fewNames = 50
	// everything is how often all units are read and told again.
	everything = time.Minute
)

// errLost is why Observe ends by itself.
var errLost = errors.New("the connection to systemd was lost")

// touched tells every Observe that a call has done something about a unit.
func (r *Runner) touched(name string) {
	r.mu.Lock()
	watchers := slices.Collect(maps.Keys(r.watchers))
	r.mu.Unlock()
	for _, w := range watchers {
		w.touch(name)
	}
}

// Observe implements agent.Runner.
func (r *Runner) Observe(ctx context.Context, fn func(agent.Observation)) error {
	w := newWatcher()
	r.mu.Lock()
	r.watchers[w] = true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.watchers, w)
		r.mu.Unlock()
	}()
	events, err := r.bus.events(r.life, w.signal)
	if err != nil {
		return fmt.Errorf("observe: %w", err)
	}
	defer events.Close()

	o := &observer{r: r, w: w, seen: map[string]agent.Observed{}, states: map[string]loadState{}, fn: fn}
	if err := o.all(ctx); err != nil {
		return fmt.Errorf("observe: %w", err)
	}
	again := time.NewTicker(everything)
	defer again.Stop()
	var late <-chan time.Time // set while changes are being collected
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-events.Context().Done():
			return fmt.Errorf("observe: %w", errLost)
		case <-w.wake:
			if late == nil {
				late = time.After(settle)
			}
		case <-late:
			late = nil
			err = o.changes(ctx)
		case <-again.C:
			err = o.all(ctx)
		}
		if err != nil {
			return fmt.Errorf("observe: %w", err)
		}
	}
}

// observer is what one Observe has told so far.
type observer struct {
	r      *Runner
	w      *watcher
	seen   map[string]agent.Observed
	states map[string]loadState
	fn     func(agent.Observation)
}

// loadState is what systemd made of a file when it was asked.
type loadState struct{ hash, state string }

// all reads and tells every unit, and once more those that are gone. What was
// touched while it read is read again while nothing else can be touched.
func (o *observer) all(ctx context.Context) error {
	o.w.take()
	names, err := o.r.files.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		o.w.follow(name)
	}
	there := set(names)
	for name := range o.seen {
		if !there[name] {
			names = append(names, name)
		}
	}
	units, err := o.read(ctx, names)
	if err != nil {
		return err
	}
	told := o.update(units)
	o.w.telling.Lock()
	defer o.w.telling.Unlock()
	names, _, _ = o.w.take()
	if units, err = o.read(ctx, names); err != nil {
		return err
	}
	told = append(told, o.update(units)...)
	gone := slices.DeleteFunc(told, func(u agent.Observed) bool { return u.Hash != "" || o.seen[u.Name].Hash != "" })
	if len(gone) > 0 {
		o.fn(agent.Observation{Units: gone})
	}
	o.fn(agent.Observation{All: true, Units: slices.Collect(maps.Values(o.seen))})
	return nil
}

// changes reads the units that may have changed and tells those that have, and
// those that a call has touched. What was touched while it read is left for the
// next time.
func (o *observer) changes(ctx context.Context) error {
	names, all, touched := o.w.take()
	if all {
		return o.all(ctx)
	}
	units, err := o.read(ctx, names)
	if err != nil {
		return err
	}
	o.w.telling.Lock()
	defer o.w.telling.Unlock()
	units = slices.DeleteFunc(units, func(u agent.Observed) bool { return o.w.isTouched(u.Name) })
	told := o.update(units)
	for _, u := range units {
		if touched[u.Name] && u.Hash != "" && !slices.Contains(told, u) {
			told = append(told, u)
		}
	}
	if len(told) > 0 {
		o.fn(agent.Observation{Units: told})
	}
	return nil
}

// update takes in what was read and returns what of it is new.
func (o *observer) update(units []agent.Observed) []agent.Observed {
	var changed []agent.Observed
	for _, u := range units {
		before, known := o.seen[u.Name]
		switch {
		case u.Hash == "":
			o.drop(u.Name)
			if known {
				changed = append(changed, u)
			}
		case u != before:
			o.w.follow(u.Name)
			o.seen[u.Name] = u
			changed = append(changed, u)
		}
	}
	return changed
}

func set(names []string) map[string]bool {
	in := make(map[string]bool, len(names))
	for _, name := range names {
		in[name] = true
	}
	return in
}

// drop forgets a unit whose file is no longer there.
func (o *observer) drop(name string) {
	o.w.drop(name)
	delete(o.seen, name)
	delete(o.states, name)
}

// read reads what systemd shows of units, before it looks at their files: of a
// file that is being replaced it may tell the old one's state with the new
// one's hash, never the reverse, which would look like a unit to restart.
func (o *observer) read(ctx context.Context, names []string) ([]agent.Observed, error) {
	if len(names) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	conn, err := o.r.systemd(ctx)
	if err != nil {
		return nil, err
	}
	var patterns []string // none: everything that systemd has
	if len(names) <= fewNames {
		patterns = names
	}
	rows, err := conn.ListUnitsByPatternsContext(ctx, nil, patterns)
	if err != nil {
		return nil, err
	}
	inMemory := make(map[string]sd.UnitStatus, len(rows))
	for _, row := range rows {
		inMemory[row.Name] = row
	}
	units := make([]agent.Observed, len(names))
	for i, name := range names {
		row, ok := inMemory[name]
		if units[i], err = o.readUnit(ctx, conn, name, row, ok); err != nil {
			return nil, err
		}
	}
	return units, nil
}

// readUnit reads one unit; row is what systemd has in memory of it, if ok.
func (o *observer) readUnit(ctx context.Context, conn *sd.Conn, name string, row sd.UnitStatus, ok bool) (agent.Observed, error) {
	u := agent.Observed{Name: name, Hash: o.r.files.hash(name), Result: "success"}
	if !ok {
		var err error
		u.ActiveState, u.SubState, u.InvocationID = "inactive", "dead", o.w.invocationOf(name)
		u.LoadState, err = o.loadState(ctx, conn, name, u.Hash)
		return u, err
	}
	u.LoadState, u.ActiveState, u.SubState = row.LoadState, row.ActiveState, row.SubState
	id, err := property[[]byte](ctx, conn, name, "Unit", "InvocationID")
	if err != nil {
		return u, err
	}
	if u.InvocationID = hex.EncodeToString(id); len(id) == 0 {
		u.InvocationID = o.w.invocationOf(name)
	}
	if row.ActiveState == "failed" || row.ActiveState == "inactive" || strings.HasPrefix(row.SubState, "auto-restart") {
		last, err := lastRun(ctx, conn, name)
		if err != nil {
			return u, err
		}
		u.Result, u.ExitStatus = last.result, int(last.status)
	}
	return u, nil
}

// loadState returns what systemd makes of a file that it doesn't hold in
// memory. It is asked once for each file, as it has to read it for that.
func (o *observer) loadState(ctx context.Context, conn *sd.Conn, name, hash string) (string, error) {
	if hash == "" {
		return "not-found", nil
	}
	if s, ok := o.states[name]; ok && s.hash == hash {
		return s.state, nil
	}
	rows, err := conn.ListUnitsByNamesContext(ctx, []string{name})
	if err != nil || len(rows) == 0 {
		return "", err
	}
	o.states[name] = loadState{hash: hash, state: rows[0].LoadState}
	return rows[0].LoadState, nil
}
