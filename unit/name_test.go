package unit_test

import (
	"strings"
	"testing"

	"fleet/unit"
)

func TestParseName(t *testing.T) {
	long := strings.Repeat("a", unit.MaxNameSize-len(".service"))
	for _, tt := range []struct {
		in                       string
		prefix, instance, suffix string
		template                 string
	}{
		{"web.service", "web", "", ".service", ""},
		{"app@.service", "app", "", ".service", "app@.service"},
		{"app@1.service", "app", "1", ".service", "app@.service"},
		{"app@a@b.timer", "app", "a@b", ".timer", "app@.timer"},
		{"app@1.2.socket", "app", "1.2", ".socket", "app@.socket"},
		{"a.b.mount", "a.b", "", ".mount", ""},
		{".hidden.service", ".hidden", "", ".service", ""},
		{`dev-a\x2db.device`, `dev-a\x2db`, "", ".device", ""},
		{"Az09:-_.path", "Az09:-_", "", ".path", ""},
		{long + ".service", long, "", ".service", ""},
	} {
		n, err := unit.ParseName(tt.in)
		want := unit.Name{Full: tt.in, Prefix: tt.prefix, Instance: tt.instance, Suffix: tt.suffix}
		if err != nil || n != want {
			t.Errorf("ParseName(%q) = %+v, %v", tt.in, n, err)
		}
		if n.Template() != tt.template {
			t.Errorf("%s has the template %q, want %q", n, n.Template(), tt.template)
		}
		if n.IsInstance() != (tt.instance != "") || n.IsTemplate() != (tt.template == tt.in) {
			t.Errorf("%s: instance %v, template %v", n, n.IsInstance(), n.IsTemplate())
		}
	}
	for _, suffix := range strings.Fields("automount busname device mount path scope service slice snapshot socket swap target timer") {
		if n, err := unit.ParseName("a." + suffix); err != nil || n.Type() != suffix {
			t.Errorf("a.%s: type %q, %v", suffix, n.Type(), err)
		}
		_, err := unit.ParseName("a@." + suffix)
		if can := strings.Contains("path service socket target timer", suffix); (err == nil) != can {
			t.Errorf("a@.%s: %v", suffix, err)
		}
	}
}

func TestParseNameRefuses(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", "unit name is empty"},
		{strings.Repeat("a", 248) + ".service", "is 256 bytes long, the limit is 255"},
		{"@a.service", `unit name "@a.service" starts with @`},
		{"web", `unit name "web" has no suffix such as .service`},
		{"web.", `unit name "web." ends in ., which is no unit type`},
		{"web.conf", "ends in .conf, which is no unit type"},
		{"web.Service", "ends in .Service, which is no unit type"},
		{".service", `unit name ".service" has nothing before .service`},
		{"a b.service", `has ' ' in it: only letters, digits and :-_.\@ are allowed`},
		{"../a.service", `has '/' in it`},
		{"ü.service", `has 'ü' in it`},
		{"a\nb.service", `has '\n' in it`},
		{"a@1.mount", "must be a path, service, socket, target or timer"},
		{"a@.slice", "must be a path, service, socket, target or timer"},
	} {
		_, err := unit.ParseName(tt.in)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ParseName(%q): %v, want %q", tt.in, err, tt.want)
		}
	}
}

func TestInstances(t *testing.T) {
	name := func(s string) unit.Name {
		n, err := unit.ParseName(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	template := name("app@.service")
	for s, want := range map[string]bool{
		"app@1.service": true, "app@.service": false, "app.service": false,
		"app@1.timer": false, "app2@1.service": false,
	} {
		if got := name(s).InstanceOf(template); got != want {
			t.Errorf("%s is an instance of %s: %v", s, template, got)
		}
	}
	for _, from := range []string{"app@.service", "app@7.service"} {
		if n, err := name(from).WithInstance("1"); err != nil || n != name("app@1.service") {
			t.Errorf("instance 1 of %s: %v, %v", from, n, err)
		}
	}
	if _, err := template.WithInstance(""); err == nil {
		t.Error("an empty instance was accepted")
	}
	if _, err := template.WithInstance("a/b"); err == nil {
		t.Error("the instance a/b was accepted")
	}
	if _, err := name("app.service").WithInstance("1"); err == nil {
		t.Error("app.service was taken for a template")
	}
}
