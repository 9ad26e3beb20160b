package fleetctl_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"fleet/api"
	"fleet/fleetctl"
	"fleet/schedule"
)

// TestDrainClosesAllFirst shows that no machine is emptied while another that is
// drained with it could still take its units.
func TestDrainClosesAllFirst(t *testing.T) {
	var order []string // what was set, in the order it was
	mux := http.NewServeMux()
	mux.HandleFunc("GET /fleet/v1/machines", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(api.MachinePage{Machines: []api.Machine{
			{Machine: schedule.Machine{ID: "a"}, Alive: true},
			{Machine: schedule.Machine{ID: "b"}, Alive: true},
		}})
	})
	mux.HandleFunc("PATCH /fleet/v1/machines", func(w http.ResponseWriter, r *http.Request) {
		var patches []api.Patch
		if err := json.NewDecoder(r.Body).Decode(&patches); err != nil {
			t.Error(err)
		}
		for _, p := range patches {
			if string(p.Value) == "true" {
				order = append(order, p.Path)
			}
		}
		w.WriteHeader(http.StatusNoContent)
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	var out, problems bytes.Buffer
	args := []string{"--endpoint", server.URL, "drain", "--no-block", "a", "b"}
	if status := fleetctl.Main(t.Context(), args, strings.NewReader(""), &out, &problems); status != 0 {
		t.Fatalf("exit status %d: %s", status, &problems)
	}
	emptied := slices.IndexFunc(order, func(path string) bool { return strings.HasSuffix(path, "/draining") })
	for _, closed := range []string{"/a/cordoned", "/b/cordoned"} {
		if i := slices.Index(order, closed); i < 0 || emptied < i {
			t.Errorf("%s came after the first drain: %s", closed, order)
		}
	}
}
