package schedule

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"fleet/unit"
)

// The part of the histories that is about records which the engine keeps: those
// of instances, of absences and of what is done.

const keptTemplate = "w@.service"

// template changes the template of which instances are kept.
func (h *history) template() {
	_, known := h.records[key{kind: unitKind, unit: keptTemplate}]
	switch {
	case known && rapid.IntRange(0, 5).Draw(h.rt, "destroy") == 0:
		h.destroy(keptTemplate)
	case known && rapid.IntRange(0, 3).Draw(h.rt, "scale") == 0:
		h.scale(keptTemplate, &unit.Scale{To: rapid.IntRange(0, 4).Draw(h.rt, "to"), From: rapid.IntRange(0, 4).Draw(h.rt, "from")})
	default:
		options := []string{pick(h.rt, "instances", []string{"", "Instances=1", "Instances=2", "Instances=3", "Instances=3", "Instances=4"})}
		options = append(options, pick(h.rt, "option", []string{"", "MaxUnavailable=2", "MemoryReservation=1G", "Priority=1", "MachineOf=a.service"}))
		target := pick(h.rt, "target", []unit.TargetState{unit.Launched, unit.Launched, unit.Launched, unit.Loaded, unit.Inactive})
		old, ok := h.records[key{kind: unitKind, unit: keptTemplate}]
		h.unit(keptTemplate, target, options...)
		if ok {
			h.scale(keptTemplate, old.Unit.Scaled)
		}
	}
}

// belonging tells how many instances of the template there should be.
func (h *history) belonging() int {
	u, r, ok := h.record(keptTemplate)
	switch {
	case !ok || r.Instances == nil:
		return 0
	case u.Scaled != nil && u.Scaled.From == *r.Instances:
		return u.Scaled.To
	}
	return *r.Instances
}

// limit tells how many of the template's instances may be down.
func (h *history) limit(template string, d Decision) int {
	if _, r, ok := h.record(template); ok {
		return max(1, r.MaxUnavailable)
	}
	limit := 1
	for _, w := range d.Writes {
		if _, r, _ := h.record(w.Placement.Unit); templateOf(w.Placement.Unit) == template {
			limit = max(limit, r.MaxUnavailable)
		}
	}
	return limit
}

// checkOther looks at a record that a decision writes or deletes.
func (h *history) checkOther(d Decision, ch Change) {
	switch {
	case ch.Unit != nil:
		h.checkInstance(d, ch)
	case ch.Done != nil && ch.Deleted:
		if _, ok := h.records[key{kind: unitKind, unit: ch.Done.Unit}]; ok {
			h.rt.Fatalf("%s: the unit is there", d.Reason)
		}
	case ch.Done != nil:
		if len(d.Writes) != 1 || !d.Writes[0].Placement.Finished {
			h.rt.Fatalf("%s: %+v", d.Reason, ch.Done)
		}
	case ch.Machine != nil || ch.Label != nil:
		if id := keyOf(ch).machine; !ch.Deleted || !h.forgets(d, id) {
			h.rt.Fatalf("%s: %+v", d.Reason, ch)
		}
	case ch.Absence != nil && ch.Deleted:
		if id := ch.Absence.MachineID; !h.live(id) && !h.forgets(d, id) && h.registered(id) {
			h.rt.Fatalf("%s: %s is not back", d.Reason, id)
		}
	case ch.Absence != nil:
		id := ch.Absence.MachineID
		if _, was := h.absent(id); was || h.live(id) || h.now.Before(h.c.hold) || len(d.Gone) != 1 || !ch.Absence.Since.Equal(h.now) {
			h.rt.Fatalf("%s: %+v", d.Reason, ch.Absence)
		}
	}
}

// registered reports whether the machine has a record.
func (h *history) registered(id string) bool {
	_, ok := h.records[key{kind: machineKind, machine: id}]
	return ok
}

// forgets reports whether the decision forgets a machine that it may forget.
func (h *history) forgets(d Decision, id string) bool {
	since, ok := h.absent(id)
	return ok && len(d.Gone) == 1 && d.Gone[0] == id && !h.now.Before(since.Add(24*time.Hour))
}

