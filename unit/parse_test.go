package unit_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fleet/unit"
)

// opts writes options as section, name, value.
func opts(words ...string) []unit.Option {
	var options []unit.Option
	for i := 0; i+2 < len(words); i += 3 {
		options = append(options, unit.Option{Section: words[i], Name: words[i+1], Value: words[i+2]})
	}
	return options
}

// Each of these has been compared with what systemd 252 makes of it.
func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []unit.Option
	}{
		{"plain", "[Unit]\nDescription=a b\n\n[Service]\nExecStart=/bin/true\n",
			opts("Unit", "Description", "a b", "Service", "ExecStart", "/bin/true")},
		{"no line end", "[Unit]\nA=1", opts("Unit", "A", "1")},
		{"section alone", "[Unit]\n", nil},
		{"space", " [Unit] \n\t A \t=  1  2\t\n", opts("Unit", "A", "1  2")},
		{"first = divides", "[Unit]\nA=b=c\nD==e\n", opts("Unit", "A", "b=c", "Unit", "D", "=e")},
		{"empty value", "[Unit]\nA=\n", opts("Unit", "A", "")},
		{"comments", "# a\n; b\n[Unit]\n  # c\nA=1 # not one\nB=;2\n", opts("Unit", "A", "1 # not one", "Unit", "B", ";2")},
		{"comments aren't continued", "[Unit]\n# a \\\nA=1\n", opts("Unit", "A", "1")},
		{"quotes stay", "[Unit]\nA=\"b c\" 'd' \\x20 %n\n", opts("Unit", "A", `"b c" 'd' \x20 %n`)},
		{"repeated", "[Unit]\nA=1\nA=2\n[Service]\nB=3\n[Unit]\nA=1\n",
			opts("Unit", "A", "1", "Unit", "A", "2", "Service", "B", "3", "Unit", "A", "1")},
		{"continued", "[Service]\nA=b \\\n  c\\\nd\nE=f\n", opts("Service", "A", "b    c d", "Service", "E", "f")},
		{"comment in continued", "[Service]\nA=b\\\n# x\n ; y \\\nc\n", opts("Service", "A", "b c")},
		{"empty line ends continued", "[Service]\nA=b\\\n\nC=d\n", opts("Service", "A", "b", "Service", "C", "d")},
		{"continued at the end", "[Service]\nA=b\\", opts("Service", "A", "b")},
		{"continued at the end, twice", "[Service]\nA=b\\\n\\\n", opts("Service", "A", "b")},
		{"escaped backslash", "[Service]\nA=b\\\\\nC=d\\\\\\\ne\n", opts("Service", "A", `b\\`, "Service", "C", `d\\ e`)},
		{"backslash, space", "[Service]\nA=b\\ \nC=d\n", opts("Service", "A", `b\`, "Service", "C", "d")},
		{"continued name", "[Service]\nA\\\n=b\n", opts("Service", "A", "b")},
		{"CR LF", "[Service]\r\nA=b \\\r\n c\r\nD=e", opts("Service", "A", "b   c", "Service", "D", "e")},
		{"CR alone", "[Service]\rA=b\rC=d", opts("Service", "A", "b", "Service", "C", "d")},
		{"LF CR", "[Service]\n\rA=b\\\n\rc\n\r", opts("Service", "A", "b c")},
		{"byte order mark", "\ufeff[Service]\nA=b\n", opts("Service", "A", "b")},
		{"byte order mark, comment", "\ufeff# x\n[Service]\nA=b\n", opts("Service", "A", "b")},
		{"other sections", "[Foo Bar]\nA=1\n[X-Mine]\nB=2\n", opts("Foo Bar", "A", "1", "X-Mine", "B", "2")},
		{"odd names", "[Service]\nA B=1\nC\\=2\n\"D\"=3\n", opts("Service", "A B", "1", "Service", `C\`, "2", "Service", `"D"`, "3")},
		{"not ASCII", "[Unit]\nDescription=grüße \ufffd\n# ü\n", opts("Unit", "Description", "grüße \ufffd")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := unit.Parse([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, f.Options); diff != "" {
				t.Error(diff)
			}
			if f.Text != tt.text {
				t.Errorf("text is %q", f.Text)
			}
			if want := fmt.Sprintf("%x", sha256.Sum256([]byte(tt.text))); f.Hash != want {
				t.Errorf("hash is %s, want %s", f.Hash, want)
			}
		})
	}
}

const theOptions = "the options are MachineID, MachineOf, MachineMetadata, Conflicts, Replaces, Global, MemoryReservation, " +
	"CPUReservation, Prefer, Avoid, Spread, Priority, Instances, MaxUnavailable, Reschedule, RunOnce"

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "the file is empty"},
		{"space", " \n\t\r\n", "the file is empty"},
		{"comments only", "# a\n", "the file has no section: a service needs at least [Service]"},
		{"NUL", "[Unit]\nA=\x00\n", "line 2: has a NUL byte: this is not a text file"},
		{"binary", "\x7fELF\x02\x01\x00", "line 1: has a NUL byte: this is not a text file"},
		{"not UTF-8", "[Unit]\n# caf\xe9\n", "line 2: has the byte 0xe9, which is not UTF-8 text"},
		{"not UTF-8 after CRs", "[Unit]\r\r\n\xff", "line 3: has the byte 0xff, which is not UTF-8 text"},
		{"no section", "A=1\nB=2\n[Unit]\n", `line 1: "A=1" stands before any section such as [Unit]`},
		{"no =", "[Service]\nA=1\nExecStart /bin/true\n", `line 3: "ExecStart /bin/true" has no =, a line must be Name=value`},
		{"no name", "[Service]\n =1\n", `line 2: "=1": the option's name is empty`},
		{"open header", "[Unit\nA=1\n", `line 1: section header "[Unit" does not end with ]`},
		{"open header, [", "[\n", `line 1: section header "[" does not end with ]`},
		{"text after header", "[Unit] # x\n", `line 1: section header "[Unit] # x" does not end with ]`},
		{"two headers", "[Unit] [Service]\n", `line 1: section header "[Unit] [Service]" has a [ or ] in its name`},
		{"empty header", "[]\n", `line 1: section header "[]" is empty`},
		{"header systemd refuses", "[Un\"it]\n", `line 1: section header "[Un\"it]" has a quote, a backslash or a control character in it`},
		{"almost X-Fleet", "[x-fleet]\nGlobal=true\n", `line 1: section header "[x-fleet]" is unknown, did you mean [X-Fleet]?`},
		{"inner byte order mark", "[Unit]\n\ufeffA=1\n",
			`line 2: "\ufeffA=1": the option's name starts with a byte order mark, which belongs at the start of the file`},
		{"line of a continued one", "[Unit]\nA=1\\\n2\nB\\\nC\n", `line 4: "B C" has no =, a line must be Name=value`},
		{"unknown option", "[Unit]\n\n[Service]\n\n[X-Fleet]\n\nConflict=a\n",
			"line 7: unknown option Conflict in [X-Fleet], did you mean Conflicts?"},
		{"unknown option, case", "[X-Fleet]\nmachinemetadata=a=b\n",
			"line 2: unknown option machinemetadata in [X-Fleet], did you mean MachineMetadata?"},
		{"unknown option, old name", "[X-Fleet]\nX-Conflict=a\n",
			"line 2: unknown option X-Conflict in [X-Fleet], did you mean Conflicts?"},
		{"unknown option, nearest", "[X-Fleet]\nMachineI=a\n",
			"line 2: unknown option MachineI in [X-Fleet], did you mean MachineID?"},
		{"unknown option, far", "[X-Fleet]\nColour=a\n",
			"line 2: unknown option Colour in [X-Fleet]; " + theOptions},
		{"unknown option, part of one", "[X-Fleet]\nMemory=1G\nCPU=1\nmetadata=a\nMax=1\nRun=1\n",
			"line 2: unknown option Memory in [X-Fleet], did you mean MemoryReservation?\n" +
				"line 3: unknown option CPU in [X-Fleet], did you mean CPUReservation?\n" +
				"line 4: unknown option metadata in [X-Fleet], did you mean MachineMetadata?\n" +
				"line 5: unknown option Max in [X-Fleet], did you mean MaxUnavailable?\n" +
				"line 6: unknown option Run in [X-Fleet], did you mean RunOnce?"},
		{"unknown option, a part of several", "[X-Fleet]\nion=1\n", "line 2: unknown option ion in [X-Fleet]; " + theOptions},
		{"unknown option, misspelt", "[X-Fleet]\nPreferred=a\nReshedule=on-failure:3\nPriorty=1\n",
			"line 2: unknown option Preferred in [X-Fleet], did you mean Prefer?\n" +
				"line 3: unknown option Reshedule in [X-Fleet], did you mean Reschedule?\n" +
				"line 4: unknown option Priorty in [X-Fleet], did you mean Priority?"},
		{"unknown option, as others say", "[X-Fleet]\nReplicas=3\nAffinity=a\nAntiAffinity=b\n",
			"line 2: unknown option Replicas in [X-Fleet], did you mean Instances?\n" +
				"line 3: unknown option Affinity in [X-Fleet], did you mean Prefer?\n" +
				"line 4: unknown option AntiAffinity in [X-Fleet], did you mean Conflicts?"},
		{"unknown option, of systemd", "[X-Fleet]\nRestart=always\n", "line 2: unknown option Restart in [X-Fleet]; " + theOptions},
		{"several", "[X-Fleet]\nGlobl=1\n[Unit]\nA\n[X-Fleet]\nReplace=\n", `line 2: unknown option Globl in [X-Fleet], did you mean Global?
line 4: "A" has no =, a line must be Name=value
line 6: unknown option Replace in [X-Fleet], did you mean Replaces?`},
		{"very many", "[Unit]\n" + strings.Repeat("a\n", 25),
			`line 21: "a" has no =, a line must be Name=value` + "\nand 5 more"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := unit.Parse([]byte(tt.text))
			if err == nil || err.Error() != tt.want && !strings.HasSuffix(err.Error(), "\n"+tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestParseErrorHasItsLine(t *testing.T) {
	_, err := unit.Parse([]byte("[Unit]\nA\n\nB\n"))
	var e *unit.Error
	if !errors.As(err, &e) || e.Line != 2 {
		t.Errorf("%#v", err)
	}
}

func TestParseSizes(t *testing.T) {
	start := "[Unit]\nA="
	whole := start + strings.Repeat("x", unit.MaxFileSize-len(start))
	if _, err := unit.Parse([]byte(whole)); err != nil {
		t.Errorf("a file of %d bytes with one long line: %v", len(whole), err)
	}
	_, err := unit.Parse([]byte(whole + "\n"))
	if want := "unit file is larger than 1 MiB: it has 1048577 bytes, the limit is 1048576"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if !errors.Is(err, unit.ErrTooLarge) {
		t.Errorf("%v is not ErrTooLarge", err)
	}
}

func TestValues(t *testing.T) {
	f, err := unit.Parse([]byte(`[Unit]
Description=old
Description=web server
[Service]
ExecStartPre=a
ExecStartPre=
ExecStartPre=b
ExecStartPre=c
Environment=x
Environment=
[Unit]
After=a
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		section, name string
		values        []string
		value         string
	}{
		{"Service", "ExecStartPre", []string{"b", "c"}, "c"},
		{"Service", "Environment", nil, ""},
		{"Service", "After", nil, ""},
		{"Unit", "After", []string{"a"}, "a"},
		{"Unit", "after", nil, ""},
	} {
		if diff := cmp.Diff(tt.values, f.Values(tt.section, tt.name)); diff != "" {
			t.Errorf("[%s] %s: %s", tt.section, tt.name, diff)
		}
		if got := f.Value(tt.section, tt.name); got != tt.value {
			t.Errorf("[%s] %s ends as %q, want %q", tt.section, tt.name, got, tt.value)
		}
	}
	if got := f.Description(); got != "web server" {
		t.Errorf("description is %q", got)
	}
}
