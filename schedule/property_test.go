package schedule

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"fleet/unit"
)

// TestHistories drives a small cluster through random events, and checks the
// promises after every step. rapid prints the seed of a failure.
func TestHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		h.world.check = h.checkDecision
		for range rapid.IntRange(5, 50).Draw(t, "steps") {
			h.step()
			h.checkState()
		}
		h.rest()
	})
}

// history is a world with random events.
type history struct {
	*world
	rt     *rapid.T
	spread map[string]int // units' run placements at the last check
}

func newHistory(t *rapid.T) *history {
	return &history{world: newWorld(t), rt: t, spread: make(map[string]int)}
}

var (
	unitPool    = []string{"a.service", "b.service", "c.service", "d.service", "w@1.service", "w@2.service", "w@3.service", "w@4.service"}
	machinePool = []string{"m1", "m2", "m3", "m4"}
	optionPool  = []string{
		"MachineOf=a.service", "MachineOf=b.service", "MachineOf=c.service", "MachineOf=w@1.service",
		"Conflicts=w@*.service", "Conflicts=b.service", "Conflicts=[cd].service", "Conflicts=w@?.service",
		"MachineMetadata=region=eu", `MachineMetadata="region=eu" "region=us"`, "MachineMetadata=disk=ssd",
		"MachineID=m1", "MachineID=m2", "Global=true",
		"MaxUnavailable=2", "RunOnce=true", "RunOnce=true", "Reschedule=on-failure:2", "Reschedule=on-failure:1",
		"Replaces=a.service", "Replaces=w@?.service", "Replaces=[bcd].service",
		"MemoryReservation=1G", "MemoryReservation=2G", "CPUReservation=0.5", "CPUReservation=1",
		"MachineMetadata=region!=us", "MachineMetadata=!disk", "MachineMetadata=region",
		"Prefer=disk=ssd", "Prefer=region!=eu", "Avoid=b.service", "Avoid=w@*.service", "Avoid=[abw]*", "Spread=region", "Spread=region hard",
	}
	// What a machine may have, beside its metadata.
	capacityPool = []Machine{{}, {Memory: 1 << 30, CPUs: 1}, {Memory: 3 << 30, CPUs: 2}, {Memory: 4 << 30, CPUs: 1, ReservedMemory: 2 << 30, ReservedCPU: 500}}
	labelPool    = []map[string]string{{}, {"region": "eu"}, {"region": "us"}, {"disk": "ssd"}, {"region": "eu", "disk": "ssd"}}
)

func pick[T any](t *rapid.T, what string, from []T) T { return rapid.SampledFrom(from).Draw(t, what) }

// options draws [X-Fleet] options that go together.
func (h *history) options(name string) []string {
	for {
		options := rapid.SliceOfNDistinct(rapid.SampledFrom(optionPool), 0, 3, rapid.ID).Draw(h.rt, "options")
		f := file(h.rt, options...)
		if _, err := f.Requirements(name); err == nil {
			return options
		}
		if rapid.Bool().Draw(h.rt, "plain") {
			return nil
		}
	}
}

