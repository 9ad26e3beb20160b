package registry

import (
	"bytes"
	"errors"
	"fmt"
	"sort"

	"fleet/schedule"
)

// memoryState is the contents of a Memory, with its history: what a backup
// of it holds, leases aside.
type memoryState struct {
	id        StoreID
	revision  int64
	compacted int64 // the oldest revision that can still be read
	keys      keyIndex
	log       []memoryRevision // every revision from compacted on that changed something
}

// memoryRevision is what one transaction changed.
type memoryRevision struct {
	revision int64
	changes  []KeyChange
}

// read answers a Range.
func (s *memoryState) read(r Range) (RangeResult, error) {
	rev := r.Revision
	switch {
	case r.Key == "":
		return RangeResult{}, errEmptyKey
	case rev == 0:
		rev = s.revision
	case rev < s.compacted:
		return RangeResult{}, schedule.ErrCompacted
	case rev > s.revision:
		return RangeResult{}, fmt.Errorf("revision %d is in the future: the store is at %d", rev, s.revision)
	}
	res := RangeResult{Revision: s.revision, Store: s.id}
	for h := range s.keys.each(r.Key, r.End) {
		p, ok := h.at(rev)
		if !ok {
			continue
		}
		if r.Limit > 0 && int64(len(res.Pairs)) == r.Limit {
			res.More = true
			break
		}
		if r.KeysOnly {
			p.Value = nil
		}
		res.Pairs = append(res.Pairs, p)
	}
	return res, nil
}

// holds reports whether a condition is met now.
func (s *memoryState) holds(c Cond) bool {
	var p Pair
	if h := s.keys.byKey[c.Key]; h != nil {
		p, _ = h.at(s.revision)
	}
	actual := p.ModRevision
	if c.Create {
		actual = p.CreateRevision
	}
	switch c.Rel {
	case Less:
		return actual < c.Value
	case Greater:
		return actual > c.Value
	case Unequal:
		return actual != c.Value
	}
	return actual == c.Value
}

// put writes a key at a revision and returns the change.
func (s *memoryState) put(op Op, rev int64) KeyChange {
	h := s.keys.obtain(op.Put)
	created := rev
	if before, ok := h.at(rev); ok {
		created = before.CreateRevision
	}
	change := KeyChange{Pair: Pair{
		Key: op.Put, Value: bytes.Clone(op.Value), Lease: op.Lease,
		CreateRevision: created, ModRevision: rev,
	}}
	h.versions = append(h.versions, change)
	return change
}

// since returns the logged revisions from one on.
func (s *memoryState) since(rev int64) []memoryRevision {
	return s.log[sort.Search(len(s.log), func(i int) bool { return s.log[i].revision >= rev }):]
}

// compact forgets what only revisions before rev need. Nothing that a backup
// shares is changed in place.
func (s *memoryState) compact(rev int64) {
	s.compacted = rev
	s.log = s.since(rev)
	keys := newKeyIndex()
	for h := range s.keys.all() {
		first := sort.Search(len(h.versions), func(i int) bool { return h.versions[i].ModRevision > rev })
		if first > 0 && !h.versions[first-1].Deleted {
			first-- // what it was at rev
		}
		if left := h.versions[first:]; len(left) > 0 {
			keys.insert(&keyHistory{key: h.key, versions: append([]KeyChange(nil), left...)})
		}
	}
	s.keys = keys
}

// clone copies the state; the copies share what never changes.
func (s *memoryState) clone() memoryState {
	c := *s
	c.log = s.log[:len(s.log):len(s.log)]
	c.keys = newKeyIndex()
	for h := range s.keys.all() {
		c.keys.insert(&keyHistory{key: h.key, versions: h.versions[:len(h.versions):len(h.versions)]})
	}
	return c
}

var errEmptyKey = errors.New("the key is empty")

