package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"fleet/api"
	"fleet/registry"
	"fleet/schedule"
	"fleet/unit"
)

// world is an API server over a real registry, and a hand on what engine and
// agents would write.
type world struct {
	t      *testing.T
	kv     *registry.Memory
	reg    *registry.Registry
	url    string
	leases map[string]int64
	term   int64
}

func newWorld(t *testing.T, cfg api.Config) *world {
	t.Helper()
	kv := registry.NewMemory()
	w := &world{t: t, kv: kv, reg: registry.New(kv, "/fleet/", slog.New(slog.DiscardHandler)), leases: map[string]int64{}}
	if cfg.Store == nil {
		cfg.Store = w.reg
	}
	cfg.Upkeep = w.reg
	server := api.NewServer(cfg)
	hs := httptest.NewServer(server)
	w.url = hs.URL
	ctx, cancel := context.WithCancel(t.Context())
	term := make(chan int64)
	var leader sync.WaitGroup
	leader.Go(func() {
		_ = w.reg.Lead(ctx, "test", time.Minute, func(ctx context.Context, n int64) error {
			term <- n
			<-ctx.Done()
			return nil
		})
	})
	w.term = <-term
	t.Cleanup(func() {
		cancel()
		leader.Wait()
		server.Close()
		hs.CloseClientConnections()
		hs.Close()
	})
	return w
}

// call makes a request with a JSON body and returns status, header and answer.
func (w *world) call(method, path, body string, header ...string) (int, http.Header, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}

// want makes a request, checks the status, and decodes the answer into out.
func (w *world) want(status int, method, path, body string, out any) {
	w.t.Helper()
	got, _, answer := w.call(method, path, body)
	if got != status {
		w.t.Fatalf("%s %s: got %d %s, want %d", method, path, got, answer, status)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(answer), out); err != nil {
			w.t.Fatalf("%s %s: %v in %s", method, path, err, answer)
		}
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) put(name, text string, target unit.TargetState) *unit.File {
	w.t.Helper()
	f, err := unit.Parse([]byte(text))
	w.must(err)
	_, err = w.reg.PutUnit(w.t.Context(), name, f, target, nil)
	w.must(err)
	return f
}

func (w *world) machine(id, ip string, metadata map[string]string) {
	w.t.Helper()
	ctx := w.t.Context()
	lease, err := w.reg.Claim(ctx, id, nil, 0, time.Minute)
	w.must(err)
	w.leases[id] = lease
	m := schedule.Machine{ID: id, PrimaryIP: ip, Metadata: metadata}
	w.must(w.reg.Report(ctx, lease, []schedule.Change{{Machine: &m}}))
	w.must(w.reg.Present(ctx, lease, schedule.Presence{MachineID: id, Nonce: id, Ready: true}, nil))
}

func (w *world) lose(id string) {
	w.t.Helper()
	w.must(w.reg.End(w.t.Context(), w.leases[id]))
}

// snapshot returns the store's changes of one kind.
func (w *world) snapshot() []schedule.Change {
	w.t.Helper()
	u, err := w.reg.Snapshot(w.t.Context(), 0)
	w.must(err)
	return u.Changes
}

// place writes a placement over what is there; remove takes it away.
func (w *world) place(p schedule.Placement, remove bool) {
	w.t.Helper()
	d := schedule.Decision{Writes: []schedule.Write{{Placement: p, Delete: remove}}}
	for _, c := range w.snapshot() {
		if o := c.Placement; o != nil && o.Unit == p.Unit && o.MachineID == p.MachineID {
			d.Writes[0].Revision = c.Revision
		}
	}
	w.decide(d)
}

// decide writes a decision as the leader.
func (w *world) decide(d schedule.Decision) {
	w.t.Helper()
	refused, err := w.reg.Apply(w.t.Context(), w.term, []schedule.Decision{d})
	w.must(err)
	if len(refused) > 0 {
		w.t.Fatalf("the store refused %+v", d)
	}
}

func (w *world) report(st unit.State) {
	w.t.Helper()
	w.must(w.reg.Report(w.t.Context(), w.leases[st.MachineID], []schedule.Change{{State: &st}}))
}

// run places a unit on a machine and reports that it has got there.
func (w *world) run(name, machine string, f *unit.File, target unit.TargetState, generation int64) {
	w.t.Helper()
	w.place(schedule.Placement{Unit: name, MachineID: machine, Hash: f.Hash, Target: target, Order: schedule.Run, Generation: generation}, false)
	active, sub := "inactive", "dead"
	if target == unit.Launched {
		active, sub = "active", "running"
	}
	w.report(unit.State{Name: name, Hash: f.Hash, MachineID: machine, LoadState: "loaded", ActiveState: active, SubState: sub, Generation: generation, Reached: target})
}

func jsonOf(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return b.String()
}
