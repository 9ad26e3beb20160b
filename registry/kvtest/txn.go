package kvtest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fleet/registry"
)

var txnCases = []Case{
	{"conditions", testConditions},
	{"else branch", testElse},
	{"one revision a transaction", testOneRevision},
	{"operations in order", testOperationsInOrder},
	{"delete range", testDeleteRange},
	{"refused transactions", testRefused},
	{"limits of a transaction", testLimits},
}

func testConditions(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	created := s.put("k", "1")
	modified := s.put("k", "2")
	for _, tt := range []struct {
		key    string
		create bool
		rel    registry.Rel
		value  int64
		want   bool
	}{
		{"k", true, registry.Equal, created, true},
		{"k", true, registry.Equal, modified, false},
		{"k", false, registry.Equal, modified, true},
		{"k", false, registry.Equal, created, false},
		{"k", false, registry.Less, modified, false},
		{"k", false, registry.Less, modified + 1, true},
		{"k", true, registry.Greater, created, false},
		{"k", true, registry.Greater, created - 1, true},
		{"k", false, registry.Unequal, created, true},
		{"k", false, registry.Unequal, modified, false},
		{"none", true, registry.Equal, 0, true},
		{"none", false, registry.Equal, 0, true},
		{"none", false, registry.Greater, 0, false},
		{"none", true, registry.Unequal, 0, false},
		{"none", true, registry.Less, 1, true},
	} {
		cond := registry.Cond{Key: s.key(tt.key), Create: tt.create, Rel: tt.rel, Value: tt.value}
		if res := s.txn(registry.Txn{If: []registry.Cond{cond}}); res.Succeeded != tt.want {
			t.Errorf("%s create=%v %c %d (revisions %d, %d): %v", tt.key, tt.create, tt.rel, tt.value, created, modified, res.Succeeded)
		}
	}
	both := []registry.Cond{
		{Key: s.key("k"), Rel: registry.Equal, Value: modified},
		{Key: s.key("none"), Rel: registry.Greater},
	}
	if s.txn(registry.Txn{If: both}).Succeeded {
		t.Error("one condition of two fails, and the transaction succeeds")
	}
}

func testElse(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	rev := s.put("k", "1")
	res := s.txn(registry.Txn{
		If:   []registry.Cond{{Key: s.key("k"), Create: true, Rel: registry.Equal}},
		Then: []registry.Op{s.putOp("k", "then")},
		Else: []registry.Op{{Get: s.key("k")}},
	})
	if res.Succeeded || res.Revision < rev || len(res.Pairs) != 1 || len(res.Pairs[0]) != 1 || string(res.Pairs[0][0].Value) != "1" {
		t.Errorf("else: %+v", res)
	}
	if got := s.get("k"); got.ModRevision != rev {
		t.Errorf("a failed condition changed the key: %+v", got)
	}
}

func testOneRevision(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	before := s.put("old", "")
	rev := s.do(s.putOp("a", ""), s.putOp("b", ""), registry.Op{Delete: s.key("old")})
	if rev <= before {
		t.Errorf("revision %d after %d", rev, before)
	}
	if a, b := s.get("a"), s.get("b"); a.ModRevision != rev || b.ModRevision != rev {
		t.Errorf("revisions %d and %d, want %d", a.ModRevision, b.ModRevision, rev)
	}
	if again := s.put("a", ""); again != rev+1 {
		t.Errorf("the same value again: revision %d, want %d", again, rev+1)
	}
	if none := s.do(registry.Op{Delete: s.key("absent")}); none != rev+1 {
		t.Errorf("deleting the absent: revision %d, want still %d", none, rev+1)
	}
}

func testOperationsInOrder(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	s.put("gone", "")
	before := s.put("k", "before")
	everything := registry.Op{Get: s.prefix, End: s.end()}
	res := s.txn(registry.Txn{Then: []registry.Op{
		everything, s.putOp("k", "after"), {Delete: s.key("gone")}, everything, {Get: s.key("none")},
	}})
	if len(res.Pairs) != 5 {
		t.Fatalf("%d results of 5 operations", len(res.Pairs))
	}
	want := [][]string{{"gone", "k"}, nil, nil, {"k"}, nil}
	for i, pairs := range res.Pairs {
		if diff := cmp.Diff(want[i], s.names(pairs)); diff != "" {
			t.Errorf("operation %d (-want +got):\n%s", i, diff)
		}
	}
	first, second := res.Pairs[0][1], res.Pairs[3][0]
	if string(first.Value) != "before" || first.ModRevision != before {
		t.Errorf("read before the write: %+v", first)
	}
	if string(second.Value) != "after" || second.ModRevision != res.Revision || second.CreateRevision != before {
		t.Errorf("read after the write: %+v, revision %d", second, res.Revision)
	}
}

func testDeleteRange(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	s.do(s.putOp("a", ""), s.putOp("b1", ""), s.putOp("b2", ""), s.putOp("c", ""))
	s.do(registry.Op{Delete: s.key("b"), End: s.key("c")})
	if diff := cmp.Diff([]string{"a", "c"}, s.names(s.all(0).Pairs)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func testRefused(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	s.put("before", "")
	for name, ops := range map[string][]registry.Op{
		"a key put twice":           {s.putOp("k", "1"), s.putOp("k", "2")},
		"a key put and deleted":     {s.putOp("k", "1"), {Delete: s.key("k")}},
		"a key put and in a delete": {{Delete: s.prefix, End: s.end()}, s.putOp("k", "1")},
		"no operation":              {{}},
	} {
		for _, txn := range []registry.Txn{{Then: ops}, {Else: ops}} { // also where it is not reached
			_, err := s.Txn(t.Context(), txn)
			if err == nil || errors.Is(err, registry.ErrUnknownOutcome) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if diff := cmp.Diff([]string{"before"}, s.names(s.all(0).Pairs)); diff != "" {
		t.Errorf("a refused transaction changed something (-want +got):\n%s", diff)
	}
}

func testLimits(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	var conds []registry.Cond
	var ops []registry.Op
	for i := range registry.MaxOps {
		ops = append(ops, s.putOp(fmt.Sprint(i), ""))
		conds = append(conds, registry.Cond{Key: s.key(fmt.Sprint(i)), Rel: registry.Equal})
	}
	if res := s.txn(registry.Txn{If: conds, Then: ops, Else: ops}); !res.Succeeded {
		t.Error("a transaction of the largest size fails")
	}
	tooMany := map[string]registry.Txn{
		"operations": {Then: append(ops, s.putOp("more", ""))},
		"conditions": {If: append(conds, registry.Cond{Key: s.key("more")})},
	}
	for what, txn := range tooMany {
		if _, err := s.Txn(t.Context(), txn); err == nil || errors.Is(err, registry.ErrUnknownOutcome) {
			t.Errorf("one of the %s too many: %v", what, err)
		}
	}
	s.put("large", string(make([]byte, registry.MaxTxnBytes-len(s.key("large")))))
	_, err := s.Txn(t.Context(), registry.Txn{Then: []registry.Op{s.putOp("large", string(make([]byte, registry.MaxTxnBytes)))}})
	if err == nil || errors.Is(err, registry.ErrUnknownOutcome) {
		t.Errorf("a value too large: %v", err)
	}
}
