package schedule

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// metadata is a machine's, as constraints and wishes see it.
func (h *history) metadata(id string) map[string]string {
	m := h.records[key{kind: machineKind, machine: id}]
	if m.Machine == nil {
		return nil
	}
	all := maps.Clone(m.Machine.Metadata)
	if l := h.records[key{kind: labelKind, machine: id}].Label; l != nil {
		maps.Copy(all, l.Set)
		for _, k := range l.Removed {
			delete(all, k)
		}
	}
	return all
}

// evenness counts the other instances of the unit's template by their
// machines' values of its Spread key, and tells which values take one of them.
func (h *history) evenness(name string) (counts map[string]int, eligible map[string]bool) {
	_, r, _ := h.record(name)
	counts, eligible = make(map[string]int), make(map[string]bool)
	for _, id := range machinePool {
		value, ok := h.metadata(id)[r.Spread.Key]
		if !ok {
			continue
		}
		there := make(map[string]bool)
		for k, p := range h.placements() {
			if k.machine == id && p.Order == Run && (h.live(id) || h.now.Before(h.c.hold)) {
				there[p.Unit] = true
			}
		}
		for _, booked := range h.bookedOn(Decision{}, id) {
			there[booked] = true
		}
		for o := range there {
			if o != name && templateOf(o) == templateOf(name) {
				counts[value]++
			}
		}
		if h.takes(id) && h.meets(name, id) == "" {
			eligible[value] = true
		}
	}
	return counts, eligible
}

// least returns how many instances the eligible values have at the least and
// at the most.
func least(counts map[string]int, eligible map[string]bool) (least, most int) {
	least = 1 << 30
	for value := range eligible {
		least, most = min(least, counts[value]), max(most, counts[value])
	}
	if len(eligible) == 0 {
		least = 0
	}
	return least, most
}

func (h *history) takes(id string) bool {
	presence := h.records[key{kind: presenceKind, machine: id}].Presence
	label := h.records[key{kind: labelKind, machine: id}].Label
	return presence != nil && presence.Ready && (label == nil || !label.Cordoned && !label.Draining)
}

// meets says which metadata that the unit must have the machine lacks.
func (h *history) meets(name, id string) string {
	_, r, _ := h.record(name)
	metadata := h.metadata(id)
	for _, need := range r.Metadata {
		if value, ok := metadata[need.Key]; !ok || !slices.Contains(need.Values, value) {
			return "metadata " + need.Key
		}
	}
	for _, c := range r.Conditions {
		if !c.Holds(metadata) {
			return "metadata " + c.String()
		}
	}
	return ""
}

// uneven says why a unit that must be spread evenly would not be.
func (h *history) uneven(name, id string) string {
	_, r, _ := h.record(name)
	if !r.Spread.Hard {
		return ""
	}
	value, ok := h.metadata(id)[r.Spread.Key]
	counts, eligible := h.evenness(name)
	if l, _ := least(counts, eligible); !ok || counts[value] > l {
		return fmt.Sprintf("%d instances with its %s, %d at the least", counts[value], r.Spread.Key, l)
	}
	return ""
}

// score is how good a place the machine is for a unit that is nowhere yet.
func (h *history) score(name, id string) int64 {
	_, r, _ := h.record(name)
	claimed, there := make(map[string]bool), make(map[string]bool)
	for k, p := range h.placements() {
		if k.machine == id && !h.hasStopped(p) {
			claimed[p.Unit], there[p.Unit] = true, true
		}
	}
	used := total(h.reserved(Decision{}, id))
	for _, booked := range h.bookedOn(Decision{}, id) {
		claimed[booked], there[booked] = true, true
		_, b, _ := h.record(booked)
		used = amounts{used.memory + b.Memory, used.cpu + b.CPU}
	}
	for k, ch := range h.records {
		if k.kind == stateKind && k.machine == id && (ch.State.Active() || !ch.State.Released) {
			there[k.unit] = true
		}
	}
	load, has := 1000*int64(len(claimed)), h.capacity(id)
	if has.memory > 0 {
		load = max(load, used.memory*100_000/has.memory)
	}
	if has.cpu > 0 {
		load = max(load, used.cpu*100_000/has.cpu)
	}
	score := -load
	if h.c.policy.Strategy == BinPack && load < 100_000 {
		score = load
	}
	metadata := h.metadata(id)
	for _, c := range r.Prefer {
		if c.Holds(metadata) {
			score += 50_000
		}
	}
	for o := range there {
		if matchesAny(r.Avoid, o) {
			score -= 50_000
		}
	}
	if r.Spread.Key != "" {
		counts, eligible := h.evenness(name)
		l, m := least(counts, eligible)
		count := m + 1
		if value, ok := metadata[r.Spread.Key]; ok {
			count = counts[value]
		}
		score -= 100_000 * int64(count-l)
	}
	return score
}

// TestPlanTakesTheBest compares what Plan takes for a new unit with the best of
// all machines, each asked.
func TestPlanTakesTheBest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		if rapid.Bool().Draw(t, "binpack") {
			h.c.SetPolicy(Policy{Strategy: BinPack})
		}
		for range rapid.IntRange(5, 40).Draw(t, "steps") {
			h.step()
		}
		h.now = h.now.Add(time.Hour)
		h.settle()
		name := pick(t, "new", []string{"x.service", "w@9.service"})
		options := slices.DeleteFunc(h.options(name), func(o string) bool { return strings.HasPrefix(o, "MachineOf") })
		h.launch(name, options...)
		if _, r, _ := h.record(name); r.Global || len(r.Replaces) > 0 {
			return // those with Replaces prefer machines for another reason
		}
		want := ""
		for _, id := range machinePool {
			fits := h.unfit(name, id) == "" && h.hasRoom(name, id) && h.uneven(name, id) == ""
			if fits && (want == "" || h.score(name, id) > h.score(name, want)) {
				want = id
			}
		}
		h.markOnly(name)
		e := h.c.Explain(name)
		if took, _ := h.taken(name, h.c.Plan(h.now)); took != want {
			t.Fatalf("Plan takes %q, the best is %q: %s", took, want, e)
		}
	})
}

