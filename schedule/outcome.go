package schedule

import (
	"maps"
	"slices"
	"strings"
)

// Outcome is what follows, each list in the order of the units' names.
type Outcome struct {
	Lost      []string // the machines, by ID
	Added     []string
	Placed    []Move // units that were on no machine
	Moved     []Move
	Restarted []Move // they stay where they are, with another file
	Stopped   []Move // they belong on the machine, or on any, no more
	Pending   []Waiting
	// Restless says that there was no end of it: what is told is how far it got.
	Restless bool
}

// Move is a unit that is on another machine than before.
type Move struct {
	Unit   string `json:"unit"`
	From   string `json:"from,omitempty"` // "" where it was on none
	To     string `json:"to,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Waiting is a unit that belongs on a machine and has none.
type Waiting struct {
	Unit   string
	From   string // the machine that it was on
	Before bool   // it had none before either
	Reason string // "" where there are too many to look into each
}

// tell compares how units were with how they are.
func (s *simulation) tell(out *Outcome) {
	for _, name := range slices.Sorted(maps.Keys(s.before)) {
		was := s.before[name]
		if n := s.c.units[name]; n != nil && n.global() {
			s.tellGlobal(out, name, was)
			continue
		}
		s.tellOne(out, name, was)
	}
}

func (s *simulation) tellOne(out *Outcome, name string, was *past) {
	from, to := at(s, was.runs), at(s, s.runs(name))
	m := Move{Unit: name, Reason: was.reason}
	if from != nil {
		m.From = from.MachineID
	}
	if to != nil {
		m.To = to.MachineID
	}
	n := s.c.units[name]
	switch {
	case m.From == "" && m.To == "":
	case m.From == "":
		out.Placed = append(out.Placed, m)
	case m.To == "":
		if n == nil || !n.wanted() {
			out.Stopped = append(out.Stopped, m)
		}
	case m.From != m.To:
		out.Moved = append(out.Moved, m)
	case from.Hash != to.Hash:
		out.Restarted = append(out.Restarted, m)
	}
}

// at returns the placement that says where a unit is, or was before its machine
// was lost.
func at(s *simulation, runs []Placement) *Placement {
	if len(runs) == 0 {
		return nil
	}
	best := slices.IndexFunc(runs, func(p Placement) bool {
		m := s.c.machines[p.MachineID]
		return m != nil && m.facts.here
	})
	return &runs[max(best, 0)]
}

func (s *simulation) tellGlobal(out *Outcome, name string, was *past) {
	is := s.runs(name)
	on := func(runs []Placement, id string) *Placement {
		i := slices.IndexFunc(runs, func(p Placement) bool { return p.MachineID == id })
		if i < 0 {
			return nil
		}
		return &runs[i]
	}
	for _, p := range is {
		old := on(was.runs, p.MachineID)
		switch {
		case old == nil:
			out.Placed = append(out.Placed, Move{Unit: name, To: p.MachineID, Reason: p.Reason})
		case old.Hash != p.Hash:
			out.Restarted = append(out.Restarted, Move{name, p.MachineID, p.MachineID, was.reason})
		}
	}
	for _, p := range was.runs {
		if on(is, p.MachineID) == nil {
			out.Stopped = append(out.Stopped, Move{Unit: name, From: p.MachineID, Reason: was.reason})
		}
	}
}

// unplaced returns the units that belong on a machine and are on none.
func (s *simulation) unplaced() map[string]bool {
	names := make(map[string]bool)
	for name, n := range s.c.units {
		if n.wanted() && !n.placed() && !n.isTemplate() && !n.finished() {
			names[name] = true
		}
	}
	return names
}

// maxChecks bounds how often a unit is tried on a machine to say why it doesn't
// fit: a second or two.
const maxChecks = 20_000_000

func (s *simulation) tellPending(out *Outcome, before map[string]bool) {
	look := max(100, maxChecks/max(1, len(s.c.machines)))
	for _, name := range slices.Sorted(maps.Keys(s.unplaced())) {
		w := Waiting{Unit: name, Before: before[name]}
		if look > 0 {
			look--
			e := s.c.Explain(name)
			if !e.Pending {
				continue
			}
			w.Reason = e.Summary
		}
		if at := s.c.units[name].running(); at != nil {
			w.From = at.machine.id
			w.Reason = strings.TrimPrefix(w.Reason, onLost(w.From))
		}
		out.Pending = append(out.Pending, w)
	}
}
