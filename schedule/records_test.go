package schedule

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fleet/unit"
)

// TestJSON: the JSON forms are what stores and clients of other versions hold. A
// golden file that changes breaks them.
func TestJSON(t *testing.T) {
	const id, golden = "113f16a7", "testdata/records.golden"
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	records := []any{
		Machine{
			ID: id, PrimaryIP: "10.0.0.1", Metadata: map[string]string{"az": "a"}, Hostname: "node7", CPUs: 4, Memory: 8 << 30,
			TTL: 10, Version: "2.0.0", Found: map[string]string{"fleet.arch": "arm64"}, ReservedCPU: 500, ReservedMemory: 1 << 30,
		},
		Presence{MachineID: id, BootID: "b", Nonce: "n", Ready: true, Problem: "p"},
		Label{MachineID: id, Set: map[string]string{"az": "b"}, Removed: []string{"disk"}, Cordoned: true, Draining: true},
		Placement{
			Unit: "app@1.service", MachineID: id, Hash: "0123abcd", Target: unit.Launched, Order: Release, Generation: 7, Reason: "it fits",
			Memory: 512 << 20, CPU: 1500, To: "m2", For: "new.service", Attempts: 3,
			Trouble: &Trouble{Moves: 2, Machines: []string{"m3", "m4"}, Until: at}, Finished: true,
		},
		Done{Unit: "job.service", Revision: 9, Hash: "0123abcd", MachineID: id, At: at},
		Absence{MachineID: id, Since: at},
	}
	var got bytes.Buffer
	for _, r := range records {
		v := reflect.ValueOf(r)
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("%T.%s is not in its golden record", r, v.Type().Field(i).Name)
			}
		}
		if err := json.NewEncoder(&got).Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
