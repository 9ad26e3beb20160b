package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"fleet/api"
	"fleet/schedule"
	"fleet/unit"
)

const webText = "# the front page\n[Unit]\nDescription=Web\n\n[Service]\nExecStart=/bin/sleep 1d\n"

const webOptions = `[{"section":"Unit","name":"Description","value":"Web"},{"section":"Service","name":"ExecStart","value":"/bin/sleep 1d"}]`

func TestPutUnit(t *testing.T) {
	w := newWorld(t, api.Config{})
	steps := []struct {
		what, name, body string
		header           []string
		status           int
		says             string
	}{
		{"only a state of an unknown unit", "web.service", `{"desiredState":"launched"}`, nil, 409, "unit does not exist"},
		{"a new unit", "web.service", `{"desiredState":"inactive","options":` + webOptions + `}`, nil, 201, ""},
		{"the same again", "web.service", `{"desiredState":"inactive","options":` + webOptions + `}`, nil, 204, ""},
		{"only a state", "web.service", `{"desiredState":"launched"}`, nil, 204, ""},
		{"nothing at all", "web.service", `{}`, nil, 409, "neither desiredState nor options"},
		{"other options", "web.service", `{"desiredState":"launched","options":[{"section":"Service","name":"ExecStart","value":"/bin/true"}]}`, nil, 201, ""},
		{"text where it must be new", "web.service", jsonOf(unit.Unit{Text: webText}), []string{"If-None-Match", "*"}, 412, "different file"},
		{"text over another file", "web.service", jsonOf(unit.Unit{Text: webText}), []string{"If-Match", `"abc"`}, 412, "different file"},
		{"a condition that isn't one", "web.service", jsonOf(unit.Unit{Text: webText}), []string{"If-Match", `abc`}, 400, "If-Match"},
		{"text", "web.service", jsonOf(unit.Unit{Text: webText}), nil, 201, ""},
		{"its options", "web.service", `{"options":` + webOptions + `}`, nil, 204, ""},
		{"text and other options", "web.service", `{"text":"[Service]\nExecStart=/bin/true\n","options":` + webOptions + `}`, nil, 400, "differ"},
		{"another name in the body", "web.service", `{"name":"app.service","desiredState":"loaded"}`, nil, 400, `"app.service"`},
		{"no such state", "web.service", `{"desiredState":"running"}`, nil, 400, "none of inactive, loaded, launched"},
		{"an active template", "web@.service", `{"desiredState":"launched","options":` + webOptions + `}`, nil, 400, "template"},
		{"a template", "web@.service", `{"desiredState":"inactive","options":` + webOptions + `}`, nil, 201, ""},
		{"no JSON", "web.service", `{`, nil, 400, "decode"},
		{"another media type", "web.service", `{}`, []string{"Content-Type", "text/plain"}, 415, "application/json"},
	}
	for _, s := range steps {
		status, h, answer := w.call("PUT", "/fleet/v1/units/"+s.name, s.body, s.header...)
		if status != s.status || !strings.Contains(answer, strings.ReplaceAll(s.says, `"`, `\"`)) {
			t.Errorf("%s: got %d %q, want %d with %q", s.what, status, answer, s.status, s.says)
		}
		if status >= 400 && h.Get("Content-Type") != "application/json" {
			t.Errorf("%s: content type %q of an error", s.what, h.Get("Content-Type"))
		}
	}
	var u unit.Unit
	w.want(200, "GET", "/fleet/v1/units/web.service", "", &u)
	if u.Text != webText || u.DesiredState != unit.Launched || len(u.Options) != 2 {
		t.Errorf("the unit is %+v: its text or target state has changed unasked", u)
	}
	w.want(204, "DELETE", "/fleet/v1/units/web.service", "", nil)
	w.want(404, "DELETE", "/fleet/v1/units/web.service", "", nil)
	w.want(404, "GET", "/fleet/v1/units/web.service", "", nil)
}

