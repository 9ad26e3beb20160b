package kvtest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fleet/registry"
	"fleet/schedule"
)

var watchCases = []Case{
	{"watch", testWatch},
	{"watch from the next revision", testWatchFromNext},
	{"watch whole revisions", testWatchWholeRevisions},
	{"watch concurrent writers", testWatchConcurrentWriters},
	{"watch a compacted revision", testWatchCompacted},
	{"watch shows progress", testWatchProgress},
}

func testWatch(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	first := s.put("a", "1")
	second := s.put("a", "2")
	third := s.do(registry.Op{Delete: s.key("a")})
	w := s.watch(second)
	fourth := s.put("b", "4")
	want := []registry.KeyChange{
		{Pair: registry.Pair{Key: s.key("a"), Value: []byte("2"), CreateRevision: first, ModRevision: second}},
		{Deleted: true, Pair: registry.Pair{Key: s.key("a"), ModRevision: third}},
		{Pair: registry.Pair{Key: s.key("b"), Value: []byte("4"), CreateRevision: fourth, ModRevision: fourth}},
	}
	if diff := cmp.Diff(want, w.changes(3)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func testWatchFromNext(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	s.put("a", "before")
	w := s.watch(0)
	if ev := w.event(); ev.Err != nil || len(ev.Changes) != 0 {
		t.Fatalf("the first event: %+v", ev)
	}
	rev := s.put("a", "after")
	if got := w.changes(1); got[0].ModRevision != rev || string(got[0].Value) != "after" {
		t.Errorf("%+v, want revision %d", got, rev)
	}
}

func testWatchWholeRevisions(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	const writes, keys = 20, registry.MaxOps
	start := s.put("start", "")
	live := s.watch(start + 1)
	value := string(make([]byte, 6000)) // more than one message of etcd's holds
	for range writes {
		var ops []registry.Op
		for i := range keys {
			ops = append(ops, s.putOp(fmt.Sprint(i), value))
		}
		s.do(ops...)
	}
	for name, w := range map[string]*watcher{"live": live, "late": s.watch(start + 1)} {
		for n := 0; n < writes*keys; {
			ev := w.event()
			if ev.Err != nil {
				t.Fatalf("the %s watch failed: %v", name, ev.Err)
			}
			n += len(ev.Changes)
			if len(ev.Changes)%keys != 0 {
				t.Fatalf("the %s watch delivered %d changes, of transactions of %d", name, len(ev.Changes), keys)
			}
		}
	}
}

// Watches that begin at a snapshot's revision, while many write, lead to what
// the store holds, each revision once.
func testWatchConcurrentWriters(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	const writers, each = 4, 50
	start := s.put("start", "")
	var writing sync.WaitGroup
	for n := range writers {
		writing.Go(func() {
			for i := range each {
				ops := []registry.Op{s.putOp(fmt.Sprintf("%d/%d", n, i%7), fmt.Sprint(i)), {Delete: s.key(fmt.Sprintf("%d/%d", n, (i+3)%7))}}
				if _, err := s.Txn(t.Context(), registry.Txn{Then: ops}); err != nil {
					t.Errorf("writer %d: %v", n, err)
				}
			}
		})
	}
	type follower struct {
		*watcher
		model map[string]string
	}
	var followers []follower
	for range 5 {
		snapshot := s.all(0)
		f := follower{model: make(map[string]string)}
		for _, p := range snapshot.Pairs {
			f.model[p.Key] = string(p.Value)
		}
		f.watcher = s.watch(snapshot.Revision + 1)
		f.seen = snapshot.Revision
		followers = append(followers, f)
	}
	writing.Wait()
	end := s.put("end", "")
	if end < start+writers*each {
		t.Errorf("%d writes took the revision from %d to %d", writers*each, start, end)
	}
	want := make(map[string]string)
	for _, p := range s.all(0).Pairs {
		want[p.Key] = string(p.Value)
	}
	for _, f := range followers {
		for f.seen < end {
			ev := f.event()
			if ev.Err != nil {
				t.Fatalf("the watch failed: %v", ev.Err)
			}
			for _, c := range ev.Changes {
				if c.Deleted {
					delete(f.model, c.Key)
				} else {
					f.model[c.Key] = string(c.Value)
				}
			}
		}
		if diff := cmp.Diff(want, f.model); diff != "" {
			t.Errorf("what a follower knows (-want +got):\n%s", diff)
		}
	}
}

func testWatchCompacted(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	first := s.put("a", "1")
	s.put("a", "2")
	last := s.put("a", "3")
	s.compact(last)
	if err := s.watch(first).end(); !errors.Is(err, schedule.ErrCompacted) {
		t.Errorf("a watch from a compacted revision ended with %v", err)
	}
	w := s.watch(last + 1)
	s.put("a", "4")
	w.changes(1)
}

func testWatchProgress(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	w := s.watch(s.put("a", "") + 1)
	for range 3 {
		if ev := w.event(); ev.Err != nil || len(ev.Changes) != 0 {
			t.Errorf("a quiet watch: %+v", ev)
		}
	}
	s.put("a", "")
	w.changes(1)
}
