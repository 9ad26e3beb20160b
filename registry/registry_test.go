package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"fleet/registry"
	"fleet/schedule"
	"fleet/unit"
)

var update = flag.Bool("update", false, "rewrite golden files")

const text = "[Service]\nExecStart=/bin/true\n"

func parse(t *testing.T, text string) *unit.File {
	t.Helper()
	f, err := unit.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func open(kv registry.KV) *registry.Registry {
	return registry.New(kv, "", slog.New(slog.DiscardHandler))
}

// TestLayout holds what is kept under which key, byte for byte: another
// fleetd, of another version, reads it.
func TestLayout(t *testing.T) {
	kv := registry.NewMemory()
	r, ctx := open(kv), t.Context()
	machine := strings.Repeat("a", 32)
	lease, err := r.Claim(ctx, machine, []string{"n"}, 0, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	must(t, r.Report(ctx, lease, []schedule.Change{
		{Machine: &schedule.Machine{ID: machine, PrimaryIP: "10.0.0.1", Metadata: map[string]string{"az": "b"}, Hostname: "h", CPUs: 2, Memory: 1 << 30, TTL: 10, Version: "1"}},
		{State: &unit.State{Name: "a.service", Hash: "h", MachineID: machine, LoadState: "loaded", ActiveState: "active", SubState: "running", Generation: 7, Reached: unit.Launched}},
	}))
	must(t, r.Present(ctx, lease, schedule.Presence{MachineID: machine, BootID: "b", Nonce: "n", Ready: true}, []string{"n"}))
	_, err = r.PutUnit(ctx, "a.service", parse(t, text), unit.Launched, nil)
	must(t, err)
	must(t, r.EditLabels(ctx, []string{machine}, func(l []schedule.Label) error {
		l[0].Set = map[string]string{"az": "c"}
		l[0].Removed = []string{"x"}
		return nil
	}))
	must(t, r.Lead(ctx, "engine of m1", 5*time.Second, func(ctx context.Context, term int64) error {
		_, err := r.Apply(ctx, term, []schedule.Decision{{
			Units: []schedule.UnitAt{{Name: "a.service", Revision: unitRevision(t, kv, "a.service")}},
			Writes: []schedule.Write{{Placement: schedule.Placement{
				Unit: "a.service", MachineID: machine, Hash: "h", Target: unit.Launched, Order: schedule.Run, Generation: 7, Reason: "least loaded",
			}}},
			Others: []schedule.Change{
				{Done: &schedule.Done{Unit: "a.service", Revision: 5, Hash: "h", MachineID: machine, At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}},
				{Absence: &schedule.Absence{MachineID: machine, Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}},
			},
		}})
		must(t, err)
		return compare(ctx, kv, "testdata/layout.golden")
	}))
}

func compare(ctx context.Context, kv registry.KV, golden string) error {
	res, err := kv.Range(ctx, registry.Range{Key: "/", End: "0"})
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, p := range res.Pairs {
		leased := ""
		if p.Lease != 0 {
			leased = " (leased)"
		}
		fmt.Fprintf(&b, "%s%s\n\t%s\n", p.Key, leased, strings.ReplaceAll(string(p.Value), "\n", "\n\t"))
	}
	if *update {
		return os.WriteFile(golden, []byte(b.String()), 0o644)
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		return err
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		return fmt.Errorf("what is stored differs from %s:\n%s", golden, d)
	}
	return nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func unitRevision(t *testing.T, kv registry.KV, name string) int64 {
	t.Helper()
	res, err := kv.Range(t.Context(), registry.Range{Key: "/fleet/unit/" + name})
	must(t, err)
	if len(res.Pairs) == 0 {
		return 0
	}
	return res.Pairs[0].ModRevision
}

func TestIdentityIsCreatedOnce(t *testing.T) {
	kv := registry.NewMemory()
	r := open(kv)
	first, _, err := r.Identity(t.Context(), "")
	must(t, err)
	again, _, err := r.Identity(t.Context(), "")
	must(t, err)
	if first != again || len(first) != 32 {
		t.Errorf("identities %q and %q", first, again)
	}
	if _, _, err := open(registry.NewMemory()).Identity(t.Context(), first); !errors.Is(err, schedule.ErrForgotten) {
		t.Errorf("an empty store to one that knew a cluster: %v, want ErrForgotten", err)
	}
	b, _ := json.Marshal(map[string]any{"id": "x", "format": registry.Format + 1})
	newer := registry.NewMemory()
	_, err = newer.Txn(t.Context(), registry.Txn{Then: []registry.Op{{Put: "/fleet/cluster", Value: b}}})
	must(t, err)
	if _, _, err := open(newer).Identity(t.Context(), ""); !errors.Is(err, registry.ErrFormat) {
		t.Errorf("a newer format: %v, want ErrFormat", err)
	}
}

func TestPutUnit(t *testing.T) {
	kv := registry.NewMemory()
	r, ctx := open(kv), t.Context()
	v1, v2 := parse(t, text), parse(t, text+"Restart=always\n")
	none, hash1 := "", v1.Hash

	put := func(f *unit.File, target unit.TargetState, expect *string) (bool, error) {
		return r.PutUnit(ctx, "a.service", f, target, expect)
	}
	if _, err := put(nil, unit.Launched, nil); !errors.Is(err, unit.ErrNotFound) {
		t.Errorf("a target for an unknown unit: %v", err)
	}
	if created, err := put(v1, unit.Inactive, &none); !created || err != nil {
		t.Errorf("create: %v, %v", created, err)
	}
	rev := unitRevision(t, kv, "a.service")
	if created, err := put(v1, unit.Inactive, nil); created || err != nil || unitRevision(t, kv, "a.service") != rev {
		t.Errorf("the same again: %v, %v, or it was written", created, err)
	}
	if _, err := put(v2, unit.Inactive, &none); !errors.Is(err, unit.ErrExists) {
		t.Errorf("create what exists: %v", err)
	}
	if _, err := put(v2, unit.Launched, &hash1); err != nil {
		t.Errorf("replace: %v", err)
	}
	if _, err := put(v1, unit.Launched, &hash1); !errors.Is(err, unit.ErrExists) {
		t.Errorf("replace what was replaced meanwhile: %v", err)
	}
	must(t, r.DeleteUnit(ctx, "a.service"))
	if err := r.DeleteUnit(ctx, "a.service"); !errors.Is(err, unit.ErrNotFound) {
		t.Errorf("delete again: %v", err)
	}
}

func TestTheLargestFileFits(t *testing.T) {
	r := open(registry.NewMemory())
	largest := text + "#" + strings.Repeat("x", unit.MaxFileSize-len(text)-1)
	if _, err := r.PutUnit(t.Context(), "a.service", parse(t, largest), unit.Launched, nil); err != nil {
		t.Error(err)
	}
}

func TestConcurrentPutsLoseNothing(t *testing.T) {
	r, ctx := open(registry.NewMemory()), t.Context()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			f, err := unit.Parse([]byte(fmt.Sprintf("%s#%d\n", text, i%3)))
			if err == nil {
				_, err = r.PutUnit(ctx, fmt.Sprintf("u%d.service", i%5), f, unit.Launched, nil)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	u, err := r.Snapshot(ctx, 0)
	must(t, err)
	for _, c := range u.Changes {
		if c.File == nil || c.File.Hash != c.Unit.Hash {
			t.Errorf("%s has file %v, want %s", c.Unit.Name, c.File, c.Unit.Hash)
		}
	}
	if len(u.Changes) != 5 {
		t.Errorf("%d units, want 5", len(u.Changes))
	}
}

func TestApplyRefusesWhatIsStale(t *testing.T) {
	kv := registry.NewMemory()
	r, ctx := open(kv), t.Context()
	for _, n := range []string{"a.service", "b.service"} {
		_, err := r.PutUnit(ctx, n, parse(t, text), unit.Launched, nil)
		must(t, err)
	}
	place := func(name string, rev int64) schedule.Decision {
		return schedule.Decision{
			Units:  []schedule.UnitAt{{Name: name, Revision: rev}},
			Writes: []schedule.Write{{Placement: schedule.Placement{Unit: name, MachineID: "m1", Order: schedule.Run}}},
		}
	}
	var old int64
	must(t, r.Lead(ctx, "one", time.Second, func(ctx context.Context, term int64) error {
		old = term
		good, stale := place("a.service", unitRevision(t, kv, "a.service")), place("b.service", 1)
		refused, err := r.Apply(ctx, term, []schedule.Decision{good, stale})
		must(t, err)
		if d := cmp.Diff([]schedule.Decision{stale}, refused); d != "" {
			t.Errorf("refused:\n%s", d)
		}
		refused, err = r.Apply(ctx, term, []schedule.Decision{good}) // the placement is there now
		if err != nil || len(refused) != 1 {
			t.Errorf("the same again: refused %v, %v", refused, err)
		}
		return nil
	}))
	if _, err := r.Apply(ctx, old, []schedule.Decision{place("b.service", unitRevision(t, kv, "b.service"))}); !errors.Is(err, registry.ErrTermOver) {
		t.Errorf("a write of an earlier term: %v, want ErrTermOver", err)
	}
}

func TestApplyNeverEvictsFromALiveMachine(t *testing.T) {
	r, ctx := open(registry.NewMemory()), t.Context()
	lease, err := r.Claim(ctx, "m1", []string{"n"}, 0, time.Minute)
	must(t, err)
	must(t, r.Present(ctx, lease, schedule.Presence{MachineID: "m1", Nonce: "n"}, []string{"n"}))
	must(t, r.Lead(ctx, "one", time.Second, func(ctx context.Context, term int64) error {
		refused, err := r.Apply(ctx, term, []schedule.Decision{{
			Gone:   []string{"m1"},
			Writes: []schedule.Write{{Placement: schedule.Placement{Unit: "a.service", MachineID: "m2"}}},
		}})
		if err != nil || len(refused) != 1 {
			t.Errorf("refused %d, %v: the machine is there", len(refused), err)
		}
		return nil
	}))
}

func TestManyDecisionsFitTheStoresTransactions(t *testing.T) {
	r, ctx := open(registry.NewMemory()), t.Context()
	must(t, r.Lead(ctx, "one", time.Second, func(ctx context.Context, term int64) error {
		var all []schedule.Decision
		for i := range 1000 {
			all = append(all, schedule.Decision{Writes: []schedule.Write{{
				Placement: schedule.Placement{Unit: fmt.Sprintf("u%d.service", i), MachineID: "m1"},
			}}})
		}
		refused, err := r.Apply(ctx, term, all)
		must(t, err)
		if len(refused) != 0 {
			t.Errorf("%d refused", len(refused))
		}
		u, err := r.Snapshot(ctx, 0)
		must(t, err)
		if len(u.Changes) != 1000 {
			t.Errorf("%d placements, want 1000", len(u.Changes))
		}
		return nil
	}))
}

func TestOneLeadsAndTheNextFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := registry.NewMemory()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		terms := make(chan int64, 10)
		var mu sync.Mutex
		leading := 0
		var wg sync.WaitGroup
		lead := func(name string, hold time.Duration) {
			r := open(kv.Client(name))
			_ = r.Lead(ctx, name, 4*time.Second, func(ctx context.Context, term int64) error {
				mu.Lock()
				leading++
				if leading > 1 {
					t.Error("two lead at once")
				}
				mu.Unlock()
				terms <- term
				select {
				case <-ctx.Done():
				case <-time.After(hold):
				}
				mu.Lock()
				leading--
				mu.Unlock()
				return nil
			})
		}
		wg.Go(func() { lead("one", time.Hour) })
		first := <-terms
		wg.Go(func() { lead("two", time.Hour) })
		synctest.Wait()
		began := time.Now()
		kv.Cut("one")
		second := <-terms
		if second <= first {
			t.Errorf("term %d came after term %d", second, first)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("the next leader came after %v, the lease lasts 4s", took)
		}
		cancel()
		kv.Heal("one")
		wg.Wait()
	})
}

func TestThreeSeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := registry.NewMemory()
		ctx, cancel := context.WithCancel(t.Context())
		seated := make(chan string, 10)
		leave := map[string]chan struct{}{}
		var wg sync.WaitGroup
		for i := range 5 {
			name, left := fmt.Sprint(i), make(chan struct{})
			leave[name] = left
			wg.Go(func() {
				_ = open(kv.Client(name)).Seat(ctx, name, 4*time.Second, func(ctx context.Context, _ int) error {
					seated <- name
					select {
					case <-ctx.Done():
					case <-left:
					}
					return nil
				})
			})
		}
		time.Sleep(time.Minute)
		if n := len(seated); n != 3 {
			t.Fatalf("%d are seated, want 3", n)
		}
		close(leave[<-seated])
		synctest.Wait()
		if n := len(seated); n != 3 {
			t.Errorf("%d are seated after one left, want 3", n)
		}
		cancel()
		wg.Wait()
	})
}