// TestPutUnitRefuses: what is wrong is said in the user's words, and nothing is
// written.
func TestPutUnitRefuses(t *testing.T) {
	w := newWorld(t, api.Config{})
	big := "[Service]\nExecStart=/bin/true\n#" + strings.Repeat("x", unit.MaxFileSize)
	option := func(section, name, value string) string {
		return jsonOf(unit.Unit{DesiredState: unit.Launched, Options: []unit.Option{{Section: section, Name: name, Value: value}}})
	}
	text := func(s string) string { return jsonOf(unit.Unit{DesiredState: unit.Launched, Text: s}) }
	rows := []struct {
		what, name, body string
		status           int
		says             string
	}{
		{"a name with a wrong character", "we%20b.service", text(webText), 400, "only letters, digits"},
		{"a name without a type", "web", text(webText), 400, "no suffix"},
		{"a name of another type", "web.conf", text(webText), 400, "no unit type"},
		{"a name that is too long", strings.Repeat("a", 250) + ".service", text(webText), 400, "255"},
		{"a name that begins with @", "@web.service", text(webText), 400, "starts with @"},
		{"a file that is too large", "web.service", text(big), 413, "unit file is larger than 1 MiB"},
		{"a body that is too large", "web.service", text(strings.Repeat("x", 9<<20)), 413, "the body is larger than 8 MiB"},
		{"a NUL", "web.service", text("[Service]\nExecStart=/bin/true\x00\n"), 400, "NUL"},
		{"no section", "web.service", text("ExecStart=/bin/true\n"), 400, "section"},
		{"no UTF-8", "web.service", `{"desiredState":"launched","text":"[Service]` + "\xff" + `"}`, 400, "UTF-8"},
		{"an unknown option", "web.service", text("[X-Fleet]\nConflict=web.service\n"), 400, "did you mean Conflicts?"},
		{"a bad glob", "web.service", text("[X-Fleet]\nConflicts=[\n"), 400, "Conflicts"},
		{"half a boolean", "web.service", text("[X-Fleet]\nGlobal=maybe\n"), 400, "maybe"},
		{"instances of no template", "web.service", text("[X-Fleet]\nInstances=3\n"), 400, "web.service: line 2: Instances is for templates"},
		{"a size that isn't one", "web.service", option("X-Fleet", "MemoryReservation", "512MB"), 400, "did you mean 512M?"},
		{"a smuggled directive", "web.service", option("Service", "ExecStart", "/bin/true\nUser=root"), 400, "line break"},
		{"a smuggled directive after a return", "web.service", option("Service", "ExecStart", "/bin/true\rUser=root"), 400, "line break"},
		{"a smuggled section", "web.service", option("Service]\n[X", "ExecStart", "/bin/true"), 400, "line break"},
		{"a smuggled name", "web.service", option("Service", "A=b\nExecStart", "/bin/true"), 400, "line break"},
	}
	for _, r := range rows {
		status, _, answer := w.call("PUT", "/fleet/v1/units/"+r.name, r.body)
		if status != r.status || !strings.Contains(answer, r.says) {
			t.Errorf("%s: got %d %q, want %d with %q", r.what, status, answer, r.status, r.says)
		}
	}
	for _, c := range w.snapshot() {
		if c.Unit != nil {
			t.Errorf("%s was written", c.Unit.Name)
		}
	}
}

