package unit_test

import (
	"crypto/sha256"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fleet/unit"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "[Unit]\nDescription=a\n\n[Service]\nExecStart=/bin/sh -c \\\n  'x' \\\n# c\n y\n[Unit]\nAfter=b\n",
		"\ufeff[A]\r\nB=c\\\\\r\n;d\n\r[X-Fleet]\nConflicts=a*\n", "[a]\nb=\\ \nc=\\\n", "[", "[]", "A=b\n[C]", "[X-Fleet]\nGlobl=\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := unit.Parse(text)
		if err != nil {
			return
		}
		if file.Text != string(text) {
			t.Fatalf("text became %q", file.Text)
		}
		if want := fmt.Sprintf("%x", sha256.Sum256(text)); file.Hash != want {
			t.Fatalf("hash is %s, want %s", file.Hash, want)
		}
		if len(file.Options) == 0 {
			return
		}
		// What was parsed can be sent as options and means the same there.
		made, err := unit.FromOptions(file.Options)
		if err != nil {
			t.Fatalf("%q: %v", file.Options, err)
		}
		again, err := unit.Parse([]byte(made.Text))
		if err != nil {
			t.Fatalf("%q: %v", made.Text, err)
		}
		if diff := cmp.Diff(made.Options, again.Options); diff != "" {
			t.Fatal(diff)
		}
		for _, o := range file.Options {
			if diff := cmp.Diff(file.Values(o.Section, o.Name), again.Values(o.Section, o.Name)); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func FuzzName(f *testing.F) {
	for _, seed := range []string{"", "a.service", "a@.service", "a@b@c.timer", `a\x2db.mount`, "@.service", "a@.mount", ".path"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := unit.Unescape(unit.Escape(s)); strings.Contains(s, "\x00") == (err == nil) || err == nil && got != s {
			t.Fatalf("Unescape(Escape(%q)) = %q, %v", s, got, err)
		}
		n, err := unit.ParseName(s)
		if err != nil {
			return
		}
		if strings.ContainsAny(s, "/ \n\x00*?[") || len(s) > unit.MaxNameSize || unit.IsGlob(s) || !unit.Match(s, s) && !strings.Contains(s, `\`) {
			t.Fatalf("%q is no name", s)
		}
		if n.Full != s || n.Prefix == "" {
			t.Fatalf("%+v", n)
		}
		if n.IsInstance() {
			template, err := unit.ParseName(n.Template())
			if err != nil || !template.IsTemplate() || !n.InstanceOf(template) {
				t.Fatalf("%q has the template %+v, %v", s, template, err)
			}
			if again, err := template.WithInstance(n.Instance); err != nil || again != n {
				t.Fatalf("%q is not instance %q of its template: %v, %v", s, n.Instance, again, err)
			}
		} else if n.IsTemplate() != strings.Contains(s, "@") {
			t.Fatalf("%+v", n)
		}
	})
}

func FuzzRequirements(f *testing.F) {
	for _, seed := range []string{
		"Conflicts=a*\nMachineOf=b.service\nMachineMetadata=\"a=b\" \"c=d\"", "Global=yes\nConflicts=", "Replaces=%p@*.%n",
		"MachineID=%i\nMachineMetadata=x=%I%J%f%%", "X-Conflicts=[", `Conflicts=a\x2db\`, "MachineOf=%n",
		"MachineMetadata=\"!spot\" \"cpus>=16\"\nMachineMetadata=region != eu\nMachineMetadata=memory<1.5T",
		"Prefer=ssd\nPrefer=\"a=%i\" \"docker>=20.10.5\"\nAvoid=%p-*\nAvoid=\"b.service\" \"c[12]*\"\nSpread=az hard",
		"MemoryReservation=512M\nCPUReservation=1.5\nPriority=-10\nReschedule=on-failure:3\nRunOnce=yes",
		"Instances=3\nMaxUnavailable=2\nSpread=%p\nReplaces=a@*\nMachineOf=a@2.service", "MachineMetadata=a= =b\nMachineMetadata=a=>b",
		"Global=1\nMachineOf=b.service\nMemoryReservation=1E\nRunOnce=0", "Memory=1G\nInstances=\nSpread=a b", "Spread=\u00a0\nPriority=\u0663",
	} {
		for _, name := range []string{"a@1.service", "a@.service", "a.timer"} {
			f.Add(name, seed)
		}
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		file, err := unit.Parse([]byte("[X-Fleet]\n" + text))
		if err != nil {
			return
		}
		r, err := file.Requirements(name)
		if err != nil {
			return
		}
		if err := unit.Check(name, file); err != nil && !strings.Contains(name, "@.") {
			t.Fatalf("has requirements, but %v", err)
		}
		if r.Global && (r.MachineID != "" || r.Replaces != nil || r.Prefer != nil || r.Avoid != nil || r.Spread.Key != "" ||
			r.Instances != nil || r.MaxUnavailable != 0 || r.Reschedule != 0 || r.RunOnce) || r.Conflicts != nil && r.Replaces != nil {
			t.Fatalf("%+v", r)
		}
		checkAmounts(t, name, &r)
		for _, c := range append(r.Conditions, r.Prefer...) {
			if again, err := unit.ParseCondition(c.String()); err != nil || again != c {
				t.Fatalf("%+v is printed as %q, which is %+v, %v", c, c, again, err)
			}
			c.Holds(map[string]string{c.Key: c.Value})
		}
		for _, other := range r.MachineOf {
			if _, err := unit.ParseName(other); err != nil || other == name {
				t.Fatalf("follows %q, %v", other, err)
			}
		}
		for _, glob := range slices.Concat(r.Conflicts, r.Replaces, r.Avoid) {
			if ok, err := path.Match(glob, name); err != nil || ok && !unit.IsGlob(glob) {
				t.Fatalf("%q, %v", glob, err)
			}
			for _, other := range r.MachineOf {
				if unit.Match(glob, other) && (!slices.Contains(r.Avoid, glob) || glob == other) {
					t.Fatalf("%q matches %q", glob, other)
				}
			}
		}
		for _, m := range r.Metadata {
			if m.Key == "" || len(m.Values) == 0 {
				t.Fatalf("%+v", r.Metadata)
			}
		}
		if again, err := file.Requirements(name); err != nil || !cmp.Equal(r, again) {
			t.Fatalf("%+v, then %+v, %v", r, again, err)
		}
	})
}

// checkAmounts fails where a number is out of its bounds, or has no meaning for
// the unit.
func checkAmounts(t *testing.T, name string, r *unit.Requirements) {
	n, err := unit.ParseName(name)
	if err != nil {
		t.Fatal(err)
	}
	within := func(v, most int64) bool { return 0 <= v && v <= most }
	if !within(r.Memory, 1<<60) || !within(r.CPU, 100_000_000) || !within(int64(r.Priority)+1_000_000, 2_000_000) ||
		!within(int64(r.MaxUnavailable), unit.MaxInstances) || !within(int64(r.Reschedule), 100) {
		t.Fatalf("%+v", r)
	}
	if r.Instances != nil && !within(int64(*r.Instances), unit.MaxInstances) {
		t.Fatalf("%d instances", *r.Instances)
	}
	if n.Template() == "" && (r.Instances != nil || r.MaxUnavailable != 0 || r.Spread.Key != "") || r.RunOnce && n.Suffix != ".service" {
		t.Fatalf("%s has %+v", name, r)
	}
}

func FuzzCondition(f *testing.F) {
	for _, seed := range []string{
		"ssd", "!ssd", "region=eu", "region != eu", "cpus>=16", "memory<1.5T", "docker>20.10.24+dfsg1", "a=>b", "a= =b", "a~b", "a ~ = b", "cold<=-5",
	} {
		for _, value := range []string{"", "16", "2T", "20.10", "6.1.0-18-amd64", "1..2", "-0", "9007199254740993"} {
			f.Add(seed, value)
		}
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		c, err := unit.ParseCondition(text)
		if err != nil {
			return
		}
		if again, err := unit.ParseCondition(c.String()); err != nil || again != c {
			t.Fatalf("%+v is printed as %q, which is %+v, %v", c, c, again, err)
		}
		holds := func(op unit.Operator) bool {
			return unit.Condition{Key: c.Key, Op: op, Value: c.Value}.Holds(map[string]string{c.Key: value})
		}
		if !holds(unit.Present) || holds(unit.Absent) || holds(unit.Equals) == holds(unit.Differs) || holds(unit.Equals) != (value == c.Value) {
			t.Fatalf("%+v of %q", c, value)
		}
		less, most, least, greater := holds(unit.LessThan), holds(unit.AtMost), holds(unit.AtLeast), holds(unit.GreaterThan)
		if less && greater || less && !most || greater && !least || most != least && !less && !greater || most && least && (less || greater) {
			t.Fatalf("%q < %q: %v, <=: %v, >=: %v, >: %v", value, c.Value, less, most, least, greater)
		}
		turned := unit.Condition{Key: c.Key, Op: unit.GreaterThan, Value: value}
		if less != turned.Holds(map[string]string{c.Key: c.Value}) {
			t.Fatalf("%q < %q: %v, but not the other way round", value, c.Value, less)
		}
		if c.Holds(nil) != (c.Op == unit.Absent || c.Op == unit.Differs) {
			t.Fatalf("%+v of nothing", c)
		}
	})
}
