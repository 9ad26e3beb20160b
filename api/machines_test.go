package api_test

import (
	"strings"
	"testing"
	"time"

	"fleet/api"
	"fleet/schedule"
	"fleet/unit"
)

func TestMachines(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.machine("m1", "10.0.0.1", map[string]string{"region": "eu"})
	w.machine("m2", "10.0.0.2", nil)
	w.lose("m2")
	var p api.MachinePage
	w.want(200, "GET", "/fleet/v1/machines", "", &p)
	if len(p.Machines) != 1 || p.Machines[0].ID != "m1" || !p.Machines[0].Alive || p.Machines[0].Metadata["region"] != "eu" {
		t.Errorf("listed %+v, want m1 alone", p.Machines)
	}
	w.want(200, "GET", "/fleet/v1/machines?all=true", "", &p)
	if len(p.Machines) != 2 || p.Machines[1].Alive || p.Machines[1].AbsentSince != nil {
		t.Errorf("listed %+v, want m2 too, as lost", p.Machines)
	}
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	w.decide(schedule.Decision{Others: []schedule.Change{{Absence: &schedule.Absence{MachineID: "m2", Since: since}}}})
	var m api.MachineDetail
	w.want(200, "GET", "/fleet/v1/machines/m2", "", &m)
	if m.AbsentSince == nil || !m.AbsentSince.Equal(since) {
		t.Errorf("m2 is %+v, want it absent since %s", m, since)
	}
	w.machine("m2", "10.0.0.2", nil)
	var back api.MachineDetail
	w.want(200, "GET", "/fleet/v1/machines/m2", "", &back)
	if !back.Alive || back.AbsentSince != nil {
		t.Errorf("m2 is %+v, want it back", back)
	}
}

func TestPatchMachines(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.machine("m1", "10.0.0.1", map[string]string{"region": "eu", "disk": "ssd"})
	w.machine("m2", "10.0.0.2", nil)
	metadata := func(id string) map[string]string {
		var p api.MachinePage
		w.want(200, "GET", "/fleet/v1/machines", "", &p)
		for _, m := range p.Machines {
			if m.ID == id {
				return m.Metadata
			}
		}
		t.Fatalf("no machine %s", id)
		return nil
	}
	status, h, answer := w.call("PATCH", "/fleet/v1/machines", `[
		{"op":"add","path":"/m1/metadata/a~1b~0c","value":"1"},
		{"op":"replace","path":"/m1/metadata/region","value":"us"},
		{"op":"remove","path":"/m1/metadata/disk"},
		{"op":"add","path":"/m2/metadata/zone","value":"z"}]`)
	if status != 204 || h.Get("Content-Type") != "application/json" {
		t.Fatalf("got %d %s %s", status, h.Get("Content-Type"), answer)
	}
	if m := metadata("m1"); len(m) != 2 || m["a/b~c"] != "1" || m["region"] != "us" {
		t.Errorf("m1 has %v", m)
	}
	w.lose("m2")
	w.machine("m2", "10.0.0.2", nil)
	if m := metadata("m2"); m["zone"] != "z" {
		t.Errorf("m2 has come back with %v", m)
	}
	w.want(204, "PATCH", "/fleet/v1/machines", `[{"op":"add","path":"/m1/metadata/disk","value":"hdd"}]`, nil)
	if m := metadata("m1"); m["disk"] != "hdd" {
		t.Errorf("m1 has %v, want the removed key again", m)
	}
}

// TestPatchMachinesRefuses: what is wrong is told, and nothing is applied.
func TestPatchMachinesRefuses(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.machine("m1", "10.0.0.1", nil)
	good := `{"op":"add","path":"/m1/metadata/ok","value":"1"}`
	for bad, says := range map[string]string{
		`{"op":"move","path":"/m1/metadata/a"}`:                   "none of add, remove, replace",
		`{"op":"add","path":"/m1/metadata/a"}`:                    "lacks a value",
		`{"op":"add","path":"/m1/metadata/a","value":7}`:          "must be a text",
		`{"op":"add","path":"/m1/metadata/a","value":null}`:       "must be a text",
		`{"op":"add","path":"/m1/metadata/fleet.os","value":"x"}`: "fleet.os can't be changed: what begins with fleet. is what fleetd finds by itself",
		`{"op":"add","path":"/m1/cordoned","value":"true"}`:       "must be true or false",
		`{"op":"add","path":"/m1/draining","value":null}`:         "must be true or false",
		`{"op":"add","path":"/m1/cordoned"}`:                      "lacks a value",
		`{"op":"add","path":"/m1/drained","value":true}`:          "/ID/draining",
		`{"op":"add","path":"//cordoned","value":true}`:           "names no machine",
		`{"op":"add","path":"/nobody/cordoned","value":true}`:     "nobody",
		`{"op":"add","path":"/m1/metadata/a","value":"x\ny"}`:     "can't be printed",
		`{"op":"add","path":"/m1/metadata/","value":"1"}`:         "no machine and metadata key",
		`{"op":"add","path":"/m1/metadata/a~2","value":"1"}`:      "neither ~0 nor ~1",
		`{"op":"remove","path":"/m1/metadata/fleet.os"}`:          "fleet.os can't be changed",
		`{"op":"add","path":"/m1/id","value":"1"}`:                "/ID/metadata/KEY",
		`{"op":"add","path":"/m1/metadata/a/b","value":"1"}`:      "/ID/metadata/KEY",
		`{"op":"add","path":"/nobody/metadata/a","value":"1"}`:    "nobody",
		`{"op":"remove","path":"/nobody/metadata/a","value":""}`:  "nobody",
	} {
		status, _, answer := w.call("PATCH", "/fleet/v1/machines", "["+good+","+bad+"]")
		if status != 400 || !strings.Contains(answer, says) {
			t.Errorf("%s: got %d %s, want 400 with %q", bad, status, answer, says)
		}
	}
	if status, _, _ := w.call("PATCH", "/fleet/v1/machines", "["+good+"]", "Content-Type", "text/plain"); status != 415 {
		t.Errorf("text/plain: got %d", status)
	}
	for _, c := range w.snapshot() {
		if c.Label != nil {
			t.Errorf("a refused patch has written %+v", c.Label)
		}
	}
}

