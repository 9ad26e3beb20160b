package schedule

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"fleet/unit"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// exampleDump has a record of every kind, and two units with one file.
func exampleDump(t fataler) Dump {
	f := file(t, "MachineMetadata=region=eu", "# <a & b>")
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return Dump{
		Taken: at, Version: "2.0.0", Policy: Policy{BinPack, 24 * time.Hour},
		Update: Update{Snapshot: true, Revision: 30, Changes: []Change{
			{Revision: 3, Machine: &Machine{ID: "m1", PrimaryIP: "10.0.0.1", Metadata: map[string]string{"region": "eu"}, CPUs: 4}},
			{Revision: 4, Presence: &Presence{MachineID: "m1", BootID: "b", Nonce: "n", Ready: true}},
			{Revision: 5, Label: &Label{MachineID: "m1", Cordoned: true}},
			{Revision: 6, Unit: &unit.Unit{Name: "w@1.service", Hash: f.Hash, DesiredState: unit.Launched}, File: f},
			{Revision: 7, Unit: &unit.Unit{Name: "w@2.service", Hash: f.Hash, DesiredState: unit.Loaded, Managed: true}, File: f},
			{Revision: 8, Unit: &unit.Unit{Name: "bad.service", Hash: "gone", DesiredState: unit.Loaded}},
			{Revision: 20, Placement: &Placement{Unit: "w@1.service", MachineID: "m1", Hash: f.Hash, Target: unit.Launched, Order: Run, Generation: 19, Reason: "it fits"}},
			{Revision: 21, State: &unit.State{Name: "w@1.service", MachineID: "m1", Hash: f.Hash, ActiveState: "active", Generation: 19, Reached: unit.Launched}},
			{Revision: 22, Done: &Done{Unit: "once.service", Revision: 9, Hash: f.Hash, MachineID: "m1", At: at}},
			{Revision: 23, Absence: &Absence{MachineID: "m9", Since: at}},
		}},
	}
}

func written(t fataler, d Dump) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := d.Write(&b); err != nil {
		t.Fatalf("%v", err)
	}
	return b.Bytes()
}

func sameDump(a, b Dump) string {
	return cmp.Diff(a, b, cmpopts.IgnoreUnexported(unit.File{}), cmpopts.EquateEmpty())
}

