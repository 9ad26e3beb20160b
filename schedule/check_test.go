package schedule

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"fleet/unit"
)

// The checks know nothing of the model's indexes: they read the records.

func (h *history) placements() map[key]Placement {
	all := make(map[key]Placement)
	for k, ch := range h.records {
		if k.kind == placementKind {
			all[k] = *ch.Placement
		}
	}
	return all
}

func (h *history) state(id, name string) (unit.State, bool) {
	ch, ok := h.records[key{stateKind, id, name}]
	if !ok {
		return unit.State{}, false
	}
	return *ch.State, true
}

// checkState looks at what the store holds.
func (h *history) checkState() {
	runs := make(map[string]int)
	for _, p := range h.placements() {
		if p.Order == Run {
			runs[p.Unit]++
		}
	}
	for _, name := range unitPool {
		n := runs[name]
		switch {
		case h.isGlobal(name):
			h.spread[name] = n
		case n > max(1, h.spread[name]):
			h.rt.Fatalf("%s is to run on %d machines", name, n)
		default:
			h.spread[name] = n
		}
	}
}

// wasGlobal reports whether the unit still has several placements from when it
// was global, which end one by one.
func (h *history) wasGlobal(name string) bool { return h.spread[name] > 1 }

// checkDecision looks at a decision against the store that it was made from.
func (h *history) checkDecision(d Decision) {
	for _, w := range d.Writes {
		h.checkWrite(d, w)
		h.checkRoom(d, w.Placement.MachineID)
		if to := w.Placement.To; to != "" {
			h.checkRoom(d, to)
		}
	}
	for _, ch := range d.Others {
		h.checkOther(d, ch)
	}
}

// checkRoom counts what is reserved on the machine: a decision may add nothing
// that there is no room for.
func (h *history) checkRoom(d Decision, id string) {
	before, after, has := total(h.reserved(Decision{}, id)), total(h.reserved(d, id)), h.capacity(id)
	if after.memory > before.memory && after.memory > has.memory || after.cpu > before.cpu && after.cpu > has.cpu {
		h.rt.Fatalf("%s: %+v reserved on %s, which has %+v", d.Reason, after, id, has)
	}
}

// reserved tells what units have of a machine once the decision is written:
// what their placements say, and their files while they are only reported or
// room is kept for them.
func (h *history) reserved(d Decision, id string) map[string]amounts {
	reserved := make(map[string]amounts)
	for k, ch := range h.records {
		if k.kind == stateKind && k.machine == id && (ch.State.Active() || !ch.State.Released) {
			_, r, _ := h.record(k.unit)
			reserved[k.unit] = amounts{r.Memory, r.CPU}
		}
	}
	for k, p := range h.after(d) {
		if k.machine == id && p.Order == Release && p.For != "" && h.binding(p.For) {
			delete(reserved, p.Unit) // it has gone before that one comes
			continue
		}
		if k.machine == id && !h.hasStopped(p) {
			reserved[p.Unit] = amounts{p.Memory, p.CPU}
		}
	}
	for _, name := range h.bookedOn(d, id) {
		_, r, _ := h.record(name)
		reserved[name] = reserved[name].most(amounts{r.Memory, r.CPU})
	}
	return reserved
}

// after returns the placements once the decision is written.
func (h *history) after(d Decision) map[key]Placement {
	all := h.placements()
	for _, w := range d.Writes {
		k := key{placementKind, w.Placement.MachineID, w.Placement.Unit}
		if all[k] = w.Placement; w.Delete {
			delete(all, k)
		}
	}
	return all
}

func total(reserved map[string]amounts) (all amounts) {
	for _, a := range reserved {
		all = amounts{all.memory + a.memory, all.cpu + a.cpu}
	}
	return all
}

func (h *history) capacity(id string) amounts {
	ch, ok := h.records[key{kind: machineKind, machine: id}]
	if !ok {
		return amounts{}
	}
	m := ch.Machine
	return amounts{m.Memory - m.ReservedMemory, 1000*int64(m.CPUs) - m.ReservedCPU}
}

// hasRoom reports whether a machine that doesn't have the unit has what it
// reserves.
func (h *history) hasRoom(name, id string) bool {
	_, r, _ := h.record(name)
	used, has := total(h.reserved(Decision{}, id)), h.capacity(id)
	return (r.Memory == 0 || used.memory+r.Memory <= has.memory) && (r.CPU == 0 || used.cpu+r.CPU <= has.cpu)
}