func (h *history) step() {
	switch rapid.IntRange(0, 18).Draw(h.rt, "event") {
	case 0, 1, 2:
		name := pick(h.rt, "unit", unitPool)
		target := pick(h.rt, "target", []unit.TargetState{unit.Launched, unit.Launched, unit.Loaded, unit.Inactive})
		h.unit(name, target, h.options(name)...)
	case 3:
		if name, ok := h.someUnit(); ok {
			h.target(name, pick(h.rt, "target", []unit.TargetState{unit.Launched, unit.Loaded, unit.Inactive}))
		}
	case 4:
		if name, ok := h.someUnit(); ok {
			h.destroy(name)
		}
	case 5, 6:
		id := pick(h.rt, "machine", machinePool)
		if !h.live(id) {
			h.appear(id)
		}
	case 7:
		if id := pick(h.rt, "machine", machinePool); h.live(id) {
			h.die(id)
		}
	case 8:
		l := Label{MachineID: pick(h.rt, "machine", machinePool), Set: pick(h.rt, "labels", labelPool)}
		l.Cordoned = rapid.IntRange(0, 4).Draw(h.rt, "cordon") == 0
		if rapid.IntRange(0, 3).Draw(h.rt, "remove") == 0 {
			l.Removed = []string{"region"}
		}
		l.Draining = rapid.IntRange(0, 3).Draw(h.rt, "drain") == 0
		h.label(l)
	case 9:
		if id := pick(h.rt, "machine", machinePool); h.live(id) {
			h.write(Change{Presence: &Presence{MachineID: id, Ready: rapid.Bool().Draw(h.rt, "ready")}})
		}
	case 10:
		h.c.HoldEvictions(h.now.Add(time.Duration(rapid.IntRange(0, 3).Draw(h.rt, "hold")) * time.Second))
	case 11:
		h.now = h.now.Add(time.Second)
	case 12:
		if id := pick(h.rt, "machine", machinePool); h.live(id) {
			for _, name := range h.unitsOn(id) {
				if rapid.Bool().Draw(h.rt, "obeys") {
					h.obeyOne(id, name)
				}
			}
		}
	case 13:
		h.plan()
	case 14:
		h.refusedPlan()
	case 16:
		h.misbehave()
	case 17:
		h.template()
	case 18:
		h.now = h.now.Add(time.Duration(rapid.IntRange(1, 25).Draw(h.rt, "hours")) * time.Hour)
	case 15:
		if id := pick(h.rt, "machine", machinePool); h.live(id) {
			h.resize(id)
		}
	}
}

// misbehave has a unit fail that runs, or be restarted.
func (h *history) misbehave() {
	id, name := pick(h.rt, "machine", machinePool), pick(h.rt, "unit", unitPool)
	s, has := h.running[id][name]
	if !has || !h.live(id) || s.Reached != unit.Launched {
		return
	}
	if p := h.records[key{placementKind, id, name}].Placement; p != nil && p.Attempts > 0 && p.Generation == s.Generation && rapid.Bool().Draw(h.rt, "fails to start") {
		h.failsToStart(id, name)
		return
	}
	s.ActiveState = pick(h.rt, "becomes", []string{"failed", "activating", "inactive", "active"})
	h.running[id][name] = s
	h.report(id, s)
}

func (h *history) someUnit() (string, bool) {
	name := pick(h.rt, "unit", unitPool)
	_, ok := h.records[key{kind: unitKind, unit: name}]
	return name, ok
}

func (h *history) appear(id string) {
	if _, ok := h.records[key{kind: machineKind, machine: id}]; !ok {
		h.resize(id)
	}
	h.comeBack(id)
}

// resize has a machine register, with metadata and a capacity of any kind.
func (h *history) resize(id string) {
	m := pick(h.rt, "capacity", capacityPool)
	m.ID, m.Metadata = id, pick(h.rt, "metadata", labelPool)
	h.write(Change{Machine: &m})
}

// refusedPlan has the last of the decisions' writes refused, as when the term
// ends, or be so late that Plan is called again before they are seen.
func (h *history) refusedPlan() {
	h.planned = h.c.Revision()
	ds := h.c.Plan(h.now)
	cut := rapid.IntRange(0, len(ds)).Draw(h.rt, "written")
	if rapid.Bool().Draw(h.rt, "refused") {
		h.commitAll(ds[:cut])
		for _, d := range ds[cut:] {
			h.c.Retry(d)
		}
		return
	}
	if again := h.c.Plan(h.now); again != nil {
		h.rt.Fatalf("decided again without news: %s", again[0].Reason)
	}
	for _, n := range h.c.units {
		h.c.agenda.mark(n)
	}
	now := h.c.Plan(h.now)
	for _, d := range now {
		for _, l := range ds {
			for _, w := range d.Writes {
				if h.binding(w.Placement.Unit) && h.writesTo(l, w.Placement.Unit) {
					h.rt.Fatalf("decided about %s again: %s, then %s", w.Placement.Unit, l.Reason, d.Reason)
				}
			}
		}
	}
	h.commitAll(ds)
	h.commitAll(now)
}

// binding reports whether the unit is one with one machine: of others each
// machine is decided about for itself.
func (h *history) binding(name string) bool { return h.wanted(name) && !h.isGlobal(name) }

func (h *history) writesTo(d Decision, name string) bool {
	return slices.ContainsFunc(d.Writes, func(w Write) bool { return w.Placement.Unit == name })
}

