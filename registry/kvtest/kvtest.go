// Package kvtest is the conformance test of registry.KV: what every store that
// fleet runs on must do, in memory or real. The package's Run is called by the
// tests of each implementation.
package kvtest

import (
	"context"
	"testing"
	"time"

	"fleet/registry"
)

// Compacter is what a store implements beside registry.KV so that the suite
// can make it forget its history.
type Compacter interface {
	Compact(ctx context.Context, rev int64) error
}

// patience is how long the suite waits for what must come.
const patience = 30 * time.Second

// Run tests the store that open returns, afresh for each test; it may be the
// same one again, since each test uses keys of its own. Stores whose clock can
// be driven are best tested inside a bubble of testing/synctest, to which end
// Cases yields the tests one by one.
func Run(t *testing.T, open func(t *testing.T) registry.KV) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) { c.Test(t, open(t)) })
	}
}

// Case is one test of the suite.
type Case struct {
	Name string
	Test func(t *testing.T, kv registry.KV)
}

// Cases returns the tests of the suite.
func Cases() []Case {
	var cases []Case
	for _, group := range [][]Case{rangeCases, txnCases, watchCases, leaseCases} {
		cases = append(cases, group...)
	}
	return cases
}

// store is a KV as the tests use it: below a prefix of their own, and failing
// the test where an operation that must succeed doesn't.
type store struct {
	registry.KV
	t      *testing.T
	prefix string
}

func newStore(t *testing.T, kv registry.KV) store {
	return store{KV: kv, t: t, prefix: "/kvtest/" + t.Name() + "/"}
}

// key returns a key of this test.
func (s store) key(name string) string { return s.prefix + name }

// end is the end of this test's keys.
func (s store) end() string { return s.prefix[:len(s.prefix)-1] + "0" }

func (s store) putOp(name, value string) registry.Op {
	return registry.Op{Put: s.key(name), Value: []byte(value)}
}

// txn carries out a transaction.
func (s store) txn(txn registry.Txn) registry.TxnResult {
	s.t.Helper()
	res, err := s.Txn(s.t.Context(), txn)
	if err != nil {
		s.t.Fatalf("transaction: %v", err)
	}
	return res
}

// do carries out operations unconditionally and returns their revision.
func (s store) do(ops ...registry.Op) int64 {
	s.t.Helper()
	return s.txn(registry.Txn{Then: ops}).Revision
}

// put writes one key and returns the revision.
func (s store) put(name, value string) int64 {
	s.t.Helper()
	return s.do(s.putOp(name, value))
}

// read answers a Range.
func (s store) read(r registry.Range) registry.RangeResult {
	s.t.Helper()
	res, err := s.Range(s.t.Context(), r)
	if err != nil {
		s.t.Fatalf("read: %v", err)
	}
	return res
}

// all reads every key of this test at a revision, 0 for now.
func (s store) all(rev int64) registry.RangeResult {
	s.t.Helper()
	return s.read(registry.Range{Key: s.prefix, End: s.end(), Revision: rev})
}

// get reads one key; absent is a zero Pair.
func (s store) get(name string) registry.Pair {
	s.t.Helper()
	res := s.read(registry.Range{Key: s.key(name)})
	if len(res.Pairs) == 0 {
		return registry.Pair{}
	}
	return res.Pairs[0]
}

// grant makes a lease that is revoked with the test.
func (s store) grant(ttl time.Duration) registry.LeaseID {
	s.t.Helper()
	id, err := s.Leases().Grant(s.t.Context(), ttl)
	if err != nil {
		s.t.Fatalf("grant: %v", err)
	}
	s.t.Cleanup(func() { _ = s.Leases().Revoke(context.Background(), id) })
	return id
}

// compact makes the store forget what was before rev.
func (s store) compact(rev int64) {
	s.t.Helper()
	c, ok := s.KV.(Compacter)
	if !ok {
		s.t.Fatalf("%T has no Compact method: the suite can't test what compaction does", s.KV)
	}
	if err := c.Compact(s.t.Context(), rev); err != nil {
		s.t.Fatalf("compact to %d: %v", rev, err)
	}
}

// watcher is a watch as the tests use it.
type watcher struct {
	t      *testing.T
	events <-chan registry.WatchEvent
	seen   int64 // the last event's revision
}

// watch watches this test's keys from a revision on until the test ends.
func (s store) watch(from int64) *watcher {
	ctx, cancel := context.WithCancel(s.t.Context())
	s.t.Cleanup(cancel)
	return &watcher{t: s.t, events: s.Watch(ctx, s.prefix, s.end(), from)}
}

// event returns the next event and checks what holds for every one.
func (w *watcher) event() registry.WatchEvent {
	w.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case ev, open := <-w.events:
		if !open {
			w.t.Fatal("the watch closed without an error")
		}
		if ev.Revision < w.seen {
			w.t.Errorf("the watch went back from revision %d to %d", w.seen, ev.Revision)
		}
		for _, c := range ev.Changes {
			if c.ModRevision <= w.seen || c.ModRevision > ev.Revision {
				w.t.Errorf("change at revision %d in an event up to %d after one up to %d", c.ModRevision, ev.Revision, w.seen)
			}
		}
		w.seen = ev.Revision
		return ev
	case <-timer.C:
		w.t.Fatal("the watch is silent")
		return registry.WatchEvent{}
	}
}

// changes returns the next n changes.
func (w *watcher) changes(n int) []registry.KeyChange {
	w.t.Helper()
	var got []registry.KeyChange
	for len(got) < n {
		ev := w.event()
		if ev.Err != nil {
			w.t.Fatalf("the watch failed: %v", ev.Err)
		}
		got = append(got, ev.Changes...)
	}
	if len(got) > n {
		w.t.Errorf("%d changes, want %d: %+v", len(got), n, got[n:])
	}
	return got
}

// end returns the error that the watch ends with.
func (w *watcher) end() error {
	w.t.Helper()
	for {
		ev := w.event()
		if ev.Err == nil {
			continue
		}
		if _, open := <-w.events; open {
			w.t.Error("the watch goes on after its error")
		}
		return ev.Err
	}
}
