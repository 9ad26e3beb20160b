package schedule

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"fleet/unit"
)

// TestPlanFindsWhatExists has units placed in turn, those that MachineOf binds
// as one, and compares each with a placer that tries every machine: Plan finds
// one whenever there is one, and takes none that isn't.
func TestPlanFindsWhatExists(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for _, id := range machinePool[:rapid.IntRange(1, 4).Draw(t, "machines")] {
			h.appear(id)
			if rapid.IntRange(0, 4).Draw(t, "cordoned") == 0 {
				h.label(Label{MachineID: id, Cordoned: true})
			}
		}
		for _, group := range h.drawGroups() {
			for name, options := range group {
				h.launch(name, options...)
			}
			h.compareWithBrute(slices.Sorted(maps.Keys(group)))
			h.settle()
		}
	})
}

var bruteOptions = []string{
	"Conflicts=u*.service", "Conflicts=v*.service", "Conflicts=u2*.service",
	"MachineMetadata=region=eu", `MachineMetadata="region=eu" "region=us"`, "MachineMetadata=disk=ssd", "MachineMetadata=!disk",
	"MachineID=m1", "MachineID=m2", "MemoryReservation=1G", "MemoryReservation=512M", "CPUReservation=0.5", "CPUReservation=1",
}

// drawGroups draws up to six units, some bound to the one before them.
func (h *history) drawGroups() []map[string][]string {
	var groups []map[string][]string
	last := ""
	for i := range rapid.IntRange(1, 6).Draw(h.rt, "units") {
		name := fmt.Sprintf("%s%d.service", pick(h.rt, "kind", []string{"u", "v"}), i)
		options := rapid.SliceOfNDistinct(rapid.SampledFrom(bruteOptions), 0, 3, rapid.ID).Draw(h.rt, "options")
		if last != "" && rapid.IntRange(0, 2).Draw(h.rt, "bound") == 0 {
			options = append(options, "MachineOf="+last)
		}
		if _, err := file(h.rt, options...).Requirements(name); err != nil {
			options = nil
		}
		if len(groups) == 0 || !slices.Contains(options, "MachineOf="+last) {
			groups = append(groups, make(map[string][]string))
		}
		groups[len(groups)-1][name] = options
		last = name
	}
	return groups
}

// compareWithBrute has one group planned, and every machine tried.
func (h *history) compareWithBrute(names []string) {
	exists := slices.DeleteFunc(slices.Clone(machinePool), func(id string) bool { return !h.holds(names, id) })
	h.plan()
	for _, name := range names {
		at := h.whereRun(name)
		switch {
		case at == "" && len(exists) > 0:
			h.rt.Fatalf("%v: %s is not placed, and %v take it\n%s", names, name, exists, h.c.Explain(name))
		case at != "" && !slices.Contains(exists, at):
			h.rt.Fatalf("%v: %s is placed on %s, and %v take it", names, name, at, exists)
		}
	}
}

// holds reports whether the machine could have all of the units.
func (h *history) holds(names []string, id string) bool {
	d := Decision{}
	var needs amounts
	for _, name := range names {
		d.Writes = append(d.Writes, Write{Placement: Placement{Unit: name, MachineID: id, Order: Run, Target: unit.Launched}})
		_, r, _ := h.record(name)
		needs = needs.plus(amounts{r.Memory, r.CPU})
	}
	for _, name := range names {
		if h.unfitWith(d, name, id) != "" {
			return false
		}
	}
	used, has := total(h.reserved(Decision{}, id)), h.capacity(id)
	return (needs.memory == 0 || used.memory+needs.memory <= has.memory) && (needs.cpu == 0 || used.cpu+needs.cpu <= has.cpu)
}