func (h *history) checkWrite(d Decision, w Write) {
	p := w.Placement
	was, had := h.placements()[key{placementKind, p.MachineID, p.Unit}]
	if !slices.ContainsFunc(d.Units, func(u UnitAt) bool { return u.Name == p.Unit }) {
		h.rt.Fatalf("%s: doesn't depend on %s", d.Reason, p.Unit)
	}
	if !w.Delete && p.Reason == "" {
		h.rt.Fatalf("%s: a placement without a reason", d.Reason)
	}
	switch {
	case w.Delete:
		s, ok := h.state(p.MachineID, p.Unit)
		if !h.hasStopped(was) && !h.forgets(d, p.MachineID) {
			h.rt.Fatalf("%s: deletes %+v, reported %+v (%v)", d.Reason, was, s, ok)
		}
	case p.Order == Run && h.isDone(p.Unit):
		h.rt.Fatalf("%s: runs %+v, which has finished", d.Reason, p)
	case p.Order == Run && p.Finished && !was.Finished:
		h.checkFinished(d, was, p)
	case p.Order == Run && (!had || h.hasStopped(was)):
		h.checkNew(d, p)
	case p.Order == Run:
		h.checkKept(d, was, p)
	case p.Order == Held:
		h.checkHeld(d, was, p)
	case p.Order == Release:
		h.checkRelease(d, was, p)
	}
}

// hasStopped reports whether the placement is a release that its machine has
// carried out.
func (h *history) hasStopped(p Placement) bool {
	s, ok := h.state(p.MachineID, p.Unit)
	return p.Order == Release && ok && s.Released && s.Generation == p.Generation
}

// checkNew looks at a placement where there was none, or nothing is left.
func (h *history) checkNew(d Decision, p Placement) {
	if p.Generation != h.planned {
		h.rt.Fatalf("%s: generation %d at revision %d", d.Reason, p.Generation, h.planned)
	}
	if why := cmp.Or(h.unfitWith(d, p.Unit, p.MachineID), h.uneven(p.Unit, p.MachineID)); why != "" {
		h.rt.Fatalf("%s: %s", d.Reason, why)
	}
	if !h.isGlobal(p.Unit) && h.hasElsewhere(p.Unit, p.MachineID) {
		h.rt.Fatalf("%s: a machine still has %s", d.Reason, p.Unit)
	}
	for _, o := range h.placements() {
		if o.Unit == p.Unit && !h.isGlobal(p.Unit) && o.MachineID != p.MachineID && !h.hasStopped(o) && !slices.Contains(d.Gone, o.MachineID) {
			h.rt.Fatalf("%s: depends on %s being gone, and doesn't say so", d.Reason, o.MachineID)
		}
	}
}

// hasElsewhere reports whether a machine other than id, which isn't lost, has
// or should have the unit.
func (h *history) hasElsewhere(name, id string) bool {
	for k, ch := range h.records {
		if k.unit != name || k.machine == id || !h.live(k.machine) && !h.now.Before(h.c.hold) {
			continue
		}
		switch k.kind {
		case placementKind:
			if !h.hasStopped(*ch.Placement) {
				return true
			}
		case stateKind:
			if ch.State.Active() || !ch.State.Released {
				return true
			}
		}
	}
	return false
}

// checkKept looks at a placement that goes on running, or runs again.
func (h *history) checkKept(d Decision, was, p Placement) {
	u, _, _ := h.record(p.Unit)
	switch {
	case was.Order == Release:
		h.rt.Fatalf("%s: takes back the release of %+v", d.Reason, was)
	case p.Hash != was.Hash && p.Hash != u.Hash, p.Target != was.Target && p.Target != u.DesiredState:
		h.rt.Fatalf("%s: from %+v to %+v, wanted %+v", d.Reason, was, p, u)
	case (p.Hash != was.Hash || p.Target != was.Target) && p.Generation != h.planned:
		h.rt.Fatalf("%s: changes without a new generation: %+v", d.Reason, p)
	case p.Hash == was.Hash && p.Target == was.Target && p.Generation != was.Generation:
		h.rt.Fatalf("%s: restarts without a reason: %+v to %+v", d.Reason, was, p)
	}
}