func (h *history) record(name string) (unit.Unit, unit.Requirements, bool) {
	ch, ok := h.records[key{kind: unitKind, unit: name}]
	if !ok {
		return unit.Unit{}, unit.Requirements{}, false
	}
	r, err := ch.File.Requirements(name)
	return *ch.Unit, r, err == nil
}

func (h *history) isGlobal(name string) bool {
	_, r, _ := h.record(name)
	return r.Global
}

func (h *history) wanted(name string) bool {
	u, _, ok := h.record(name)
	return ok && u.DesiredState.AtLeast(unit.Loaded)
}

// rest lets everything settle, and checks what must hold then.
func (h *history) rest() {
	h.now = h.now.Add(time.Hour)
	h.settle()
	h.checkState()
	h.checkFresh()
	h.checkPlaced()
	h.checkDrained()
	h.checkInstances()
	h.checkDone()
	h.checkReplaced()
	h.quiet()
}

// checkFresh compares the model with one made from a snapshot: the same
// indexes, the same decisions, the same words.
func (h *history) checkFresh() {
	fresh := h.fresh()
	if ds := fresh.Plan(h.now); ds != nil {
		h.rt.Fatalf("a new leader would decide: %s", ds[0].Reason)
	}
	for _, name := range unitPool {
		if diff := cmp.Diff(fresh.Explain(name), h.c.Explain(name)); diff != "" {
			h.rt.Fatalf("Explain(%s), -fresh +incremental:\n%s", name, diff)
		}
	}
	if diff := cmp.Diff(indexes(fresh), indexes(h.c)); diff != "" {
		h.rt.Fatalf("indexes, -fresh +incremental:\n%s", diff)
	}
}

// indexes tells what the indexes hold.
func indexes(c *Cluster) map[string]string {
	out := make(map[string]string)
	for id, m := range c.machines {
		booked := make(map[string]int)
		for _, s := range m.slots {
			if s.bookedBy > 0 {
				booked[s.node.name] = s.bookedBy
			}
		}
		who := make(map[string]int)
		for f, count := range m.crowd.families {
			who[f.template] = count
		}
		out[id] = fmt.Sprint(booked, m.load, m.used, m.standing, m.crowd.size, who, m.crowd.plain, m.crowd.instances, m.crowd.globs,
			m.lost, m.facts, m.metadata, len(m.ranks), len(m.slots))
	}
	for name, n := range c.units {
		out[name] = fmt.Sprint(n.revision, len(n.slots), len(n.follows))
	}
	for template, f := range c.families {
		out[template+" family"] = fmt.Sprint(f.down, len(f.members))
	}
	for key, p := range c.pools {
		var at []string
		for value, l := range p.ladders {
			at = append(at, l.tell(value)...)
		}
		slices.Sort(at)
		out["pool "+key] = fmt.Sprint(p.users, p.size, p.values, at, slices.Sorted(slices.Values(p.mixed.tell(""))))
	}
	for name, f := range c.families {
		for key, t := range f.tallies {
			out["spread "+name+" "+key] = fmt.Sprint(t.users, t.counts)
		}
	}
	out["globals"] = fmt.Sprint(len(c.globals))
	return out
}

// tell lists what is on a ladder, and that it is a heap that knows its ranks.
func (l *ladder) tell(value string) []string {
	var at []string
	for i := range l.rungs {
		r := &l.rungs[i]
		at = append(at, fmt.Sprint(value, " ", r.rank.machine.id, " ", r.score, r.rank.at == i, r.rank.ladder == l, i > 0 && r.above(&l.rungs[(i-1)/2])))
	}
	return at
}

// checkPlaced tries every machine by brute force for units that stand alone.
func (h *history) checkPlaced() {
	for _, name := range unitPool {
		n := h.c.units[name]
		if n == nil || !n.binds() || len(n.wants.MachineOf)+len(n.follows) > 0 || h.whereRun(name) != "" || h.c.circle(n) != nil {
			continue
		}
		if h.hasElsewhere(name, "") {
			continue
		}
		for _, id := range machinePool {
			if why := h.unfit(name, id); why == "" && h.hasRoom(name, id) && h.uneven(name, id) == "" {
				h.rt.Fatalf("%s is not placed, and fits %s\n%s", name, id, h.c.Explain(name))
			}
		}
	}
}

