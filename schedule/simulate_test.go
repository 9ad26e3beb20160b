package schedule

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"fleet/unit"
)

// imagine simulates from what the store holds.
func (w *world) imagine(what WhatIf) Outcome {
	w.t.Helper()
	o, err := Simulate(w.snapshot(), DefaultPolicy(), w.now, what)
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	return o
}

// told writes an outcome as people would.
func told(o Outcome) string {
	var b strings.Builder
	moves := func(what string, list []Move) {
		for _, m := range list {
			fmt.Fprintf(&b, "%s %s %s>%s: %s\n", what, m.Unit, m.From, m.To, m.Reason)
		}
	}
	if len(o.Lost) > 0 {
		fmt.Fprintf(&b, "lost %s\n", strings.Join(o.Lost, " "))
	}
	if len(o.Added) > 0 {
		fmt.Fprintf(&b, "added %s\n", strings.Join(o.Added, " "))
	}
	moves("placed", o.Placed)
	moves("moved", o.Moved)
	moves("restarted", o.Restarted)
	moves("stopped", o.Stopped)
	for _, p := range o.Pending {
		fmt.Fprintf(&b, "pending %s from %q before=%v: %s\n", p.Unit, p.From, p.Before, p.Reason)
	}
	return strings.TrimSpace(b.String())
}

