package unit_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fleet/unit"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestTargetStates(t *testing.T) {
	states := []unit.TargetState{unit.Inactive, unit.Loaded, unit.Launched}
	for i, a := range states {
		if !a.Valid() {
			t.Errorf("%s is not valid", a)
		}
		for j, b := range states {
			if a.AtLeast(b) != (i >= j) {
				t.Errorf("%s at least %s: %v", a, b, i < j)
			}
		}
	}
	for _, s := range []unit.TargetState{"", "Launched", "running"} {
		if s.Valid() {
			t.Errorf("%q is valid", s)
		}
	}
}

func TestActive(t *testing.T) {
	for s, want := range map[string]bool{
		"": false, "inactive": false, "failed": false,
		"active": true, "activating": true, "deactivating": true, "reloading": true, "maintenance": true,
	} {
		if got := (&unit.State{ActiveState: s}).Active(); got != want {
			t.Errorf("%q is active: %v", s, got)
		}
	}
}

// The JSON forms are what stores and clients of other versions hold: a golden
// file that changes breaks them.
func TestJSON(t *testing.T) {
	for name, v := range map[string]any{
		"unit-record":  unit.Unit{Name: "web@1.service", Hash: "0123abcd", DesiredState: unit.Launched},
		"unit-managed": unit.Unit{Name: "web@1.service", Hash: "0123abcd", DesiredState: unit.Launched, Managed: true},
		"unit-scaled":  unit.Unit{Name: "web@.service", Hash: "0123abcd", DesiredState: unit.Launched, Scaled: &unit.Scale{To: 5, From: 3}},
		"unit-wire": unit.Unit{
			Name: "web@1.service", Hash: "0123abcd", DesiredState: unit.Launched,
			Options:      opts("Service", "ExecStart", "/bin/true"),
			Text:         "[Service]\nExecStart=/bin/true\n",
			CurrentState: unit.Loaded, MachineID: "113f16a7",
		},
		"state-least": unit.State{Name: "web@1.service", Hash: "0123abcd", MachineID: "113f16a7",
			LoadState: "loaded", ActiveState: "active", SubState: "running"},
		"state-most": unit.State{Name: "web@1.service", Hash: "0123abcd", MachineID: "113f16a7",
			LoadState: "loaded", ActiveState: "failed", SubState: "failed",
			Generation: 7, Reached: unit.Loaded, FailedStarts: 3, Released: true, Failure: "it broke", Orphaned: true},
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, v) })
	}
}

func golden(t *testing.T, name string, v any) {
	got, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	file := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error(cmp.Diff(string(want), string(got)))
	}
}