// checkDrained tries every machine by brute force for units that stand alone
// on one that is being drained.
func (h *history) checkDrained() {
	for _, name := range unitPool {
		n, at := h.c.units[name], h.whereRun(name)
		if n == nil || !n.binds() || len(n.wants.MachineOf)+len(n.follows) > 0 || at == "" || h.c.circle(n) != nil || !h.c.machines[at].facts.draining {
			continue
		}
		if h.c.overdrawn([]*node{n}) != nil {
			continue
		}
		for _, id := range machinePool {
			if why := h.unfit(name, id); id != at && !h.hasPlacement(name, id) && why == "" && h.hasRoom(name, id) && h.uneven(name, id) == "" {
				h.rt.Fatalf("%s stays on %s, which is being drained, and fits %s\n%s", name, at, id, h.c.Explain(name))
			}
		}
	}
}

// checkReplaced tries every machine by brute force for units that stand alone
// on a machine with one that replaces them.
func (h *history) checkReplaced() {
	for _, name := range unitPool {
		n, at := h.c.units[name], h.whereRun(name)
		if n == nil || !n.binds() || len(n.wants.MachineOf)+len(n.follows) > 0 || at == "" {
			continue
		}
		for _, by := range unitPool {
			r := h.c.units[by]
			if r == nil || h.whereRun(by) != at || !r.replaces(n) || n.replaces(r) || h.c.circle(n) != nil {
				continue
			}
			for _, id := range machinePool {
				if why := h.unfit(name, id); id != at && !h.hasPlacement(name, id) && why == "" && h.hasRoom(name, id) && h.uneven(name, id) == "" {
					h.rt.Fatalf("%s stays on %s with %s, and fits %s\n%s", name, at, by, id, h.c.Explain(name))
				}
			}
		}
	}
}

// whereRun names a live machine with a run placement of the unit.
func (h *history) whereRun(name string) string {
	for _, p := range h.c.Placements(name) {
		if p.Order == Run && h.live(p.MachineID) {
			return p.MachineID
		}
	}
	return ""
}

// TestPlanIsDeterministic has the same history decided twice.
func TestPlanIsDeterministic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range rapid.IntRange(5, 40).Draw(t, "steps") {
			h.step()
		}
		first, second := h.fresh().Plan(h.now), h.fresh().Plan(h.now)
		if diff := cmp.Diff(first, second); diff != "" {
			t.Fatalf("-first +second:\n%s", diff)
		}
		// And an old model told that everything is dirty decides the same.
		old := h.c
		old.Apply(h.snapshot())
		if diff := cmp.Diff(first, old.Plan(h.now)); diff != "" {
			t.Fatalf("-fresh +old:\n%s", diff)
		}
	})
}

// TestExplainAgreesWithPlan compares what Explain says fits with what Plan
// takes.
func TestExplainAgreesWithPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range rapid.IntRange(5, 40).Draw(t, "steps") {
			h.step()
		}
		h.now = h.now.Add(time.Hour)
		h.settle()
		name := pick(t, "unit", unitPool)
		h.launch(name, h.options(name)...)
		if h.isGlobal(name) || h.wasGlobal(name) {
			return
		}
		h.markOnly(name)
		e := h.c.Explain(name)
		took, reason := h.taken(name, h.c.Plan(h.now))
		switch {
		case !e.Pending:
		case len(e.Fits) > 0 && took != e.Fits[0], len(e.Fits) == 0 && took != "":
			t.Fatalf("Explain says %+v, Plan %q: %s", e, took, reason)
		}
	})
}

// markOnly leaves nothing to be decided about but the unit, so that no other
// takes what fits it.
func (h *history) markOnly(name string) {
	for _, n := range h.c.agenda.nodes {
		n.dirty = false
	}
	h.c.agenda.nodes = nil
	clear(h.c.agenda.pairs)
	clear(h.c.agenda.blocked)
	h.c.agenda.mark(h.c.units[name])
}

// taken names the machine that decisions move a unit to.
func (h *history) taken(name string, ds []Decision) (machine, reason string) {
	for _, d := range ds {
		for _, w := range d.Writes {
			p := w.Placement
			was := h.records[key{placementKind, p.MachineID, p.Unit}].Placement
			if p.Unit == name && p.Order == Run && (was == nil || was.Order != Run) {
				return p.MachineID, d.Reason
			}
		}
	}
	return "", ""
}