// checkTxn refuses what etcd would refuse whatever the store holds: too many
// operations or conditions, an operation without a key, a key that one branch
// puts twice or both puts and deletes, more than MaxTxnBytes.
func checkTxn(t Txn) error {
	if n := max(len(t.If), len(t.Then), len(t.Else)); n > MaxOps {
		return fmt.Errorf("transaction: %d operations or conditions, the limit is %d", n, MaxOps)
	}
	for _, c := range t.If {
		if c.Key == "" {
			return fmt.Errorf("transaction: condition: %w", errEmptyKey)
		}
	}
	size := 0
	for _, branch := range [][]Op{t.Then, t.Else} {
		for _, op := range branch {
			size += len(op.Put) + len(op.Value)
		}
		if size > MaxTxnBytes {
			return fmt.Errorf("transaction: more than %d bytes to write", MaxTxnBytes)
		}
		if err := checkOps(branch); err != nil {
			return fmt.Errorf("transaction: %w", err)
		}
	}
	return nil
}

func checkOps(ops []Op) error {
	puts := make(map[string]bool)
	for _, op := range ops {
		if op.Put == "" {
			if (op.Delete == "") == (op.Get == "") {
				return errors.New("an operation must be one of put, delete and get")
			}
			continue
		}
		if op.Delete != "" || op.Get != "" {
			return errors.New("an operation must be one of put, delete and get")
		}
		if puts[op.Put] {
			return fmt.Errorf("%q is put twice", op.Put)
		}
		puts[op.Put] = true
	}
	for _, op := range ops {
		if op.Delete == "" {
			continue
		}
		for key := range puts {
			if inRange(key, op.Delete, op.End) {
				return fmt.Errorf("%q is both put and deleted", key)
			}
		}
	}
	return nil
}

// apply carries out a transaction and tells the watches. The lock is held.
func (m *Memory) apply(t Txn) (TxnResult, error) {
	res := TxnResult{Succeeded: true}
	for _, c := range t.If {
		res.Succeeded = res.Succeeded && m.state.holds(c)
	}
	ops := t.Then
	if !res.Succeeded {
		ops = t.Else
	}
	for _, op := range ops {
		if op.Lease != 0 && op.Put != "" && m.leases[op.Lease] == nil {
			return TxnResult{}, fmt.Errorf("put %q: %w", op.Put, ErrLeaseGone)
		}
	}
	var changes []KeyChange
	rev := m.state.revision + 1
	for _, op := range ops {
		var got []Pair
		switch {
		case op.Put != "":
			changes = append(changes, m.put(op, rev))
		case op.Delete != "":
			changes = append(changes, m.remove(op.Delete, op.End, rev)...)
		default:
			for h := range m.state.keys.each(op.Get, op.End) {
				if p, ok := h.at(rev); ok {
					got = append(got, p)
				}
			}
		}
		res.Pairs = append(res.Pairs, got)
	}
	m.commit(changes)
	res.Revision, res.Store = m.state.revision, m.state.id
	return res, nil
}

// put writes a key and moves it to its lease. The lock is held.
func (m *Memory) put(op Op, rev int64) KeyChange {
	m.detach(op.Put)
	if l := m.leases[op.Lease]; l != nil {
		l.keys[op.Put] = struct{}{}
	}
	return m.state.put(op, rev)
}

// remove deletes the keys in [key, end). The lock is held.
func (m *Memory) remove(key, end string, rev int64) []KeyChange {
	var changes []KeyChange
	for h := range m.state.keys.each(key, end) {
		if _, ok := h.at(rev); !ok {
			continue
		}
		m.detach(h.key)
		change := KeyChange{Deleted: true, Pair: Pair{Key: h.key, ModRevision: rev}}
		h.versions = append(h.versions, change)
		changes = append(changes, change)
	}
	return changes
}

// commit makes what was changed the next revision; nothing changed is none.
// The lock is held.
func (m *Memory) commit(changes []KeyChange) {
	if len(changes) == 0 {
		return
	}
	m.state.revision++
	r := memoryRevision{revision: m.state.revision, changes: changes}
	m.state.log = append(m.state.log, r)
	m.watches.deliver(r)
}