func (h *history) checkInstance(d Decision, ch Change) {
	next := ch.Unit
	was, had := h.records[key{kind: unitKind, unit: next.Name}]
	t, _, known := h.record(keptTemplate)
	switch {
	case had && !was.Unit.Managed:
		h.rt.Fatalf("%s: %s is the user's", d.Reason, next.Name)
	case len(d.Units) != 1 || d.Units[0].Name != keptTemplate:
		h.rt.Fatalf("%s: doesn't depend on the template", d.Reason)
	case ch.Deleted:
		if known && next.Name <= instance(keptTemplate, h.belonging()) && h.belonging() > 0 {
			h.rt.Fatalf("%s: of %d", d.Reason, h.belonging())
		}
		return
	case !next.Managed || !known || next.Name > instance(keptTemplate, h.belonging()):
		h.rt.Fatalf("%s: writes %+v", d.Reason, next)
	case next.Hash != t.Hash && (!had || next.Hash != was.Unit.Hash), next.DesiredState != t.DesiredState:
		h.rt.Fatalf("%s: writes %+v for %+v", d.Reason, next, t)
	}
	if !had || was.Unit.Hash == next.Hash || !h.wanted(next.Name) || !h.upToDate(next.Name) {
		return
	}
	down := 1
	for _, name := range unitPool {
		if templateOf(name) == keptTemplate && name != next.Name && h.binding(name) && !h.upToDate(name) {
			down++
		}
	}
	if limit := h.limit(keptTemplate, d); down > limit {
		h.rt.Fatalf("%s: %d would be down, %d may be", d.Reason, down, limit)
	}
}

// upToDate reports whether the unit is as it should be on some machine, and an
// instance that the engine keeps has the file that its record says.
func (h *history) upToDate(name string) bool {
	u, _, _ := h.record(name)
	for _, p := range h.placements() {
		s, ok := h.state(p.MachineID, name)
		if p.Unit == name && p.Order == Run && ok && h.live(p.MachineID) && s.Generation == p.Generation &&
			s.Reached.AtLeast(p.Target) && (p.Target == unit.Loaded || s.ActiveState != "failed" && s.ActiveState != "activating") &&
			(!u.Managed || p.Hash == u.Hash) {
			return true
		}
	}
	return false
}

// checkInstances looks for exactly those instances that belong.
func (h *history) checkInstances() {
	t, _, _ := h.record(keptTemplate)
	down := 0
	for _, name := range unitPool {
		if templateOf(name) == keptTemplate && h.binding(name) && !h.upToDate(name) {
			down++
		}
	}
	for i := 1; i <= 5; i++ {
		name := instance(keptTemplate, i)
		ch, ok := h.records[key{kind: unitKind, unit: name}]
		switch belongs := i <= h.belonging(); {
		case belongs && !ok, !belongs && ok && ch.Unit.Managed:
			h.rt.Fatalf("%d instances belong, %s: %v", h.belonging(), name, ok)
		case !ok || !ch.Unit.Managed:
		case ch.Unit.DesiredState != t.DesiredState, ch.Unit.Hash != t.Hash && down == 0:
			h.rt.Fatalf("%s is %+v, its template %+v", name, ch.Unit, t)
		}
	}
}

// isDone reports whether the unit has finished, as it is now.
func (h *history) isDone(name string) bool {
	ch, ok := h.records[key{kind: doneKind, unit: name}]
	return ok && ch.Done.Revision == h.records[key{kind: unitKind, unit: name}].Revision
}

// checkFinished looks at a unit that is said to have finished.
func (h *history) checkFinished(d Decision, was, p Placement) {
	u, r, _ := h.record(p.Unit)
	s, ok := h.state(p.MachineID, p.Unit)
	if !r.RunOnce || !ok || !h.live(p.MachineID) || s.Generation != was.Generation || s.Reached != unit.Launched ||
		s.ActiveState != "inactive" || was.Hash != u.Hash || u.DesiredState != unit.Launched {
		h.rt.Fatalf("%s: finished %+v, reported %+v", d.Reason, was, s)
	}
	p.Finished, p.Reason, p.Memory, p.CPU = was.Finished, was.Reason, was.Memory, was.CPU
	if p != was || len(d.Others) != 1 || d.Others[0].Done == nil {
		h.rt.Fatalf("%s: finishes %+v as %+v", d.Reason, was, p)
	}
}