func (h *history) checkHeld(d Decision, was, p Placement) {
	if was.Order == Held {
		h.checkKept(d, was, p)
		return
	}
	if was.Order != Run || h.live(p.MachineID) || h.now.Before(h.c.hold) || !slices.Contains(d.Gone, p.MachineID) {
		h.rt.Fatalf("%s: holds %+v", d.Reason, was)
	}
	if p.Generation != was.Generation || p.Hash != was.Hash || p.Target != was.Target {
		h.rt.Fatalf("%s: holds %+v as %+v", d.Reason, was, p)
	}
}

// checkRelease looks for a reason that the user would accept.
func (h *history) checkRelease(d Decision, was, p Placement) {
	if was.Order == Release {
		same := p
		same.To, same.For = was.To, was.For
		if same != was {
			h.rt.Fatalf("%s: releases %+v as %+v", d.Reason, was, p)
		}
		return
	}
	if p.Generation != h.planned {
		h.rt.Fatalf("%s: releases %+v as %+v", d.Reason, was, p)
	}
	switch {
	case !h.wanted(p.Unit), was.Finished, h.isDone(p.Unit):
	case was.Order == Held && h.settledElsewhere(p.Unit, p.MachineID):
	case h.wasGlobal(p.Unit) && !h.isGlobal(p.Unit):
	case h.unfit(p.Unit, p.MachineID) != "", h.boundUnfit(d), h.replaced(d):
		h.checkDestination(d, p)
	case h.drained(d):
		h.checkDestination(d, p)
		h.checkBudgets(d)
	case h.boundFails(d):
		h.checkDestination(d, p)
	default:
		h.rt.Fatalf("%s: stops %+v without a reason", d.Reason, was)
	}
}

// checkDestination looks whether a unit that moves fits where it moves to.
func (h *history) checkDestination(d Decision, p Placement) {
	if h.isGlobal(p.Unit) {
		return // it doesn't move
	}
	if p.To == "" || p.To == p.MachineID {
		h.rt.Fatalf("%s: stops %s, and keeps room for it nowhere", d.Reason, p.Unit)
	}
	why := h.unfitWith(d, p.Unit, p.To)
	if target, ok := strings.CutPrefix(why, "MachineOf="); ok && h.whereRun(target) == "" {
		return // that one is not placed, and comes along
	}
	if why != "" && !h.hasPlacement(p.Unit, p.To) {
		h.rt.Fatalf("%s: %s is to go to %s: %s", d.Reason, p.Unit, p.To, why)
	}
}

// replaced reports whether a unit of the decision makes way for one that
// replaces it and is wanted.
func (h *history) replaced(d Decision) bool {
	return slices.ContainsFunc(d.Writes, func(w Write) bool {
		p := w.Placement
		if p.For == "" || !h.binding(p.For) || h.whereRun(p.For) != "" {
			return false
		}
		_, r, _ := h.record(p.For)
		return slices.ContainsFunc(d.Writes, func(w Write) bool { return matchesAny(r.Replaces, w.Placement.Unit) })
	})
}

// drained reports whether a unit of the decision is on a machine that is being
// drained.
func (h *history) drained(d Decision) bool {
	return slices.ContainsFunc(d.Writes, func(w Write) bool {
		l, ok := h.records[key{kind: labelKind, machine: w.Placement.MachineID}]
		return ok && l.Label.Draining
	})
}

// checkBudgets looks for a template of which the decision's releases take down
// more than it may have unavailable, those aside that are down anyway.
func (h *history) checkBudgets(d Decision) {
	takes, down := make(map[string]int), make(map[string]int)
	for _, name := range unitPool {
		if templateOf(name) == "" || !h.binding(name) {
			continue
		}
		switch {
		case !h.isUp(name):
			down[templateOf(name)]++
		case h.writesTo(d, name):
			takes[templateOf(name)]++
		}
	}
	for template, n := range takes {
		limit := h.limit(template, d)
		if n+down[template] > limit {
			h.rt.Fatalf("%s: takes down %d of %s, of which %d are not available and %d may be", d.Reason, n, template, down[template], limit)
		}
	}
}