// TestMaintenance: machines are cordoned, drained and put back to use.
func TestMaintenance(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.machine("m1", "10.0.0.1", nil)
	f := w.put("web.service", webText, unit.Launched)
	w.run("web.service", "m1", f, unit.Launched, 3)
	everywhere := w.put("log.service", webText+"[X-Fleet]\nGlobal=true\n", unit.Launched)
	w.run("log.service", "m1", everywhere, unit.Launched, 3)
	is := func(cordoned, draining bool) {
		t.Helper()
		var m api.MachineDetail
		w.want(200, "GET", "/fleet/v1/machines/m1", "", &m)
		if m.Cordoned != cordoned || m.Draining != draining || m.Use.Units != 2 || m.Movable != 1 || len(m.Placements) != 2 || !m.Placements[0].Global || m.Placements[1].Global {
			t.Errorf("the machine is %+v, want cordoned %v, draining %v", m, cordoned, draining)
		}
	}
	w.want(204, "PATCH", "/fleet/v1/machines", `[{"op":"add","path":"/m1/cordoned","value":true}]`, nil)
	is(true, false)
	w.want(204, "PATCH", "/fleet/v1/machines", `[{"op":"replace","path":"/m1/draining","value":true},{"op":"replace","path":"/m1/cordoned","value":false}]`, nil)
	is(false, true)
	w.want(204, "PATCH", "/fleet/v1/machines", `[{"op":"remove","path":"/m1/draining"}]`, nil)
	is(false, false)
	w.want(404, "GET", "/fleet/v1/machines/m2", "", nil)
}

// TestForgetMachine: only a machine that is away can be forgotten.
func TestForgetMachine(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.machine("m1", "10.0.0.1", nil)
	if status, _, answer := w.call("DELETE", "/fleet/v1/machines/m1", ""); status != 409 || !strings.Contains(answer, "drain it") {
		t.Errorf("forgetting a machine that is there: %d %s", status, answer)
	}
	w.lose("m1")
	w.want(204, "DELETE", "/fleet/v1/machines/m1", "", nil)
	w.want(404, "DELETE", "/fleet/v1/machines/m1", "", nil)
	var p api.MachinePage
	w.want(200, "GET", "/fleet/v1/machines?all=true", "", &p)
	if len(p.Machines) != 0 {
		t.Errorf("still there: %+v", p.Machines)
	}
}

func TestStates(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.machine("m1", "10.0.0.1", nil)
	w.machine("m2", "10.0.0.2", nil)
	f := w.put("web.service", webText, unit.Launched)
	w.run("web.service", "m2", f, unit.Launched, 3)
	w.run("log.service", "m1", f, unit.Launched, 3)
	w.run("log.service", "m2", f, unit.Loaded, 3)
	w.report(unit.State{Name: "web.service", MachineID: "m1", LoadState: "loaded", ActiveState: "failed", SubState: "failed"})
	w.report(unit.State{Name: "old.service", MachineID: "m1", ActiveState: "inactive", Released: true})
	for query, want := range map[string]string{
		"":                                     "log.service/m1 log.service/m2 web.service/m1 web.service/m2",
		"?unitName=web.service":                "web.service/m1 web.service/m2",
		"?machineID=m2":                        "log.service/m2 web.service/m2",
		"?machineID=m1&unitName=log.service":   "log.service/m1",
		"?machineID=m3":                        "",
		"?unitName=nothing.service&machineID=": "",
	} {
		var p api.StatePage
		w.want(200, "GET", "/fleet/v1/state"+query, "", &p)
		var got []string
		for _, st := range p.States {
			got = append(got, st.Name+"/"+st.MachineID)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("state%s: got %v, want %s", query, got, want)
		}
	}
	var st unit.State
	w.want(200, "GET", "/fleet/v1/state/web.service", "", &st)
	if st.MachineID != "m2" || st.ActiveState != "active" || st.Hash != f.Hash {
		t.Errorf("got %+v, want the state on the machine where the unit belongs", st)
	}
	w.want(404, "GET", "/fleet/v1/state/nothing.service", "", nil)
}

func TestExplain(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.machine("m1", "10.0.0.1", nil)
	w.put("web.service", webText+"[X-Fleet]\nMachineMetadata=region=eu\n", unit.Launched)
	var x schedule.Explanation
	w.want(200, "GET", "/fleet/v1/explain/web.service", "", &x)
	if x.Summary != "no machine fits: 1 lacks metadata region=eu" {
		t.Errorf("explained as %q", x.Summary)
	}
	w.want(404, "GET", "/fleet/v1/explain/nothing.service", "", nil)
}