func TestDumpGolden(t *testing.T) {
	got := written(t, exampleDump(t))
	const golden = "testdata/snapshot.golden"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	d, err := ReadDump(bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := sameDump(exampleDump(t), d); diff != "" {
		t.Errorf("read back, -want +got:\n%s", diff)
	}
	if a, b := d.Update.Changes[3].File, d.Update.Changes[4].File; a != b {
		t.Error("two units with one file don't share it")
	}
}

func TestReadDumpRefuses(t *testing.T) {
	whole := string(written(t, exampleDump(t)))
	lines := strings.SplitAfter(whole, "\n")
	change := func(old, now string) string {
		changed := strings.Replace(whole, old, now, 1)
		if changed == whole {
			t.Fatalf("nothing to change: %s", old)
		}
		return changed
	}
	for _, test := range []struct{ name, text, want string }{
		{"nothing", "", "the snapshot is empty"},
		{"something else", "[Unit]\n", "not a snapshot of fleet: it doesn't begin as one that fleetctl snapshot has written"},
		{"other JSON", "{}\n", "not a snapshot of fleet: it doesn't begin as one that fleetctl snapshot has written"},
		{"a later format", change(`"format":1`, `"format":2`), "the snapshot has format 2 and this fleet reads format 1: use a fleetctl of version 2.0.0"},
		{"cut off", strings.Join(lines[:5], ""), "the snapshot is cut off: it should have 12 lines and has 5"},
		{"cut off within a line", whole[:len(whole)-9], "the snapshot is damaged: line 12: unexpected end of JSON input"},
		{"too much", whole + lines[4], "the snapshot is damaged: line 13: nothing should follow line 12"},
		{"another file", change("/bin/true", "/bin/false"), "the snapshot is damaged: line 2: the unit file is not the one that its hash " + exampleDump(t).Update.Changes[3].File.Hash[:12] + " says"},
		{"no record", change(`"unit":`, `"onion":`), "the snapshot is damaged: line 6: one record should be there, of a kind that this fleet knows"},
		{"two records", change(`"unit":`, `"done":{"unit":"x"},"unit":`), "the snapshot is damaged: line 6: one record should be there, of a kind that this fleet knows"},
		{"no name", change(`"name":"w@1.service"`, `"name":""`), "the snapshot is damaged: line 6: a record without a name"},
		{"no target state", change(`"desiredState":"launched"`, `"desiredState":"up"`), `the snapshot is damaged: line 6: target state "up" of w@1.service`},
		{"a later revision", change(`"revision":6`, `"revision":31`), "the snapshot is damaged: line 6: revision 31 in a snapshot of revision 30"},
		{"no revision", change(`"revision":6`, `"revision":0`), "the snapshot is damaged: line 6: revision 0 in a snapshot of revision 30"},
		{"no duration", change(`"24h0m0s"`, `"a day"`), `the snapshot is damaged: line 1: forgetAfter "a day" is no duration`},
		{"no strategy", change(`"binpack"`, `"best"`), `the snapshot is damaged: line 1: strategy "best" is neither spread nor binpack`},
		{"absurd numbers", change(`"lines":11`, `"lines":-1`), "the snapshot is damaged: line 1: -1 lines at revision 30 can't be"},
		{"an endless line", lines[0] + strings.Repeat("x", maxDumpLine+1), "the snapshot is damaged: line 2: it is longer than 8 MiB"},
	} {
		_, err := ReadDump(strings.NewReader(test.text))
		if err == nil || err.Error() != test.want {
			t.Errorf("%s:\n got %v\nwant %s", test.name, err, test.want)
		}
	}
}

func TestReadDumpIsBounded(t *testing.T) {
	r := newDumpReader(strings.NewReader("{}\n"))
	r.size = maxDumpSize
	if _, err := r.next(); err == nil || err.Error() != "the snapshot is larger than 4 GiB" {
		t.Errorf("got %v", err)
	}
	_, err := ReadDump(iotest.ErrReader(os.ErrPermission))
	if err == nil || err.Error() != "read the snapshot: permission denied" {
		t.Errorf("got %v", err)
	}
}

// TestDumpKeepsTheModel compares the model of a store with that of its dump.
func TestDumpKeepsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range rapid.IntRange(5, 40).Draw(t, "steps") {
			h.step()
		}
		d, err := ReadDump(bytes.NewReader(written(t, Dump{Policy: DefaultPolicy(), Update: h.snapshot()})))
		if err != nil {
			t.Fatal(err)
		}
		was, is := h.fresh(), NewCluster()
		is.HoldEvictions(h.c.hold)
		is.Apply(d.Update)
		if diff := cmp.Diff(was.Plan(h.now), is.Plan(h.now), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("decisions, -store +dump:\n%s", diff)
		}
		if diff := cmp.Diff(indexes(was), indexes(is)); diff != "" {
			t.Fatalf("indexes, -store +dump:\n%s", diff)
		}
		if was.Revision() != is.Revision() {
			t.Fatalf("revision %d, want %d", is.Revision(), was.Revision())
		}
	})
}

func FuzzReadDump(f *testing.F) {
	whole := written(f, exampleDump(f))
	f.Add(whole)
	f.Add(bytes.Replace(whole, []byte(`"lines":11`), []byte(`"lines":9`), 1))
	f.Add([]byte(`{"kind":"fleet snapshot","format":1,"revision":1,"strategy":"spread","forgetAfter":"0s","lines":1}` + "\n" + `{"revision":1,"unit":{"name":"a","desiredState":"launched","hash":"x"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := ReadDump(bytes.NewReader(text))
		if err != nil {
			return
		}
		again, err := ReadDump(bytes.NewReader(written(t, d)))
		if err != nil {
			t.Fatalf("what was written can't be read: %v", err)
		}
		if diff := sameDump(d, again); diff != "" {
			t.Fatalf("-read +written and read again:\n%s", diff)
		}
		// And what it holds, however odd, can be looked at.
		if _, err := Simulate(d.Update, d.Policy, d.Taken, WhatIf{Add: 1}); err != nil && !strings.Contains(err.Error(), "does not come to rest") {
			t.Fatal(err)
		}
		c := NewCluster()
		c.Apply(d.Update)
		for u := range c.Units() {
			c.ExplainFully(u.Name)
		}
	})
}
