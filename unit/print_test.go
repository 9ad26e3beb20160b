package unit_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"fleet/unit"
)

func TestPrint(t *testing.T) {
	got := unit.Print(opts(
		"Unit", "Description", "a  b",
		"Service", "ExecStart", `/bin/echo "%n" \\`,
		"X-Fleet", "Global", "true",
		"Service", "Restart", `ends in \`,
		"Unit", "After", "",
	))
	want := `[Unit]
Description=a  b
After=

[Service]
ExecStart=/bin/echo "%n" \\
Restart=ends in \` + " " + `

[X-Fleet]
Global=true
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := unit.Print(nil); got != "" {
		t.Errorf("no options print as %q", got)
	}
}

func TestFromOptions(t *testing.T) {
	f, err := unit.FromOptions(opts(
		"Unit", "Description", " a ",
		"X-Fleet", "\tMachineOf ", "db.service",
		"Unit", "After", "b.service\t",
	))
	if err != nil {
		t.Fatal(err)
	}
	want := opts("Unit", "Description", "a", "Unit", "After", "b.service", "X-Fleet", "MachineOf", "db.service")
	if diff := cmp.Diff(want, f.Options); diff != "" {
		t.Error(diff)
	}
	parsed, err := unit.Parse([]byte(f.Text))
	if err != nil || parsed.Hash != f.Hash {
		t.Errorf("hash is %s, that of the text is %s, %v", f.Hash, parsed.Hash, err)
	}
	r, err := f.Requirements("a.service")
	if err != nil || !cmp.Equal(r.MachineOf, []string{"db.service"}) {
		t.Errorf("requirements are %+v, %v", r, err)
	}
}

func TestFromOptionsRefuses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options []unit.Option
		want    string
	}{
		{"none", nil, "the file is empty: it has no options"},
		{"line feed", opts("Service", "ExecStart", "a\nExecStartPre=b"),
			`option 1, "ExecStart" in [Service]: the value has a line break in it, which would begin another line of the file`},
		{"carriage return", opts("Service", "ExecStart", "a\rExecStartPre=b"), "the value has a line break in it"},
		{"continued line", opts("Service", "ExecStart", "a \\\nb"), "the value has a line break in it"},
		{"line feed in name", opts("Service", "A\nB", "c"), "the name has a line break in it"},
		{"line feed in section", opts("Service]\n[X", "A", "c"), "the section has a line break in it"},
		{"line feed at the end", opts("Service", "A", "c\n"), "the value has a line break in it"},
		{"NUL", opts("Service", "A", "c\x00"), "the value has a NUL byte in it"},
		{"not UTF-8", opts("Service", "A", "c\xff"), "the value is not UTF-8 text"},
		{"no name", opts("Service", " ", "c"), `option 1, "" in [Service]: the name is empty`},
		{"comment", opts("Service", "#A", "c"), "the name starts with #"},
		{"other comment", opts("Service", ";A", "c"), "the name starts with ;"},
		{"header", opts("Service", "[A", "c"), "the name starts with ["},
		{"= in name", opts("Service", "A=B", "c"), "the name has a = in it"},
		{"no section", opts("", "A", "c"), "the section is empty"},
		{"] in section", opts("a]b", "A", "c"), "the section has a [ or ] in its name"},
		{"quote in section", opts("a'b", "A", "c"), "the section has a quote, a backslash or a control character in it"},
		{"almost X-Fleet", opts("X-FLEET", "Global", "1"), "the section is unknown, did you mean [X-Fleet]?"},
		{"unknown option", opts("Unit", "A", "b", "X-Fleet", "Conflict", "c"),
			"unknown option Conflict in [X-Fleet], did you mean Conflicts?"},
		{"large", opts("Unit", "A", strings.Repeat("x", unit.MaxFileSize)), "unit file is larger than 1 MiB"},
		{"several", opts("Unit", "", "b", "Unit", "A", "b", "", "C", "d"),
			"option 1, \"\" in [Unit]: the name is empty\noption 3, \"C\" in []: the section is empty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := unit.FromOptions(tt.options); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// Whatever FromOptions accepts is read back as it was given, whoever reads it.
func TestPrintIsParsedBack(t *testing.T) {
	word := rapid.StringMatching("[a-zA-Z0-9 =\\\\#;\"'%ü\t\v\ufeff\\[\\]]{0,8}")
	option := rapid.Custom(func(t *rapid.T) unit.Option {
		return unit.Option{
			Section: rapid.SampledFrom([]string{"Unit", "Service", "X-Own", " "}).Draw(t, "section"),
			Name:    word.Draw(t, "name"),
			Value:   word.Draw(t, "value"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		given := rapid.SliceOfN(option, 1, 6).Draw(t, "options")
		f, err := unit.FromOptions(given)
		if err != nil {
			return
		}
		parsed, err := unit.Parse([]byte(f.Text))
		if err != nil {
			t.Fatalf("%q: %v", f.Text, err)
		}
		if diff := cmp.Diff(f.Options, parsed.Options); diff != "" {
			t.Fatalf("%q: %s", f.Text, diff)
		}
		for _, section := range []string{"Unit", "Service", "X-Own", " "} {
			if diff := cmp.Diff(ofSection(section, given), ofSection(section, parsed.Options)); diff != "" {
				t.Fatalf("%q: %s", f.Text, diff)
			}
		}
	})
}

// ofSection returns a section's options, as systemd trims them.
func ofSection(section string, options []unit.Option) []unit.Option {
	var found []unit.Option
	for _, o := range options {
		if o.Section == section {
			o.Name, o.Value = strings.Trim(o.Name, " \t"), strings.Trim(o.Value, " \t")
			found = append(found, o)
		}
	}
	return found
}