func TestUnitStatus(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.machine("m1", "10.0.0.1", nil)
	w.machine("m2", "10.0.0.2", nil)
	f := w.put("web.service", webText, unit.Launched)
	check := func(what string, current unit.TargetState, machine string) {
		t.Helper()
		var u unit.Unit
		w.want(200, "GET", "/fleet/v1/units/web.service", "", &u)
		if u.CurrentState != current || u.MachineID != machine {
			t.Errorf("%s: currentState %q on %q, want %q on %q", what, u.CurrentState, u.MachineID, current, machine)
		}
	}
	check("unplaced", unit.Inactive, "")
	p := schedule.Placement{Unit: "web.service", MachineID: "m1", Hash: f.Hash, Target: unit.Launched, Order: schedule.Run, Generation: 7}
	w.place(p, false)
	check("placed and not reported", unit.Inactive, "m1")
	st := unit.State{Name: "web.service", Hash: f.Hash, MachineID: "m1", LoadState: "loaded", ActiveState: "activating", SubState: "start", Generation: 7}
	w.report(st)
	check("on its way", unit.Inactive, "m1")
	w.run("web.service", "m1", f, unit.Launched, 7)
	check("there", unit.Launched, "m1")
	g := w.put("web.service", webText+"Restart=always\n", unit.Launched)
	check("with a new file that the machine has not yet", unit.Loaded, "m1")
	w.run("web.service", "m1", g, unit.Launched, 9)
	check("with the new file", unit.Launched, "m1")
	w.put("web.service", webText+"Restart=always\n", unit.Loaded)
	check("not stopped yet", unit.Launched, "m1")
	p.Order, p.Generation = schedule.Release, 11
	w.place(p, false)
	check("being released", unit.Launched, "")
	w.put("web.service", webText+"Restart=always\n", unit.Launched)
	check("wanted again while it is being released", unit.Loaded, "")
	st.Generation, st.Released, st.ActiveState = 11, true, "inactive"
	w.report(st)
	check("released", unit.Inactive, "")
}

func TestGlobalUnitHasNoSinglePlace(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.machine("m1", "10.0.0.1", nil)
	f := w.put("log.service", "[Service]\nExecStart=/bin/true\n[X-Fleet]\nGlobal=true\n", unit.Launched)
	w.run("log.service", "m1", f, unit.Launched, 3)
	status, _, answer := w.call("GET", "/fleet/v1/units/log.service", "")
	if status != 200 || strings.Contains(answer, "currentState") || strings.Contains(answer, "machineID") {
		t.Errorf("got %d %s, want neither currentState nor machineID", status, answer)
	}
}

func TestListingIsOneSnapshot(t *testing.T) {
	w := newWorld(t, api.Config{PageLimit: 2})
	for i := range 5 {
		w.put(fmt.Sprintf("u%d.service", i), webText, unit.Inactive)
	}
	var names []string
	path := "/fleet/v1/units"
	for n := 0; path != ""; n++ {
		var p api.UnitPage
		w.want(200, "GET", path, "", &p)
		for _, u := range p.Units {
			names = append(names, u.Name)
			if len(u.Options) != 2 || u.Hash == "" {
				t.Errorf("%s is listed without options or hash", u.Name)
			}
		}
		if path = ""; p.NextPageToken != "" {
			path = "/fleet/v1/units?nextPageToken=" + p.NextPageToken
		}
		if n == 0 { // later pages must show neither
			w.must(w.reg.DeleteUnit(t.Context(), "u4.service"))
			w.put("u0b.service", webText, unit.Inactive)
		}
	}
	if got := strings.Join(names, " "); got != "u0.service u1.service u2.service u3.service u4.service" {
		t.Errorf("listed %s", got)
	}
}

func TestPageToken(t *testing.T) {
	w := newWorld(t, api.Config{PageLimit: 2})
	other := newWorld(t, api.Config{PageLimit: 3})
	for i := range 5 {
		w.put(fmt.Sprintf("u%d.service", i), webText, unit.Inactive)
		other.put(fmt.Sprintf("u%d.service", i), webText, unit.Inactive)
	}
	var p, q api.UnitPage
	w.want(200, "GET", "/fleet/v1/units", "", &p)
	other.want(200, "GET", "/fleet/v1/units", "", &q)
	for what, path := range map[string]string{
		"no token":              "units?nextPageToken=hello",
		"a longer one":          "units?nextPageToken=" + p.NextPageToken + "AAAA",
		"of another listing":    "state?nextPageToken=" + p.NextPageToken,
		"of another page limit": "units?nextPageToken=" + q.NextPageToken,
	} {
		if status, _, answer := w.call("GET", "/fleet/v1/"+path, ""); status != 400 {
			t.Errorf("%s: got %d %s, want 400", what, status, answer)
		}
	}
}

