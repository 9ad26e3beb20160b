package unit_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fleet/unit"
)

// fleetFile parses a file whose [X-Fleet] starts with line 2.
func fleetFile(t testing.TB, lines ...string) *unit.File {
	t.Helper()
	f, err := unit.Parse([]byte("[X-Fleet]\n" + strings.Join(lines, "\n") + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestRequirements(t *testing.T) {
	type R = unit.Requirements
	for _, tt := range []struct {
		name, unit string
		lines      []string
		want       R
	}{
		{"none", "a.service", nil, R{}},
		{"machine", "a.service", []string{"MachineID=113f16a7"}, R{MachineID: "113f16a7"}},
		{"same machine twice", "a.service", []string{"MachineID=1", "X-ConditionMachineID=1"}, R{MachineID: "1"}},
		{"another machine after all", "a.service", []string{"MachineID=1", "MachineID=", "MachineID=2"}, R{MachineID: "2"}},
		{"followed units", "a.service", []string{"MachineOf=c.service", "MachineOf=b.service", "MachineOf=c.service"},
			R{MachineOf: []string{"c.service", "b.service"}}},
		{"globs", "a.service", []string{"Conflicts=b*", `Conflicts="c@[12].service" "b*"`, "Conflicts=d.service"},
			R{Conflicts: []string{"b*", "c@[12].service", "d.service"}}},
		{"replaces", "a.service", []string{"Replaces=b*.service", "Replaces=c.service"}, R{Replaces: []string{"b*.service", "c.service"}}},
		{"old names", "a.service", []string{
			"X-ConditionMachineOf=b.service", "MachineOf=c.service",
			"X-ConditionMachineMetadata=k=1", "MachineMetadata=k=2",
			"X-Conflicts=d*", "Conflicts=e*",
		}, R{
			MachineOf: []string{"b.service", "c.service"},
			Metadata:  []unit.Metadata{{Key: "k", Values: []string{"1", "2"}}},
			Conflicts: []string{"d*", "e*"},
		}},
		{"metadata", "a.service", []string{
			`MachineMetadata="region=us-east-1" "diskType=SSD"`,
			`MachineMetadata=region=eu`,
			`MachineMetadata="region=us-east-1"	"owner=us = them"`,
			`MachineMetadata=place=New York`,
		}, R{Metadata: []unit.Metadata{
			{Key: "region", Values: []string{"us-east-1", "eu"}},
			{Key: "diskType", Values: []string{"SSD"}},
			{Key: "owner", Values: []string{"us = them"}},
			{Key: "place", Values: []string{"New York"}},
		}}},
		{"spaces around operators", "a.service", []string{"MachineMetadata=a = b", "MachineMetadata=c= =d e=f", "MachineMetadata=place=a b!"}, R{
			Metadata: []unit.Metadata{{Key: "a", Values: []string{"b"}}, {Key: "c", Values: []string{"=d e=f"}}, {Key: "place", Values: []string{"a b!"}}},
		}},
		{"conditions that agree", "a.service", []string{
			`MachineMetadata="cpus=2" "cpus=8"`, "MachineMetadata=cpus>=8", "MachineMetadata=!spot", "MachineMetadata=spot!=yes", "MachineMetadata=cpus",
		}, R{
			Metadata:   []unit.Metadata{{Key: "cpus", Values: []string{"2", "8"}}},
			Conditions: []unit.Condition{{"cpus", unit.AtLeast, "8"}, {Key: "spot", Op: unit.Absent}, {"spot", unit.Differs, "yes"}, {Key: "cpus"}},
		}},
		{"least", "a@.service", []string{"MemoryReservation=0.1", "CPUReservation=0.001", "MaxUnavailable=1", "Priority=-1000000", "Reschedule=on-failure:1"},
			R{Memory: 1, CPU: 1, MaxUnavailable: 1, Priority: -1_000_000, Reschedule: 1}},
		{"most", "a@.service", []string{
			"MemoryReservation=1E", "CPUReservation=100000", "MaxUnavailable=10000", "Instances=10000", "Priority=1000000", "Reschedule=on-failure:100",
		}, R{Memory: 1 << 60, CPU: 100_000_000, MaxUnavailable: 10_000, Instances: new(10_000), Priority: 1_000_000, Reschedule: 100}},
		{"last amount counts", "a@.service", []string{
			"Instances=1", "Instances=2", "Priority=1", "Priority=2", "RunOnce=1", "RunOnce=0", "Reschedule=on-failure:1", "Reschedule=",
		}, R{Instances: new(2), Priority: 2}},
		{"spread as before", "a@.service", []string{"Spread=az  hard", "Spread=az hard"}, R{Spread: unit.Spread{Key: "az", Hard: true}}},
		{"spread anew", "a@.service", []string{"Spread=az", "Spread=", "Spread=rack"}, R{Spread: unit.Spread{Key: "rack"}}},
		{"wishes", "a.service", []string{"Prefer=a=b c", "Prefer=a = b c", `Prefer="!d" "e<3"`, `Avoid="b*" "c.service"`, "Avoid=b*"}, R{
			Prefer: []unit.Condition{{"a", unit.Equals, "b c"}, {Key: "d", Op: unit.Absent}, {"e", unit.LessThan, "3"}},
			Avoid:  []string{"b*", "c.service"},
		}},
		{"escapes in Avoid", `a\x2db.service`, []string{`Avoid=%p-x*`, `Avoid=c\x2dd@*`}, R{Avoid: []string{`a\\x2db-x*`, `c\\x2dd@*`}}},
		{"an instance has its template's file", "a@7.service", []string{"Instances=3", "MaxUnavailable=2", "RunOnce=1"},
			R{Instances: new(3), MaxUnavailable: 2, RunOnce: true}},
		{"reset by the other name", "a.service", []string{"X-Conflicts=[", "MachineOf=b.service", "Conflicts=", "X-Conflicts=c"},
			R{MachineOf: []string{"b.service"}, Conflicts: []string{"c"}}},
		{"other sections", "a.service", []string{"Global=1", "[Unit]", "Conflicts=b.service"}, R{Global: true}},
		{"global", "a.service", []string{"Global=true", "MachineMetadata=a=b", "Conflicts=c"},
			R{Global: true, Metadata: []unit.Metadata{{Key: "a", Values: []string{"b"}}}, Conflicts: []string{"c"}}},
		{"global that follows", "a.service", []string{"Global=true", "MachineOf=b.service"}, R{Global: true, MachineOf: []string{"b.service"}}},
		{"expressions", "a.service", []string{
			"MachineMetadata=ssd", `MachineMetadata="!spot" "region!=us" "region=eu"`, "MachineMetadata=memory >= 16G", "MachineMetadata=ssd",
		}, R{
			Metadata:   []unit.Metadata{{Key: "region", Values: []string{"eu"}}},
			Conditions: []unit.Condition{{Key: "ssd"}, {Key: "spot", Op: unit.Absent}, {"region", unit.Differs, "us"}, {"memory", unit.AtLeast, "16G"}},
		}},
		{"reservations", "a.service", []string{"MemoryReservation=512M", "CPUReservation=1.5"}, R{Memory: 512 << 20, CPU: 1500}},
		{"the last reservation counts", "a.service", []string{"MemoryReservation=1G", "MemoryReservation=2G", "CPUReservation=1", "CPUReservation="}, R{Memory: 2 << 30}},
		{"soft wishes", "a@1.service", []string{`Prefer="ssd" "region=%i"`, "Avoid=batch@*.service", "Avoid=%p-test*", "Spread=az hard"}, R{
			Prefer: []unit.Condition{{Key: "ssd"}, {"region", unit.Equals, "1"}},
			Avoid:  []string{"batch@*.service", "a-test*"},
			Spread: unit.Spread{Key: "az", Hard: true},
		}},
		{"instances", "a@.service", []string{"Instances=3", "MaxUnavailable=2", "Spread=az"},
			R{Instances: new(3), MaxUnavailable: 2, Spread: unit.Spread{Key: "az"}}},
		{"no instances", "a@.service", []string{"Instances=0"}, R{Instances: new(0)}},
		{"work", "a.service", []string{"Priority=-5", "Reschedule=on-failure:3", "RunOnce=yes"}, R{Priority: -5, Reschedule: 3, RunOnce: true}},
		{"what a template's instances have in common", "a@.service", []string{
			"Instances=3", "MachineOf=db@%i.service", "MachineMetadata=region=eu", "MachineMetadata=rack=%i", "MachineMetadata=fill=5%%", "Conflicts=%p@*",
		}, R{Instances: new(3), Metadata: []unit.Metadata{{Key: "region", Values: []string{"eu"}}, {Key: "fill", Values: []string{"5%"}}}}},
		{"last global counts", "a.service", []string{"Global=true", "Global=no", "MachineID=1"}, R{MachineID: "1"}},
		{"global reset", "a.service", []string{"Global=true", "Global=", "MachineID=1"}, R{MachineID: "1"}},
		{"spread instances", "web@1.service", []string{"Conflicts=web@*.service"}, R{Conflicts: []string{"web@*.service"}}},
		{"replaced siblings", "web@1.service", []string{"Replaces=web@*.service"}, R{Replaces: []string{"web@*.service"}}},
		{"specifiers", "my-app@a-b.service", []string{
			"MachineOf=%p-db@%i.service", "Conflicts=%p@*.service", "Conflicts=%N.*", "Conflicts=%j*",
			`MachineMetadata="n=%n" "P=%P" "I=%I" "J=%J" "f=%f" "pc=100%%"`,
		}, R{
			MachineOf: []string{"my-app-db@a-b.service"},
			Conflicts: []string{"my-app@*.service", "my-app@a-b.*", "app*"},
			Metadata: []unit.Metadata{
				{Key: "n", Values: []string{"my-app@a-b.service"}},
				{Key: "P", Values: []string{"my/app"}},
				{Key: "I", Values: []string{"a/b"}},
				{Key: "J", Values: []string{"app"}},
				{Key: "f", Values: []string{"/a/b"}},
				{Key: "pc", Values: []string{"100%"}},
			},
		}},
		{"specifiers without an instance", "a-b.service", []string{`MachineMetadata="i=x%i%I" "p=%p" "f=%f" "j=%j"`},
			R{Metadata: []unit.Metadata{
				{Key: "i", Values: []string{"x"}}, {Key: "p", Values: []string{"a-b"}},
				{Key: "f", Values: []string{"/a/b"}}, {Key: "j", Values: []string{"b"}},
			}}},
		{"a specifier in a glob is text", `a\x2db@1.service`, []string{"Conflicts=%p@*.service", "Conflicts=%J?"},
			R{Conflicts: []string{`a\\x2db@*.service`, "a-b?"}}},
		{"an escape in a glob is text", "a.service", []string{`Conflicts=b\x2dc.service`}, R{Conflicts: []string{`b\\x2dc.service`}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := fleetFile(t, tt.lines...).Requirements(tt.unit)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBooleans(t *testing.T) {
	for want, words := range map[bool]string{
		true:  "1 yes y true t on YES True On",
		false: "0 no n false f off NO False oFF",
	} {
		for _, word := range strings.Fields(words) {
			r, err := fleetFile(t, "Global="+word).Requirements("a.service")
			if err != nil || r.Global != want {
				t.Errorf("Global=%s is %v, %v", word, r.Global, err)
			}
		}
	}
}

func TestErrorsFromOptionsNameNoLine(t *testing.T) {
	f, err := unit.FromOptions(opts("X-Fleet", "Global", "maybe"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Requirements("a.service")
	var e *unit.Error
	if !errors.As(err, &e) || e.Line != 0 || e.Error() != "Global=maybe: must be true or false" {
		t.Errorf("%v", err)
	}
}

// A unit that appends to what it got must not change what others get.
func TestRequirementsAreShared(t *testing.T) {
	var lines []string
	for _, format := range []string{
		"MachineOf=%d.service", "Conflicts=b%d*", "Avoid=b%d*", "Prefer=k%d", "MachineMetadata=b%d!=1", "MachineMetadata=c%d=1", "MachineMetadata=a=%d",
	} {
		lines = append(lines, numbered(format, 3)...)
	}
	f := fleetFile(t, append(lines, "Instances=3")...)
	first, err := f.Requirements("a@1.service")
	if err != nil {
		t.Fatal(err)
	}
	second, err := f.Requirements("a@2.service")
	if err != nil {
		t.Fatal(err)
	}
	if &first.Conflicts[0] != &second.Conflicts[0] || first.Instances != second.Instances {
		t.Error("two units have copies of the same")
	}
	for name, spare := range map[string]int{
		"MachineOf": cap(first.MachineOf) - len(first.MachineOf), "Metadata": cap(first.Metadata) - len(first.Metadata),
		"Values": cap(first.Metadata[3].Values) - len(first.Metadata[3].Values), "Conditions": cap(first.Conditions) - len(first.Conditions),
		"Conflicts": cap(first.Conflicts) - len(first.Conflicts), "Prefer": cap(first.Prefer) - len(first.Prefer), "Avoid": cap(first.Avoid) - len(first.Avoid),
	} {
		if spare != 0 {
			t.Errorf("an append to one unit's %s would be seen by another", name)
		}
	}
}

// A file that was put together field by field has requirements as well.
func TestRequirementsOfBareFile(t *testing.T) {
	f := &unit.File{Options: opts("X-Fleet", "Global", "true")}
	if r, err := f.Requirements("a.service"); err != nil || !r.Global {
		t.Errorf("%+v, %v", r, err)
	}
	f = &unit.File{Options: opts("X-Fleet", "Globl", "true")}
	if r, err := f.Requirements("a.service"); err == nil {
		t.Errorf("%+v", r)
	}
}

func BenchmarkRequirements(b *testing.B) {
	for _, bb := range []struct {
		name  string
		lines []string
	}{
		{"none", nil},
		{"shared", []string{"Conflicts=web@*.service", `MachineMetadata="region=eu" "disk=ssd"`}},
		{"specifiers", []string{"Conflicts=%p@*.service", "MachineOf=db@%i.service"}},
	} {
		f := fleetFile(b, bb.lines...)
		b.Run(fmt.Sprintf("options=%s", bb.name), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.Requirements("web@1.service"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