// isUp reports whether the unit is as it should be on some machine.
func (h *history) isUp(name string) bool {
	for _, p := range h.placements() {
		s, ok := h.state(p.MachineID, name)
		if p.Unit == name && p.Order == Run && ok && h.live(p.MachineID) && s.Generation == p.Generation &&
			s.Reached.AtLeast(p.Target) && (p.Target == unit.Loaded || s.ActiveState != "failed" && s.ActiveState != "activating") {
			return true
		}
	}
	return false
}

func (h *history) settledElsewhere(name, id string) bool {
	for _, p := range h.placements() {
		s, ok := h.state(p.MachineID, name)
		if p.Unit == name && p.MachineID != id && p.Order == Run && ok &&
			s.Generation == p.Generation && s.Reached.AtLeast(p.Target) {
			return true
		}
	}
	return false
}

// boundUnfit reports whether another unit of the decision doesn't fit where it
// is.
func (h *history) boundUnfit(d Decision) bool {
	for _, u := range d.Units {
		for _, p := range h.placements() {
			if p.Unit == u.Name && p.Order != Release && h.live(p.MachineID) && h.unfit(u.Name, p.MachineID) != "" {
				return true
			}
		}
	}
	return false
}

// unfit says which hard constraint of the unit doesn't hold on the machine.
func (h *history) unfit(name, id string) string { return h.unfitWith(Decision{}, name, id) }

// unfitWith counts with what the decision places together with the unit.
func (h *history) unfitWith(d Decision, name, id string) string {
	_, r, ok := h.record(name)
	_, known := h.records[key{kind: machineKind, machine: id}]
	switch {
	case !ok:
		return "its file can't be read"
	case !known || !h.live(id):
		return "the machine isn't there"
	case r.MachineID != "" && r.MachineID != id:
		return "MachineID"
	}
	if (d.Writes != nil || !h.hasPlacement(name, id)) && !h.takes(id) {
		return "the machine takes no units"
	}
	if lacking := h.meets(name, id); lacking != "" {
		return lacking
	}
	for _, target := range r.MachineOf {
		if !h.runsOn(d, target, id) {
			return "MachineOf=" + target
		}
	}
	return h.conflict(d, name, id)
}

func (h *history) hasPlacement(name, id string) bool {
	_, ok := h.records[key{placementKind, id, name}]
	return ok
}

func (h *history) runsOn(d Decision, name, id string) bool {
	for _, w := range d.Writes {
		switch p := w.Placement; {
		case p.Unit != name:
		case p.MachineID == id:
			return p.Order == Run
		case p.To == id:
			return true // it is to be there too
		}
	}
	p, ok := h.records[key{placementKind, id, name}]
	return ok && p.Placement.Order == Run
}

func (h *history) conflict(d Decision, name, id string) string {
	others := h.unitsOn(id)
	for _, w := range d.Writes {
		if w.Placement.MachineID == id {
			others = append(others, w.Placement.Unit)
		}
	}
	_, r, _ := h.record(name)
	for _, o := range append(others, h.bookedOn(d, id)...) {
		s, reported := h.state(id, o)
		stopped := reported && s.Released && !s.Active()
		there := (h.hasPlacement(o, id) || reported) && !stopped || slices.Contains(h.bookedOn(d, id), o) || slices.ContainsFunc(d.Writes, func(w Write) bool {
			return w.Placement.Unit == o && w.Placement.MachineID == id && !w.Delete
		})
		_, or, _ := h.record(o)
		if o != name && there && (matchesAny(r.Conflicts, o) || matchesAny(or.Conflicts, name) ||
			matchesAny(r.Replaces, o) || matchesAny(or.Replaces, name)) {
			return "conflict with " + o
		}
	}
	return ""
}

// bookedOn names the units that room is kept for on the machine, once the
// decision is written.
func (h *history) bookedOn(d Decision, id string) []string {
	var names []string
	for _, p := range h.after(d) {
		if p.Order != Release {
			continue
		}
		if p.To == id && h.binding(p.Unit) {
			names = append(names, p.Unit)
		}
		if p.MachineID == id && p.For != "" && h.binding(p.For) {
			names = append(names, p.For)
		}
	}
	return names
}

func matchesAny(globs []string, name string) bool {
	return slices.ContainsFunc(globs, func(g string) bool {
		ok, _ := path.Match(g, name)
		return ok
	})
}