func TestEmptyListingsAreLists(t *testing.T) {
	w := newWorld(t, api.Config{})
	for path, want := range map[string]string{"units": `{"units":[]}`, "state": `{"states":[]}`, "machines": `{"machines":[]}`} {
		if _, h, answer := w.call("GET", "/fleet/v1/"+path, ""); answer != want || h.Get("Content-Type") != "application/json" {
			t.Errorf("%s: got %s (%s), want %s", path, answer, h.Get("Content-Type"), want)
		}
	}
}

func TestUnknownCalls(t *testing.T) {
	w := newWorld(t, api.Config{})
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"POST", "/fleet/v1/units", http.StatusMethodNotAllowed},
		{"PATCH", "/fleet/v1/units/web.service", http.StatusMethodNotAllowed},
		{"DELETE", "/fleet/v1/state", http.StatusMethodNotAllowed},
		{"GET", "/fleet/v1/nothing", http.StatusNotFound},
		{"GET", "/", http.StatusNotFound},
	} {
		status, _, answer := w.call(c.method, c.path, "")
		if status != c.status || !strings.HasPrefix(answer, `{"error":{"code":`) {
			t.Errorf("%s %s: got %d %s, want %d", c.method, c.path, status, answer, c.status)
		}
	}
	if _, h, _ := w.call("POST", "/fleet/v1/units/web.service", ""); h.Get("Allow") != "DELETE, GET, PUT" {
		t.Errorf("Allow is %q", h.Get("Allow"))
	}
}

func TestUnavailable(t *testing.T) {
	w := newWorld(t, api.Config{Unavailable: func() string { return "another machine has this machine's ID" }})
	for _, path := range []string{"units", "units/web.service", "state", "machines", "discovery", "events"} {
		status, _, answer := w.call("GET", "/fleet/v1/"+path, "")
		if status != 503 || !strings.Contains(answer, "another machine has this machine's ID") {
			t.Errorf("%s: got %d %s, want 503 with the reason", path, status, answer)
		}
	}
}

// TestCompactedPage: a page of a snapshot that the store has no more is gone,
// and says so.
func TestCompactedPage(t *testing.T) {
	w := newWorld(t, api.Config{PageLimit: 1})
	w.put("a.service", webText, unit.Inactive)
	w.put("b.service", webText, unit.Inactive)
	var first api.UnitPage
	w.want(200, "GET", "/fleet/v1/units", "", &first)
	for i := range 6 { // later listings push the first out of what is kept
		w.put(fmt.Sprintf("c%d.service", i), webText, unit.Inactive)
		w.want(200, "GET", "/fleet/v1/units", "", nil)
	}
	path := "/fleet/v1/units?nextPageToken=" + first.NextPageToken
	var second api.UnitPage
	w.want(200, "GET", path, "", &second)
	if len(second.Units) != 1 || second.Units[0].Name != "b.service" || second.NextPageToken != "" {
		t.Errorf("the second page is %+v", second)
	}
	u, err := w.reg.Snapshot(t.Context(), 0)
	w.must(err)
	w.must(w.kv.Compact(t.Context(), u.Revision))
	if status, _, answer := w.call("GET", path, ""); status != 410 || !strings.Contains(answer, "list again") {
		t.Errorf("got %d %s, want 410", status, answer)
	}
}