// checkDone looks for what is said to have finished and isn't there any more,
// and for what has and nobody says so.
func (h *history) checkDone() {
	for k := range h.records {
		if _, ok := h.records[key{kind: unitKind, unit: k.unit}]; k.kind == doneKind && !ok {
			h.rt.Fatalf("%s is gone, and has finished", k.unit)
		}
	}
	for _, p := range h.placements() {
		_, r, _ := h.record(p.Unit)
		s, ok := h.state(p.MachineID, p.Unit)
		if ok && h.live(p.MachineID) && r.RunOnce && p.Order == Run && s.Reached == unit.Launched && s.ActiveState == "inactive" && !h.isDone(p.Unit) && h.isUpdated(p) {
			h.rt.Fatalf("%s has finished on %s, and nobody says so", p.Unit, p.MachineID)
		}
	}
}

func (h *history) isUpdated(p Placement) bool {
	u, _, _ := h.record(p.Unit)
	return u.Hash == p.Hash && u.DesiredState == p.Target
}

// boundFails reports whether one of the decision's units failed to start so
// often that it is to be tried elsewhere, and not too soon.
func (h *history) boundFails(d Decision) bool {
	for _, w := range d.Writes {
		was := h.placements()[key{placementKind, w.Placement.MachineID, w.Placement.Unit}]
		s, ok := h.state(was.MachineID, was.Unit)
		if !ok || was.Attempts == 0 || s.Generation != was.Generation || s.FailedStarts < was.Attempts {
			continue
		}
		t := w.Placement.Trouble
		if was.Trouble != nil && h.now.Before(was.Trouble.Until) || t == nil || !slices.Contains(t.Machines, was.MachineID) {
			h.rt.Fatalf("%s: from %+v with %+v to %+v", d.Reason, was, was.Trouble, t)
		}
		return true
	}
	return false
}

// TestRolls has versions of a template follow each other, with instances that
// fail, machines that are drained and a user who takes some.
func TestRolls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		h.world.check = h.checkDecision
		h.join("m1", "m2", "m3")
		h.launch(keptTemplate, "Instances=4")
		h.settle()
		for range rapid.IntRange(5, 60).Draw(t, "steps") {
			h.rollStep()
			h.checkState()
		}
		for _, id := range []string{"m1", "m2", "m3"} {
			h.label(Label{MachineID: id})
		}
		h.rest()
	})
}

func (h *history) rollStep() {
	id := pick(h.rt, "machine", []string{"m1", "m2", "m3"})
	switch rapid.IntRange(0, 12).Draw(h.rt, "event") {
	case 0:
		h.launch(keptTemplate, "Instances=4", pick(h.rt, "version", []string{"", "Prefer=v2", "Prefer=v3", "MaxUnavailable=2", "Reschedule=on-failure:1", "Prefer=v4\nMaxUnavailable=3"}))
	case 1, 2, 3, 4:
		h.plan()
	case 5, 6, 7, 8:
		for _, name := range h.unitsOn(id) {
			if rapid.Bool().Draw(h.rt, "obeys") {
				h.obeyOne(id, name)
			}
		}
	case 9:
		h.misbehave()
	case 10:
		h.label(Label{MachineID: id, Draining: rapid.Bool().Draw(h.rt, "drain")})
	case 11:
		h.refusedPlan()
	case 12:
		h.now = h.now.Add(time.Duration(rapid.IntRange(1, 100).Draw(h.rt, "seconds")) * time.Second)
		if name := pick(h.rt, "unit", unitPool); rapid.IntRange(0, 5).Draw(h.rt, "takes") == 0 && templateOf(name) == keptTemplate {
			h.launch(name, "Prefer=mine")
		}
	}
}
