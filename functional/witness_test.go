package functional

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"fleet/agent"
	"fleet/registry"
	"fleet/schedule"
	"fleet/unit"
)

// witness follows a simulated cluster's store and its machines and notes
// whatever the promises rule out.
type witness struct {
	s *simulation

	mu      sync.Mutex
	at      map[string]map[string]schedule.Placement // by unit and machine ID, as the store has them now
	states  map[string]map[string]unit.State
	live    map[string]bool
	drained map[string]drained
	orders  []given
	runs    map[string]map[string]agent.HollowEvent // that go on, by unit and machine ID
	wishes  map[string]*wish
	parted  map[string]time.Time // since when machines have no way to the store
	ended   []run                // not judged yet
	wrong   []string
}

// drained is whether a machine is being drained, and when it last was.
type drained struct {
	is    bool
	ended time.Time
}

// run is one run of a unit on a machine that is over.
type run struct {
	unit, machine, hash string
	began, ended        time.Time
}

// given is one version of a placement, with why a release was in order.
type given struct {
	schedule.Placement
	at     time.Time
	excuse string // of a release: what gave the right to it, empty for nothing
}

// wish is what the user wants of one unit.
type wish struct {
	target  unit.TargetState // "": destroyed
	hash    string
	global  bool
	asked   []time.Time // when the user did something that may stop it
	bound   string      // the unit that it has to share a machine with
	choosy  bool        // its file may ask for another machine
	hostile bool        // it conflicts with others
}