func TestClonesAreRefused(t *testing.T) {
	r, ctx := open(registry.NewMemory()), t.Context()
	lease, err := r.Claim(ctx, "m1", []string{"mine"}, 0, time.Minute)
	must(t, err)
	must(t, r.Present(ctx, lease, schedule.Presence{MachineID: "m1", Nonce: "mine"}, []string{"mine"}))
	if _, err := r.Claim(ctx, "m1", []string{"other"}, 0, time.Minute); !errors.Is(err, schedule.ErrClaimed) {
		t.Errorf("a clone's claim: %v, want ErrClaimed", err)
	}
	again, err := r.Claim(ctx, "m1", []string{"next", "mine"}, lease, time.Minute)
	if err != nil || again != lease {
		t.Errorf("the same machine's later claim: lease %d, %v; want lease %d", again, err, lease)
	}
}

func TestUnusedFilesAreCollected(t *testing.T) {
	kv := registry.NewMemory()
	r, ctx := open(kv), t.Context()
	_, err := r.PutUnit(ctx, "a.service", parse(t, text), unit.Inactive, nil)
	must(t, err)
	_, err = r.PutUnit(ctx, "b.service", parse(t, text+"#b\n"), unit.Inactive, nil)
	must(t, err)
	must(t, r.DeleteUnit(ctx, "b.service"))
	must(t, r.Lead(ctx, "one", time.Second, func(ctx context.Context, term int64) error {
		if n, err := r.CollectFiles(ctx, term); n != 1 || err != nil {
			t.Errorf("collected %d, %v; want 1", n, err)
		}
		if n, err := r.CollectFiles(ctx, term); n != 0 || err != nil {
			t.Errorf("collected %d again, %v", n, err)
		}
		return nil
	}))
	if _, err := r.File(ctx, parse(t, text).Hash); err != nil {
		t.Errorf("the used file: %v", err)
	}
	_, err = r.PutUnit(ctx, "b.service", parse(t, text+"#b\n"), unit.Inactive, nil)
	must(t, err)
	if _, err := open(kv).File(ctx, parse(t, text+"#b\n").Hash); err != nil {
		t.Errorf("the file submitted again: %v", err)
	}
}

func TestFollowMissesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := registry.NewMemory()
		r := open(kv)
		ctx, cancel := context.WithCancel(t.Context())
		model := map[string]string{}
		var wg sync.WaitGroup
		wg.Go(func() {
			for ctx.Err() == nil {
				_ = r.Follow(ctx, func(u schedule.Update) error {
					if u.Snapshot {
						clear(model)
					}
					for _, c := range u.Changes {
						if c.Deleted {
							delete(model, c.Unit.Name)
						} else {
							model[c.Unit.Name] = c.File.Text
						}
					}
					return nil
				})
			}
		})
		for i := range 30 {
			name := fmt.Sprintf("u%d.service", i%7)
			if i%5 == 4 {
				_ = r.DeleteUnit(ctx, name)
			} else {
				f, _ := unit.Parse([]byte(fmt.Sprintf("%s#%d\n", text, i)))
				_, err := r.PutUnit(ctx, name, f, unit.Launched, nil)
				must(t, err)
			}
			if i == 15 {
				must(t, kv.Compact(ctx, unitRevision(t, kv, "u1.service")))
				kv.LoseLeader()
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		u, err := r.Snapshot(ctx, 0)
		must(t, err)
		want := map[string]string{}
		for _, c := range u.Changes {
			want[c.Unit.Name] = c.File.Text
		}
		if d := cmp.Diff(want, model); d != "" {
			t.Errorf("the follower's view differs:\n%s", d)
		}
		cancel()
		wg.Wait()
	})
}
