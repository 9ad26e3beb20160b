package kvtest

import (
	"errors"
	"testing"
	"time"

	"fleet/registry"
)

var leaseCases = []Case{
	{"lease expires", testLeaseExpires},
	{"lease kept alive", testLeaseKept},
	{"lease revoked", testLeaseRevoked},
	{"lease gone", testLeaseGone},
	{"lease of a key changes", testLeaseChanges},
}

// shortTTL is the least that etcd grants with its default election timeout.
const shortTTL = 2 * time.Second

func (s store) putLeased(name string, lease registry.LeaseID) int64 {
	s.t.Helper()
	op := s.putOp(name, "leased")
	op.Lease = lease
	return s.do(op)
}

// deleted waits until the watch has seen these keys deleted, all in one
// revision.
func (w *watcher) deleted(names ...string) {
	w.t.Helper()
	got := w.changes(len(names))
	for i, c := range got {
		if !c.Deleted || c.ModRevision != got[0].ModRevision {
			w.t.Errorf("deletion %d of %v: %+v", i, names, c)
		}
	}
}

func testLeaseExpires(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	lease := s.grant(shortTTL)
	s.putLeased("a", lease)
	rev := s.putLeased("b", lease)
	stays := s.put("stays", "")
	if got := s.get("a"); got.Lease != lease {
		t.Errorf("the key's lease is %d, want %d", got.Lease, lease)
	}
	w := s.watch(rev + 1)
	w.changes(1)
	w.deleted("a", "b")
	if got := s.all(0).Pairs; len(got) != 1 || got[0].ModRevision != stays {
		t.Errorf("left after the lease: %+v", got)
	}
}

func testLeaseKept(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	const ttl = 3 * time.Second
	kept, left := s.grant(ttl), s.grant(ttl)
	s.putLeased("kept", kept)
	w := s.watch(s.putLeased("left", left) + 1)
	tick := time.NewTicker(ttl / 6)
	defer tick.Stop()
	deadline := time.After(patience)
	for expired := false; !expired; {
		select {
		case <-tick.C:
			remaining, err := s.Leases().KeepAlive(t.Context(), kept)
			if err != nil || remaining <= 0 {
				t.Fatalf("keepalive: %v, %v", remaining, err)
			}
		case ev := <-w.events:
			for _, c := range ev.Changes {
				if expired = c.Key == s.key("left"); !expired {
					t.Errorf("%s is gone although its lease was kept", c.Key)
				}
			}
		case <-deadline:
			t.Fatal("the lease that nobody kept does not expire")
		}
	}
	if s.get("kept").ModRevision == 0 {
		t.Error("the key is gone although its lease was kept")
	}
}

func testLeaseRevoked(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	lease := s.grant(time.Minute)
	s.putLeased("a", lease)
	w := s.watch(s.putLeased("b", lease) + 1)
	for range 2 { // the second time it is gone, which is success
		if err := s.Leases().Revoke(t.Context(), lease); err != nil {
			t.Errorf("revoke: %v", err)
		}
	}
	if got := s.all(0).Pairs; len(got) != 0 {
		t.Errorf("left after the lease: %+v", got)
	}
	w.deleted("a", "b")
}

func testLeaseGone(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	lease := s.grant(time.Minute)
	if err := s.Leases().Revoke(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Leases().KeepAlive(t.Context(), lease); !errors.Is(err, registry.ErrLeaseGone) {
		t.Errorf("keepalive: %v", err)
	}
	before := s.all(0).Revision
	leased := s.putOp("leased", "")
	leased.Lease = lease
	_, err := s.Txn(t.Context(), registry.Txn{Then: []registry.Op{s.putOp("plain", ""), leased}})
	if !errors.Is(err, registry.ErrLeaseGone) || errors.Is(err, registry.ErrUnknownOutcome) {
		t.Errorf("put: %v", err)
	}
	if res := s.all(0); len(res.Pairs) != 0 || res.Revision != before {
		t.Errorf("a put with a dead lease changed something: %+v", res)
	}
	unreached := registry.Txn{If: []registry.Cond{{Key: s.key("none"), Rel: registry.Greater}}, Then: []registry.Op{leased}}
	if res := s.txn(unreached); res.Succeeded {
		t.Error("the condition held")
	}
}

func testLeaseChanges(t *testing.T, kv registry.KV) {
	s := newStore(t, kv)
	first, second := s.grant(time.Minute), s.grant(time.Minute)
	s.putLeased("freed", first)
	s.putLeased("moved", first)
	s.put("freed", "without a lease")
	s.putLeased("moved", second)
	if err := s.Leases().Revoke(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if s.get("freed").ModRevision == 0 || s.get("moved").ModRevision == 0 {
		t.Error("a key fell with a lease that it was no longer on")
	}
	if err := s.Leases().Revoke(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if s.get("freed").ModRevision == 0 || s.get("moved").ModRevision != 0 {
		t.Error("revoking the second lease did not delete exactly its key")
	}
}