func TestPreferAvoidAndSpread(t *testing.T) {
	w := newWorld(t)
	w.join("m1 az=a", "m2 az=b disk=ssd", "m3 az=c", "m4")
	w.launch("ssd.service", "Prefer=disk=ssd")
	w.settle()
	w.launch("off.service", "Avoid=ssd*", "Prefer=disk=ssd") // as good there as elsewhere
	w.settle()
	w.expect("ssd.service", "m2:run")
	w.expect("off.service", "m1:run")
	for i := range 6 {
		w.launch(fmt.Sprintf("app@%d.service", i), "Spread=az")
	}
	w.settle()
	for i, where := range []string{"m3:run", "m1:run", "m2:run", "m3:run", "m1:run", "m2:run"} {
		w.expect(fmt.Sprintf("app@%d.service", i), where)
	}
	w.quiet()
}

func TestHardSpreadWaits(t *testing.T) {
	w := newWorld(t)
	w.join("m1 az=a", "m2 az=b", "m3")
	w.launch("big.service", "MachineID=m2", "Conflicts=app@*")
	w.settle()
	for i := range 3 {
		w.launch(fmt.Sprintf("app@%d.service", i), "Spread=az hard")
	}
	w.settle()
	w.expect("app@0.service", "m1:run")
	w.explains("app@1.service", "no machine fits: 1 conflicts with big.service, 1 is in az=a, which has 1 of app@.service already, and az=b has 0, 1 lacks metadata az")
	w.label(Label{MachineID: "m2", Cordoned: true}) // no one can be placed with its value any more
	w.settle()
	w.expect("app@2.service", "m1:run")
	w.quiet()
}

func TestBinPackFillsMachines(t *testing.T) {
	w := newWorld(t)
	w.c.SetPolicy(Policy{Strategy: BinPack})
	w.size("m1", 4, 4)
	w.size("m2", 4, 4)
	for i := range 6 {
		w.launch(fmt.Sprintf("app@%d.service", i), "MemoryReservation=1G")
	}
	w.settle()
	for i, where := range []string{"m1:run", "m1:run", "m1:run", "m1:run", "m2:run", "m2:run"} {
		w.expect(fmt.Sprintf("app@%d.service", i), where)
	}
}

func TestPolicyRanksAnew(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("a.service")
	w.settle()
	w.c.SetPolicy(Policy{Strategy: BinPack})
	w.launch("b.service")
	w.settle()
	w.expect("b.service", "m1:run")
	w.c.SetPolicy(DefaultPolicy())
	w.launch("c.service")
	w.settle()
	w.expect("c.service", "m2:run")
}

func TestFoundMetadata(t *testing.T) {
	w := newWorld(t)
	w.write(Change{Machine: &Machine{ID: "m1", Metadata: map[string]string{"az": "a"}, Found: map[string]string{"fleet.memory": "17179869184", "fleet.arch": "arm64"}}})
	w.comeBack("m1")
	w.label(Label{MachineID: "m1", Set: map[string]string{"fleet.arch": "amd64"}, Removed: []string{"fleet.memory"}})
	w.launch("a.service", `MachineMetadata="fleet.memory>=16G" "fleet.arch=arm64"`)
	w.launch("b.service", `MachineMetadata="fleet.memory>=17G"`)
	w.launch("c.service", `MachineMetadata="!fleet.memory"`)
	w.launch("d.service", `MachineMetadata="fleet.arch!=arm64"`)
	w.settle()
	w.expect("a.service", "m1:run")
	w.explains("b.service", "no machine fits: 1 lacks metadata fleet.memory>=17G")
	w.explains("c.service", "no machine fits: 1 has metadata fleet.memory")
	w.explains("d.service", "no machine fits: 1 has metadata fleet.arch=arm64")
	if got := w.c.EffectiveMetadata("m1"); len(got) != 1 || got["az"] != "a" {
		t.Errorf("metadata are %v", got)
	}
	if got := w.c.FoundMetadata("m1"); len(got) != 2 {
		t.Errorf("found metadata are %v", got)
	}
}

// TestManyValues spreads over more values than have ladders of their own, and
// over few again.
func TestManyValues(t *testing.T) {
	w := newWorld(t)
	const machines = fewValues + 6
	for i := range machines {
		w.join(fmt.Sprintf("m%02d host=%d", i, i))
	}
	w.launch("busy.service", "MachineID=m00")
	for i := range machines + 1 {
		w.launch(fmt.Sprintf("app@%02d.service", i), "Spread=host hard")
	}
	w.settle()
	for id := range w.running {
		if n := len(w.c.PlacementsOn(id)); n != 1 && id != "m00" && id != "m01" {
			t.Errorf("%d on %s", n, id)
		}
	}
	for i := range machines / 2 {
		w.die(fmt.Sprintf("m%02d", i))
	}
	w.now = w.now.Add(time.Hour)
	w.settle()
	for id := range w.running {
		if n := len(w.c.PlacementsOn(id)); w.live(id) && (n < 2 || n > 3) {
			t.Errorf("%d on %s", n, id)
		}
	}
	fresh := w.fresh()
	fresh.LoseMachines(w.now)
	if diff := cmp.Diff(indexes(fresh), indexes(w.c)); diff != "" {
		t.Errorf("indexes, -fresh +incremental:\n%s", diff)
	}
}