func (w *world) imagines(what WhatIf, want ...string) {
	w.t.Helper()
	if got := told(w.imagine(what)); got != strings.Join(want, "\n") {
		w.t.Fatalf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func condition(t fataler, text string) unit.Condition {
	c, err := unit.ParseCondition(text)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return c
}

func TestSimulateLoss(t *testing.T) {
	w := newWorld(t)
	w.join("m1 az=a")
	w.join("m2 az=b", "m3 az=b")
	w.launch("a.service", "MachineMetadata=az=a")
	w.launch("b.service", "MachineMetadata=az=b")
	w.launch("log.service", "Global=true")
	w.launch("nowhere.service", "MachineMetadata=az=z")
	w.settle()
	w.expect("b.service", "m2:run")
	nowhere := `pending nowhere.service from "" before=true: no machine fits: %s`
	w.imagines(WhatIf{Lose: []string{"m2"}},
		"lost m2",
		"moved b.service m2>m3: m2 is lost",
		fmt.Sprintf(nowhere, "2 lack metadata az=z, 1 is lost"))
	w.imagines(WhatIf{LoseWhere: []unit.Condition{condition(t, "az=b")}},
		"lost m2 m3",
		`pending b.service from "m2" before=false: no machine fits: 2 are lost, 1 lacks metadata az=b`,
		fmt.Sprintf(nowhere, "2 are lost, 1 lacks metadata az=z"))
	w.imagines(WhatIf{Lose: []string{"m2", "m3"}, Add: 1, AddWith: map[string]string{"az": "z"}},
		"lost m2 m3", "added new-1",
		"placed log.service >new-1: it belongs on every machine that fits",
		"placed nowhere.service >new-1: of the machines that fit it had the fewest units",
		`pending b.service from "m2" before=false: no machine fits: 2 are lost, 2 lack metadata az=b`)
	w.quiet()
}

func TestSimulateAddsInProportion(t *testing.T) {
	w := newWorld(t)
	w.join("m1 az=a", "m2 az=a")
	w.join("m3 az=b")
	w.label(Label{MachineID: "m1", Set: map[string]string{"disk": "ssd"}})
	w.label(Label{MachineID: "m2", Set: map[string]string{"disk": "ssd"}, Cordoned: true})
	for i := range 6 {
		w.launch(fmt.Sprintf("a%d.service", i), "MachineMetadata=az=a", "MachineMetadata=disk=ssd", "Conflicts=a?.service")
		w.launch(fmt.Sprintf("b%d.service", i), "MachineMetadata=az=b", "Conflicts=b?.service")
	}
	w.settle()
	o := w.imagine(WhatIf{Add: 6})
	at := map[string]int{}
	for _, m := range o.Placed {
		at[m.Unit[:1]]++
	}
	if at["a"] != 4 || at["b"] != 2 || len(o.Pending) != 4 {
		t.Errorf("got\n%s", told(o))
	}
	empty, err := Simulate(Update{Snapshot: true, Revision: 1}, DefaultPolicy(), w.now, WhatIf{Add: 1, Start: []Start{{"x.service", file(t)}}})
	if err != nil || len(empty.Placed) != 1 || empty.Placed[0].To != "new-1" {
		t.Errorf("got %+v, %v", empty, err)
	}
}

func TestSimulateStart(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("web.service")
	w.unit("idle.service", unit.Inactive)
	w.unit("app@.service", unit.Inactive)
	w.settle()
	w.imagines(WhatIf{Start: []Start{
		{"web.service", file(t, "MachineID=m2")},
		{"idle.service", nil},
		{"app@7.service", nil},
		{"fits.service", file(t, "Conflicts=idle.service", "MachineMetadata=gpu=yes")},
	}},
		"placed app@7.service >m2: of the machines that fit it had the fewest units",
		"placed idle.service >m1: of the machines that fit it had the fewest units",
		"moved web.service m1>m2: m1 is not machine m2",
		`pending fits.service from "" before=false: no machine fits: 2 lack metadata gpu=yes`)
	w.imagines(WhatIf{Start: []Start{{"web.service", file(t, "Priority=3")}}}, "restarted web.service m1>m1: its file changed")
	w.imagines(WhatIf{Start: []Start{{"web.service", nil}}}, "")
}

// TestSimulateInstances: what the engine keeps and rolls is played to its end.
func TestSimulateInstances(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2", "m3")
	w.imagines(WhatIf{Start: []Start{{"app@.service", file(t, "Instances=3", "Conflicts=app@*.service", "Spread=az")}}},
		"placed app@1.service >m1: of the machines that fit it had the best score",
		"placed app@2.service >m2: of the machines that fit it had the best score",
		"placed app@3.service >m3: of the machines that fit it had the best score")
	w.launch("app@.service", "Instances=2")
	w.settle()
	w.imagines(WhatIf{Start: []Start{{"app@.service", file(t, "Instances=1", "Priority=1")}}},
		"restarted app@1.service m1>m1: its file changed",
		"stopped app@2.service m2>: app@2.service was destroyed")
	w.imagines(WhatIf{Start: []Start{{"app@.service", file(t, "Instances=4", "MachineMetadata=az=z")}}},
		`pending app@3.service from "" before=false: no machine fits: 3 lack metadata az=z`,
		`pending app@4.service from "" before=false: no machine fits: 3 lack metadata az=z`)
}

// TestSimulateFinished: what has done its work waits for nothing.
func TestSimulateFinished(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("job.service", "RunOnce=true")
	w.settle()
	s := w.running["m1"]["job.service"]
	s.ActiveState = "inactive"
	w.running["m1"]["job.service"] = s
	w.report("m1", s)
	w.settle()
	w.imagines(WhatIf{Lose: []string{"m1"}}, "lost m1")
}

func TestSimulateReplaces(t *testing.T) {
	w := newWorld(t)
	w.join("m1 az=a", "m2")
	w.launch("old.service")
	w.settle()
	w.imagines(WhatIf{Start: []Start{{"new.service", file(t, "Replaces=old.service", "MachineMetadata=az=a")}}},
		"placed new.service >m1: it replaces old.service there",
		"moved old.service m1>m2: new.service replaces old.service on m1")
}

// TestSimulateEndsWhatIsUnderWay: what would happen anyway is no outcome.
func TestSimulateEndsWhatIsUnderWay(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2", "m3")
	w.launch("a.service", "MachineID=m1")
	w.settle()
	w.launch("a.service", "MachineID=m2")
	w.launch("b.service")
	w.plan()
	w.imagines(WhatIf{Lose: []string{"m3"}}, "lost m3", "moved b.service m3>m1: m3 is lost")
}

func TestSimulateRefuses(t *testing.T) {
	w := newWorld(t)
	w.join("m1 az=a", "m2 az=a")
	w.die("m2")
	w.unit("app@.service", unit.Inactive)
	w.launch("a.service", "MachineOf=b.service")
	for _, test := range []struct {
		what WhatIf
		want string
	}{
		{WhatIf{Lose: []string{"m7"}}, "machine m7 is not there"},
		{WhatIf{Lose: []string{"m2"}}, "machine m2 is not there"},
		{WhatIf{LoseWhere: []unit.Condition{condition(t, "az>=3")}}, "no machine that is there has metadata az>=3"},
		{WhatIf{Add: -1}, "-1 machines to add: it must be 1 to 10000"},
		{WhatIf{Add: MaxAdded + 1}, "10001 machines to add: it must be 1 to 10000"},
		{WhatIf{Start: []Start{{"x.service", nil}}}, "x.service: unit does not exist"},
		{WhatIf{Start: []Start{{"app@.service", nil}}}, "app@.service is a template without Instances=: only its instances can be started"},
		{WhatIf{Start: []Start{{"b.service", file(t, "MachineOf=a.service")}}}, "b.service: a.service and b.service each ask for the other's machine (MachineOf cycle)"},
	} {
		if _, err := Simulate(w.snapshot(), DefaultPolicy(), w.now, test.what); err == nil || err.Error() != test.want {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
}

// TestSimulateChangesNothing also holds it to its word: what it tells is what
// happens.
func TestSimulateChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range rapid.IntRange(5, 40).Draw(t, "steps") {
			h.step()
		}
		h.now = h.now.Add(time.Hour)
		h.settle()
		what := WhatIf{Add: rapid.IntRange(0, 2).Draw(t, "add")}
		if id := pick(t, "machine", machinePool); h.live(id) {
			what.Lose = []string{id}
		}
		u := h.snapshot()
		before := asJSON(t, u)
		o, err := Simulate(u, DefaultPolicy(), h.now, what)
		if err != nil {
			t.Fatal(err)
		}
		if o.Restless {
			t.Fatal("there is no end of it")
		}
		if asJSON(t, u) != before {
			t.Fatal("the snapshot has changed")
		}
		again, err := Simulate(u, DefaultPolicy(), h.now, what)
		if err != nil || told(again) != told(o) {
			t.Fatalf("first\n%s\nthen\n%s", told(o), told(again))
		}
		if what.Add == 0 {
			h.comesTrue(what, o)
		}
	})
}

// comesTrue has happen what was simulated.
func (h *history) comesTrue(what WhatIf, o Outcome) {
	h.die(what.Lose...)
	h.settle()
	for _, m := range append(o.Placed, o.Moved...) {
		if !h.isGlobal(m.Unit) && h.whereRun(m.Unit) != m.To {
			h.rt.Fatalf("%s is on %q, and was to go to %s", m.Unit, h.whereRun(m.Unit), m.To)
		}
	}
	for _, p := range o.Pending {
		if h.whereRun(p.Unit) != "" {
			h.rt.Fatalf("%s is on %q, and was to wait: %s", p.Unit, h.whereRun(p.Unit), p.Reason)
		}
	}
}

func asJSON(t fataler, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return string(b)
}
