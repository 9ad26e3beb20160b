package registry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"fleet/registry"
	"fleet/schedule"
)

// put writes one key and fails the test if it can't.
func put(t *testing.T, kv registry.KV, key, value string) int64 {
	t.Helper()
	res, err := kv.Txn(t.Context(), registry.Txn{Then: []registry.Op{{Put: key, Value: []byte(value)}}})
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	return res.Revision
}

// get returns the value of a key, "" when there is none.
func get(t *testing.T, kv registry.KV, key string) string {
	t.Helper()
	res, err := kv.Range(t.Context(), registry.Range{Key: key})
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	if len(res.Pairs) == 0 {
		return ""
	}
	return string(res.Pairs[0].Value)
}

// next returns the next event of a watch that is not mere progress.
func next(t *testing.T, ch <-chan registry.WatchEvent) registry.WatchEvent {
	t.Helper()
	for range 10 {
		ev, open := <-ch
		if !open {
			t.Fatal("the watch closed without a word")
		}
		if ev.Err != nil || len(ev.Changes) > 0 {
			return ev
		}
	}
	t.Fatal("the watch shows nothing but progress")
	return registry.WatchEvent{}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestMemoryStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := registry.NewMemory()
		lease, err := m.Leases().Grant(t.Context(), 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Txn(t.Context(), registry.Txn{Then: []registry.Op{{Put: "k", Lease: lease}}}); err != nil {
			t.Fatal(err)
		}
		watch := m.Watch(t.Context(), "k", "", 0)
		m.Stall()

		if _, err := m.Range(within(t, time.Second), registry.Range{Key: "k"}); !errors.Is(err, schedule.ErrUnavailable) {
			t.Errorf("read of a stalled store: %v", err)
		}
		_, err = m.Txn(within(t, time.Second), registry.Txn{Then: []registry.Op{{Put: "other"}}})
		if !errors.Is(err, schedule.ErrUnavailable) || !errors.Is(err, registry.ErrUnknownOutcome) {
			t.Errorf("transaction on a stalled store: %v", err)
		}
		if ev := next(t, watch); !errors.Is(ev.Err, schedule.ErrUnavailable) {
			t.Errorf("watch of a stalled store: %+v", ev)
		}
		if _, open := <-watch; open {
			t.Error("the watch goes on after its error")
		}

		waiting := make(chan error, 1)
		go func() {
			_, err := m.Range(t.Context(), registry.Range{Key: "k"})
			waiting <- err
		}()
		synctest.Wait()
		watch = m.Watch(t.Context(), "k", "", 2)
		m.Resume()
		if err := <-waiting; err != nil {
			t.Errorf("a waiting read after Resume: %v", err)
		}
		if ev := next(t, watch); len(ev.Changes) != 2 || !ev.Changes[1].Deleted {
			t.Errorf("a lease that ran out during the stall did not expire: %+v", ev)
		}
	})
}

func TestMemoryCutConcernsOneClientAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := registry.NewMemory()
		a, b := m.Client("a"), m.Client("b")
		lease, err := a.Leases().Grant(t.Context(), 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		watchA, watchB := a.Watch(ctx, "k", "l", 0), b.Watch(ctx, "k", "l", 0)
		m.Cut("a")
		rev := put(t, b, "k1", "x")

		if _, err := a.Leases().KeepAlive(within(t, time.Second), lease); !errors.Is(err, schedule.ErrUnavailable) || errors.Is(err, registry.ErrLeaseGone) {
			t.Errorf("keepalive while cut: %v", err)
		}
		if ev := next(t, watchB); ev.Revision != rev || len(ev.Changes) != 1 {
			t.Errorf("the other client's watch: %+v", ev)
		}
		begun := time.Now()
		if ev := next(t, watchA); !errors.Is(ev.Err, schedule.ErrUnavailable) || time.Since(begun) > 10*time.Second {
			t.Errorf("watch while cut: %+v after %v", ev, time.Since(begun))
		}
		time.Sleep(10 * time.Second)
		m.Heal("a")
		if _, err := a.Leases().KeepAlive(ctx, lease); !errors.Is(err, registry.ErrLeaseGone) {
			t.Errorf("keepalive of a lease that ran out: %v", err)
		}
		if ev := next(t, a.Watch(ctx, "k", "l", rev)); ev.Revision != rev {
			t.Errorf("watch from %d after healing: %+v", rev, ev)
		}
	})
}

func TestMemoryShortCutLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := registry.NewMemory()
		a := m.Client("a")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		watch := a.Watch(ctx, "k", "", 0)
		m.Cut("a")
		put(t, m, "k", "1")
		put(t, m, "k", "2")
		time.Sleep(2 * time.Second)
		select {
		case ev := <-watch:
			t.Errorf("delivered through a cut: %+v", ev)
		default:
		}
		m.Heal("a")
		if ev := next(t, watch); len(ev.Changes) != 2 || string(ev.Changes[1].Value) != "2" {
			t.Errorf("after healing: %+v", ev)
		}
	})
}

func TestMemoryDropReplies(t *testing.T) {
	m := registry.NewMemory()
	a := m.Client("a")
	m.DropReplies("a", 1)
	_, err := a.Txn(t.Context(), registry.Txn{Then: []registry.Op{{Put: "k", Value: []byte("v")}}})
	if !errors.Is(err, registry.ErrUnknownOutcome) {
		t.Errorf("transaction without a reply: %v", err)
	}
	if got := get(t, a, "k"); got != "v" {
		t.Errorf("k = %q: the transaction did not take effect", got)
	}
	put(t, a, "k", "again")
}

func TestMemoryHoldWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := registry.NewMemory()
		a := m.Client("a")
		rev := put(t, a, "fence", "1")
		m.HoldWrites("a", 2)
		for _, key := range []string{"late", "fenced"} {
			cond := registry.Cond{Key: "fence", Rel: registry.Equal, Value: rev}
			if key == "late" {
				cond = registry.Cond{Key: "late", Rel: registry.Equal}
			}
			_, err := a.Txn(within(t, time.Second), registry.Txn{
				If: []registry.Cond{cond}, Then: []registry.Op{{Put: key, Value: []byte("v")}},
			})
			if !errors.Is(err, registry.ErrUnknownOutcome) {
				t.Errorf("held transaction: %v", err)
			}
		}
		if get(t, a, "late") != "" {
			t.Error("a held transaction took effect before its release")
		}
		put(t, a, "fence", "2")
		if n := m.ReleaseWrites("a"); n != 1 {
			t.Errorf("%d late transactions took effect, want 1", n)
		}
		if get(t, a, "late") != "v" || get(t, a, "fenced") != "" {
			t.Error("the wrong late transaction took effect")
		}
	})
}

func TestMemoryLoseLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := registry.NewMemory()
		lease, err := m.Leases().Grant(t.Context(), 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		before, err := m.Range(t.Context(), registry.Range{Key: "k"})
		if err != nil {
			t.Fatal(err)
		}
		watch := m.Watch(t.Context(), "k", "", 0)
		time.Sleep(9 * time.Second)
		m.LoseLeader()
		if ev := next(t, watch); !errors.Is(ev.Err, schedule.ErrUnavailable) {
			t.Errorf("watch: %+v", ev)
		}
		time.Sleep(9 * time.Second)
		if _, err := m.Leases().KeepAlive(t.Context(), lease); err != nil {
			t.Errorf("the lease did not get its full time again: %v", err)
		}
		after, err := m.Range(t.Context(), registry.Range{Key: "k"})
		if err != nil || after.Store.RaftTerm != before.Store.RaftTerm+1 || after.Store.ClusterID != before.Store.ClusterID {
			t.Errorf("store went from %+v to %+v, %v", before.Store, after.Store, err)
		}
	})
}

func TestMemoryRestore(t *testing.T) {
	for _, tt := range []struct {
		name  string
		bump  int64
		newID bool
		want  error // of a watch that is ahead of the backup
	}{
		{"plain", 0, false, schedule.ErrUnavailable},
		{"bumped", 1000, true, schedule.ErrCompacted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := registry.NewMemory()
				lease, err := m.Leases().Grant(t.Context(), 10*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := m.Txn(t.Context(), registry.Txn{Then: []registry.Op{{Put: "leased", Lease: lease}}}); err != nil {
					t.Fatal(err)
				}
				rev := put(t, m, "k", "old")
				before, err := m.Range(t.Context(), registry.Range{Key: "k"})
				if err != nil {
					t.Fatal(err)
				}
				image := m.Backup()
				for i := range 3 {
					put(t, m, "k", fmt.Sprint("lost", i))
				}
				watch := m.Watch(t.Context(), "k", "", rev+1)
				next(t, watch)
				m.Restore(image, tt.bump, tt.newID)

				after, err := m.Range(t.Context(), registry.Range{Key: "k"})
				if err != nil || string(after.Pairs[0].Value) != "old" || after.Revision != rev+tt.bump {
					t.Errorf("after the restore: %+v, %v", after, err)
				}
				if (after.Store.ClusterID != before.Store.ClusterID) != tt.newID {
					t.Errorf("cluster ID went from %x to %x", before.Store.ClusterID, after.Store.ClusterID)
				}
				put(t, m, "k", "new")
				if ev := next(t, watch); !errors.Is(ev.Err, tt.want) {
					t.Errorf("the surviving watch: %+v, want %v", ev, tt.want)
				}
				time.Sleep(11 * time.Second)
				if r, err := m.Range(t.Context(), registry.Range{Key: "leased"}); err != nil || len(r.Pairs) != 0 {
					t.Errorf("a restored lease did not expire: %+v, %v", r, err)
				}
				m.Restore(image, 0, false)
				if got := get(t, m, "k"); got != "old" {
					t.Errorf("the image changed after its restore: k = %q", got)
				}
			})
		})
	}
}

func TestMemoryQuietWatchShowsProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := registry.NewMemory()
		watch := m.Watch(t.Context(), "k", "", 0)
		rev := put(t, m, "elsewhere", "x")
		for range 3 {
			begun := time.Now()
			if ev := <-watch; ev.Revision != rev || len(ev.Changes) != 0 || time.Since(begun) > 5*time.Second {
				t.Errorf("%+v after %v", ev, time.Since(begun))
			}
		}
	})
}

// A large store must stay cheap to write to, however many watch it.
func BenchmarkMemoryPut(b *testing.B) {
	m := registry.NewMemory()
	for i := range 500 {
		prefix := fmt.Sprintf("place/%04d", i)
		ch := m.Watch(b.Context(), prefix+"/", prefix+"0", 0)
		go func() {
			for range ch {
			}
		}()
	}
	for i := 0; b.Loop(); i++ {
		key := fmt.Sprintf("place/%04d/%d.service", i%500, i/500%200)
		if _, err := m.Txn(b.Context(), registry.Txn{Then: []registry.Op{{Put: key}}}); err != nil {
			b.Fatal(err)
		}
	}
}