// TestTemplateAsAWhole: a template whose file says of how many instances it is
// made has a target state and a number that can be changed.
func TestTemplateAsAWhole(t *testing.T) {
	w := newWorld(t, api.Config{})
	const path = "/fleet/v1/units/app@.service"
	put := func(status int, body, says string) {
		t.Helper()
		if got, _, answer := w.call("PUT", path, body); got != status || !strings.Contains(answer, says) {
			t.Errorf("PUT %s: %d %s, want %d with %q", body, got, answer, status, says)
		}
	}
	put(400, `{"desiredState":"launched","text":"[Service]\nExecStart=/bin/true\n"}`, "Instances=")
	put(409, `{"instances":5}`, "does not exist")
	put(201, `{"desiredState":"inactive","text":"[Service]\nExecStart=/bin/true\n"}`, "")
	put(400, `{"desiredState":"launched"}`, "Instances=")
	put(400, `{"instances":5}`, "doesn't say Instances=")
	put(201, `{"desiredState":"launched","text":"[Service]\nExecStart=/bin/true\n[X-Fleet]\nInstances=3\n"}`, "")
	kept := func(want int) {
		t.Helper()
		var u unit.Unit
		w.want(200, "GET", path, "", &u)
		if u.Instances == nil || *u.Instances != want || u.DesiredState != unit.Launched {
			t.Errorf("the template is %+v, want launched with %d instances", u, want)
		}
	}
	kept(3)
	put(204, `{"instances":5}`, "")
	kept(5)
	put(400, `{"instances":-1}`, "0 to 10000")
	put(204, `{"desiredState":"loaded"}`, "")
	put(204, `{"desiredState":"launched"}`, "")
	kept(5)
	put(204, `{"instances":3}`, "")
	kept(3)
	for _, c := range w.snapshot() {
		if c.Unit != nil && c.Unit.Scaled != nil {
			t.Errorf("scaled back to what the file says, and still %+v", c.Unit.Scaled)
		}
	}
	if got, _, answer := w.call("PUT", "/fleet/v1/units/app@1.service", `{"instances":3}`); got != 400 {
		t.Errorf("an instance was scaled: %d %s", got, answer)
	}
}

// TestTemplateStateIsTheLowest: a template has got as far as the last of its
// instances.
func TestTemplateStateIsTheLowest(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.machine("m1", "10.0.0.1", nil)
	const text = "[Service]\nExecStart=/bin/true\n[X-Fleet]\nInstances=2\n"
	f := w.put("app@.service", text, unit.Launched)
	for i, want := range []unit.TargetState{unit.Inactive, unit.Inactive, unit.Launched} {
		if i > 0 {
			name := fmt.Sprintf("app@%d.service", i)
			w.put(name, text, unit.Launched)
			w.run(name, "m1", f, unit.Launched, 3)
		}
		var u unit.Unit
		w.want(200, "GET", "/fleet/v1/units/app@.service", "", &u)
		if u.CurrentState != want {
			t.Errorf("with %d instances up the template is %s, want %s", i, u.CurrentState, want)
		}
	}
}

// TestRefusedScaleChangesNothing: not what the same request asks for besides.
func TestRefusedScaleChangesNothing(t *testing.T) {
	w := newWorld(t, api.Config{})
	const path = "/fleet/v1/units/app@.service"
	text := func(options string) string {
		return jsonOf(unit.Unit{Text: "[Service]\nExecStart=/bin/true\n[X-Fleet]\n" + options})
	}
	w.want(201, "PUT", path, text("MachineOf=db.service\nInstances=3\n"), nil)
	for body, says := range map[string]string{
		`{"desiredState":"launched","instances":40}`:                               "app@.service can't have 40 instances: MachineOf would bind more than 32 units together",
		`{"desiredState":"launched","instances":-1}`:                               "0 to 10000",
		`{"instances":5,"options":[{"section":"Service","name":"A","value":"b"}]}`: "doesn't say Instances=",
		text("MachineOf=db.service\nInstances=40\n"):                               "app@.service can't be placed: MachineOf would bind more than 32 units together",
	} {
		if got, _, answer := w.call("PUT", path, body); got != 400 || !strings.Contains(answer, says) {
			t.Errorf("PUT %s: %d %s, want 400 with %q", body, got, answer, says)
		}
	}
	var u unit.Unit
	w.want(200, "GET", path, "", &u)
	if u.DesiredState != unit.Inactive || *u.Instances != 3 || !strings.Contains(u.Text, "Instances=3") {
		t.Errorf("the template is %+v", u)
	}
}
