package schedule

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"fleet/unit"
)

func TestExplainFully(t *testing.T) {
	w := newWorld(t)
	w.join("m1 disk=ssd", "m2", "m3", "m4", "m5 region=eu")
	for _, name := range []string{"x.service", "y.service"} {
		w.launch(name, "MachineID=m2")
	}
	w.launch("z.service", "MachineID=m3")
	w.launch("a.service", "Prefer=disk=ssd", "Avoid=x.service", "MachineMetadata=!region")
	w.settle()
	e := w.c.ExplainFully("a.service")
	var best []string
	for _, s := range e.Best {
		best = append(best, s.MachineID)
	}
	if got := strings.Join(best, " "); got != "m1 m4 m3" {
		t.Errorf("the best are %s", got)
	}
	if s := e.Best[0]; s.Points != 49 || len(s.Parts) != 2 || s.Parts[1].Text != "Prefer=disk=ssd" || s.Parts[1].Points != 50 {
		t.Errorf("m1 scores %+v", s)
	}
	if len(e.Reasons) != 1 || e.Reasons[0].Text != "has metadata region" || e.Headline() != e.Summary {
		t.Errorf("got %+v", e)
	}

	// The one that it is on is told though three are better.
	w.launch("b.service", "MachineID=m2")
	w.settle()
	w.launch("b.service")
	w.settle()
	if e = w.c.ExplainFully("b.service"); len(e.Best) != 4 || e.Best[3].MachineID != "m2" {
		t.Errorf("got %+v", e.Best)
	}

	// A pending one of a group.
	w.unit("c.service", unit.Launched, "MachineOf=d.service", "MachineMetadata=region=us")
	w.launch("d.service")
	w.settle()
	e = w.c.ExplainFully("c.service")
	if e.Headline() != "no machine fits" || !slices.Equal(e.With, []string{"d.service"}) || len(e.Best) != 0 {
		t.Errorf("got %+v, %s", e, e.Headline())
	}

	// One on its way.
	w.label(Label{MachineID: "m1", Draining: true})
	w.plan()
	if m := w.c.ExplainFully("a.service").Moving; m == nil || m.From != "m1" || m.To != "m4" || m.Reason != "m1 is being drained" {
		t.Errorf("moving: %+v", m)
	}
	for _, name := range []string{"nobody.service", "x.service"} {
		if e := w.c.ExplainFully(name); e.Moving != nil || len(e.With) > 0 {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

// TestBestAgreesWithPlan: the best machines are told in the order of their
// scores, all of them fit, and without one that has a claim of its own the
// first is the one that Plan takes.
func TestBestAgreesWithPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range rapid.IntRange(5, 40).Draw(t, "steps") {
			h.step()
		}
		h.now = h.now.Add(time.Hour)
		h.settle()
		name := pick(t, "unit", unitPool)
		h.destroy(name)
		h.settle()
		h.launch(name, h.options(name)...)
		for _, name := range unitPool {
			e := h.c.ExplainFully(name)
			byScore := func(a, b Score) int {
				return cmp.Or(cmp.Compare(b.Points, a.Points), strings.Compare(a.MachineID, b.MachineID))
			}
			if !slices.IsSortedFunc(e.Best, byScore) {
				t.Fatalf("%s: not by score: %+v", name, e.Best)
			}
			for _, s := range e.Best {
				if e.Pending && !slices.Contains(e.Fits, s.MachineID) {
					t.Fatalf("%s: %s is told as good and doesn't fit: %+v", name, s.MachineID, e)
				}
			}
		}
		e := h.c.ExplainFully(name)
		if n := h.c.units[name]; !e.Pending || len(n.slots)+len(e.With) > 0 || h.isGlobal(name) {
			return
		}
		h.markOnly(name)
		took, reason := h.taken(name, h.c.Plan(h.now))
		if len(e.Best) > 0 && took != e.Best[0].MachineID || len(e.Best) == 0 && took != "" {
			t.Fatalf("the best are %+v, Plan takes %q: %s", e.Best, took, reason)
		}
	})
}
