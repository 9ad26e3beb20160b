package kvtest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fleet/registry"
	"fleet/schedule"
)

var rangeCases = []Case{
	{"range", testRange},
	{"range at a revision", testRangeAtRevision},
	{"range limited", testRangeLimited},
	{"range of a compacted revision", testRangeCompacted},
	{"ctx ends", testContextEnds},
}

// names strips pairs to their names below the test's prefix.
func (s store) names(pairs []registry.Pair) []string {
	var names []string
	for _, p := range pairs {
		names = append(names, p.Key[len(s.prefix):])
	}
	return names
}

func testRange(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	revB := s.put("b", "1")
	revA := s.put("a", "2")
	s.put("c", "3")
	s.put("a/x", "4")
	revB2 := s.put("b", "5")

	res := s.all(0)
	if diff := cmp.Diff([]string{"a", "a/x", "b", "c"}, s.names(res.Pairs)); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if res.Revision < revB2 || res.More {
		t.Errorf("revision %d, more %v; the last write was %d", res.Revision, res.More, revB2)
	}
	if res.Store.ClusterID == 0 || res.Store.RaftTerm == 0 {
		t.Errorf("store ID %+v", res.Store)
	}
	want := registry.Pair{Key: s.key("b"), Value: []byte("5"), CreateRevision: revB, ModRevision: revB2}
	if diff := cmp.Diff(want, s.get("b")); diff != "" {
		t.Errorf("a key written twice (-want +got):\n%s", diff)
	}
	if got := s.get("a"); got.CreateRevision != revA || got.ModRevision != revA {
		t.Errorf("a key written once: %+v, want revision %d", got, revA)
	}
	part := s.read(registry.Range{Key: s.key("a/"), End: s.key("c"), KeysOnly: true})
	if diff := cmp.Diff([]string{"a/x", "b"}, s.names(part.Pairs)); diff != "" {
		t.Errorf("part of the keys (-want +got):\n%s", diff)
	}
	if len(part.Pairs[0].Value) != 0 || part.Pairs[1].ModRevision != revB2 {
		t.Errorf("keys only: %+v", part.Pairs)
	}
	if got := s.get("none"); got.ModRevision != 0 {
		t.Errorf("an absent key: %+v", got)
	}
	if _, err := s.Range(t.Context(), registry.Range{}); err == nil {
		t.Error("a range without a key succeeds")
	}
}

func testRangeAtRevision(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	first := s.put("a", "1")
	second := s.do(s.putOp("a", "2"), s.putOp("b", "2"))
	third := s.do(registry.Op{Delete: s.key("a")})
	fourth := s.put("a", "4")

	for _, tt := range []struct {
		rev  int64
		want string
	}{
		{first, "a=1 "}, {second, "a=2 b=2 "}, {third, "b=2 "}, {fourth, "a=4 b=2 "}, {0, "a=4 b=2 "},
	} {
		res, got := s.all(tt.rev), ""
		for _, p := range res.Pairs {
			got += fmt.Sprintf("%s=%s ", p.Key[len(s.prefix):], p.Value)
		}
		if got != tt.want {
			t.Errorf("at revision %d: %s, want %s", tt.rev, got, tt.want)
		}
		if res.Revision < fourth {
			t.Errorf("at revision %d: the store's revision is said to be %d, after %d", tt.rev, res.Revision, fourth)
		}
	}
	if got := s.get("a"); got.CreateRevision != fourth {
		t.Errorf("a key put again after its deletion: %+v, want creation at %d", got, fourth)
	}
	if _, err := s.Range(t.Context(), registry.Range{Key: s.key("a"), Revision: fourth + 1e6}); err == nil || errors.Is(err, schedule.ErrCompacted) {
		t.Errorf("a future revision: %v", err)
	}
}

func testRangeLimited(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	var ops []registry.Op
	for i := range 25 {
		ops = append(ops, s.putOp(fmt.Sprintf("%02d", i), ""))
	}
	s.do(ops...)
	var names []string
	from := s.prefix
	for page := 0; page < 10; page++ {
		res := s.read(registry.Range{Key: from, End: s.end(), Limit: 10})
		names = append(names, s.names(res.Pairs)...)
		if !res.More {
			break
		}
		from = res.Pairs[len(res.Pairs)-1].Key + "\x00"
	}
	if len(names) != 25 || names[0] != "00" || names[24] != "24" {
		t.Errorf("paged: %v", names)
	}
	if res := s.read(registry.Range{Key: s.prefix, End: s.end(), Limit: 25}); len(res.Pairs) != 25 || res.More {
		t.Errorf("a limit that is just enough: %d keys, more %v", len(res.Pairs), res.More)
	}
}

func testRangeCompacted(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	first := s.put("a", "1")
	s.put("gone", "1")
	s.do(registry.Op{Delete: s.key("gone")})
	last := s.put("a", "2")
	s.compact(last)
	if _, err := s.Range(t.Context(), registry.Range{Key: s.key("a"), Revision: first}); !errors.Is(err, schedule.ErrCompacted) {
		t.Errorf("a compacted revision: %v", err)
	}
	if res := s.all(last); len(res.Pairs) != 1 || string(res.Pairs[0].Value) != "2" {
		t.Errorf("the revision compacted to: %+v", res)
	}
	if got := s.get("a"); got.CreateRevision != first || got.ModRevision != last {
		t.Errorf("after compaction: %+v, want revisions %d and %d", got, first, last)
	}
}

func testContextEnds(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, readErr := s.Range(ctx, registry.Range{Key: s.key("a")})
	_, writeErr := s.Txn(ctx, registry.Txn{Then: []registry.Op{s.putOp("a", "")}})
	_, grantErr := s.Leases().Grant(ctx, 1)
	for name, err := range map[string]error{"read": readErr, "write": writeErr, "grant": grantErr} {
		if !errors.Is(err, schedule.ErrUnavailable) {
			t.Errorf("%s with a ctx that has ended: %v", name, err)
		}
	}
	if errors.Is(writeErr, registry.ErrUnknownOutcome) {
		t.Errorf("a write that was never sent: %v", writeErr)
	}
	for range s.Watch(ctx, s.prefix, s.end(), 1) {
		// it must close
	}
}
