package unit_test

import (
	"crypto/sha256"
	"fmt"
	"path"
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
	} {
		f.Add("a@1.service", seed)
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
		if r.Global && (r.MachineID != "" || r.MachineOf != nil || r.Replaces != nil) || r.Conflicts != nil && r.Replaces != nil {
			t.Fatalf("%+v", r)
		}
		for _, other := range r.MachineOf {
			if _, err := unit.ParseName(other); err != nil || other == name {
				t.Fatalf("follows %q, %v", other, err)
			}
		}
		for _, glob := range append(r.Conflicts, r.Replaces...) {
			if ok, err := path.Match(glob, name); err != nil || ok && !unit.IsGlob(glob) {
				t.Fatalf("%q, %v", glob, err)
			}
			for _, other := range r.MachineOf {
				if unit.Match(glob, other) {
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