func watchOver(ctx context.Context, s *simulation) *witness {
	w := &witness{
		s: s, runs: map[string]map[string]agent.HollowEvent{},
		wishes: map[string]*wish{}, parted: map[string]time.Time{},
	}
	w.forget()
	for _, m := range s.machines {
		m.runner.OnEvent(func(e agent.HollowEvent) { w.event(m, e) })
	}
	reg := registry.New(s.store.Client("witness"), "", s.log)
	go func() {
		for ctx.Err() == nil {
			_ = reg.Follow(ctx, func(u schedule.Update) error { w.take(u); return nil })
			select {
			case <-ctx.Done():
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return w
}

func (w *witness) forget() {
	w.at = map[string]map[string]schedule.Placement{}
	w.states = map[string]map[string]unit.State{}
	w.live = map[string]bool{}
	w.drained = map[string]drained{}
}

func (w *witness) blame(format string, args ...any) {
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

// take goes through what was written, record by record.
func (w *witness) take(u schedule.Update) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if u.Snapshot {
		w.forget()
	}
	// A machine's presence first: what one transaction or one snapshot holds
	// has no order.
	for _, c := range u.Changes {
		switch {
		case c.Presence != nil && u.Snapshot:
			w.live[c.Presence.MachineID] = true
		case c.State != nil && u.Snapshot:
			set(w.states, c.State.Name, c.State.MachineID, *c.State)
		}
	}
	touched := map[string]bool{}
	for i, c := range u.Changes {
		switch {
		case c.Presence != nil:
			w.live[c.Presence.MachineID] = !c.Deleted
		case c.Label != nil:
			w.label(*c.Label)
		case c.State != nil && c.Deleted:
			delete(w.states[c.State.Name], c.State.MachineID)
		case c.State != nil:
			set(w.states, c.State.Name, c.State.MachineID, *c.State)
		case c.Placement != nil && c.Deleted:
			delete(w.at[c.Placement.Unit], c.Placement.MachineID)
		case c.Placement != nil:
			if !u.Snapshot {
				w.placed(*c.Placement)
			} else {
				w.orders = append(w.orders, given{Placement: *c.Placement, at: time.Now(), excuse: "in a snapshot"})
			}
			set(w.at, c.Placement.Unit, c.Placement.MachineID, *c.Placement)
			touched[c.Placement.Unit] = true
		}
		if i+1 == len(u.Changes) || u.Changes[i+1].Revision != c.Revision {
			w.onePlace(touched)
		}
	}
}

func (w *witness) label(l schedule.Label) {
	was := w.drained[l.MachineID]
	if was.is && !l.Draining {
		was.ended = time.Now()
	}
	w.drained[l.MachineID] = drained{l.Draining, was.ended}
}

func set[T any](m map[string]map[string]T, a, b string, v T) {
	if m[a] == nil {
		m[a] = map[string]T{}
	}
	m[a][b] = v
}

// onePlace checks that no unit that is not global has two run placements.
func (w *witness) onePlace(units map[string]bool) {
	for name := range units {
		n := 0
		for _, p := range w.at[name] {
			if p.Order == schedule.Run {
				n++
			}
		}
		if n > 1 && !w.wishes[name].global {
			w.blame("%s has %d run placements", name, n)
		}
	}
	clear(units)
}

// placed judges one placement as it is written.
func (w *witness) placed(p schedule.Placement) {
	was, g := w.at[p.Unit][p.MachineID], given{Placement: p, at: time.Now()}
	_, runs := w.runs[p.Unit][p.MachineID] // on from when it was lost, as elsewhere perhaps
	switch {
	case p.Order == schedule.Run && p.Target == unit.Launched && was.Order != schedule.Run && !w.wishes[p.Unit].global && !runs:
		for machine := range w.runs[p.Unit] {
			if machine != p.MachineID && w.live[machine] {
				w.blame("%s is placed on %s while %s is there and runs it", p.Unit, short(p.MachineID), short(machine))
			}
		}
		w.apart(p)
	case p.Order == schedule.Release && was.Order != schedule.Release:
		if g.excuse = w.excuse(p); g.excuse == "" {
			w.blame("%s is released on %s for no good reason: %s", p.Unit, short(p.MachineID), p.Reason)
		}
	}
	w.orders = append(w.orders, g)
}

// apart checks that no unit is placed where one is placed that it conflicts
// with.
func (w *witness) apart(p schedule.Placement) {
	if !w.wishes[p.Unit].hostile {
		return
	}
	for name, at := range w.at {
		if o := at[p.MachineID]; name != p.Unit && o.Order == schedule.Run && w.wishes[name].hostile {
			w.blame("%s is placed on %s beside %s", p.Unit, short(p.MachineID), name)
		}
	}
}

// excuse is what gives the right to a release, empty for nothing.
func (w *witness) excuse(p schedule.Placement) string {
	wish := w.wishes[p.Unit]
	if !wish.target.AtLeast(unit.Loaded) || wish.lately(time.Now().Add(-simTTL)) {
		return "the user asked for it"
	}
	for machine, o := range w.at[p.Unit] {
		if st := w.states[p.Unit][machine]; machine != p.MachineID && o.Order == schedule.Run &&
			st.Generation == o.Generation && st.Reached.AtLeast(o.Target) {
			return "it was replaced"
		}
	}
	if d := w.drained[p.MachineID]; d.is || time.Since(d.ended) < simTTL {
		return "its machine is drained"
	}
	if wish.choosy || wish.hostile || wish.bound != "" {
		return "it may no longer fit"
	}
	return ""
}

func (w *wish) lately(since time.Time) bool {
	return slices.ContainsFunc(w.asked, func(t time.Time) bool { return !t.Before(since) })
}

// event judges the beginning and the end of a run.
func (w *witness) event(m *simMachine, e agent.HollowEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.Running {
		if t, ok := w.parted[m.id]; ok && time.Since(t) > simTTL {
			w.blame("%s starts on %s, which has been out of contact for %v", e.Unit, short(m.id), time.Since(t))
		}
		set(w.runs, e.Unit, m.id, e)
		return
	}
	began := w.runs[e.Unit][m.id]
	delete(w.runs[e.Unit], m.id)
	if e.Why == "reboot" {
		return
	}
	if e.Why != "stop" {
		w.blame("%s ended on %s: %s", e.Unit, short(m.id), e.Why)
		return
	}
	w.ended = append(w.ended, run{e.Unit, m.id, began.Hash, began.At, e.At})
}

// judge looks for what gave the right to end a run: the last version of its
// placement before the run, or one since.
func (w *witness) judge(r run) {
	for _, g := range slices.Backward(w.orders) {
		if g.Unit != r.unit || g.MachineID != r.machine || g.at.After(r.ended) {
			continue
		}
		if g.Order == schedule.Release && g.excuse != "" || g.Target != unit.Launched || g.Hash != r.hash {
			return
		}
		if g.at.Before(r.began) {
			break
		}
	}
	w.blame("%s is stopped on %s for no reason in the store", r.unit, short(r.machine))
}

func short(machine string) string { return "m" + machine[31:] }

// wrongs tells what has gone wrong so far. Everything that has happened must
// have been told: synctest.Wait comes before.
func (w *witness) wrongs() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.ended {
		w.judge(r)
	}
	w.ended = nil
	return slices.Clone(w.wrong)
}
