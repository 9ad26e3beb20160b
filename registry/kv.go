package registry

import (
	"context"
	"errors"
	"time"

	"fleet/unit"
)

// KV is a consistent key-value store with leases. Every call may block until
// ctx ends; an error that wraps schedule.ErrUnavailable says that nothing was
// learnt.
type KV interface {
	// Range reads the keys in [r.Key, r.End), in the keys' order, all as of one
	// revision. It is linearizable when r.Revision is 0, and fails with
	// schedule.ErrCompacted when that revision is gone.
	Range(ctx context.Context, r Range) (RangeResult, error)

	// Txn applies Then if every condition holds and Else otherwise, atomically.
	// An error that wraps ErrUnknownOutcome leaves open whether and when it
	// will have been applied; any other error means that it never will be.
	Txn(ctx context.Context, t Txn) (TxnResult, error)

	// Watch delivers every change to keys in [key, end) from revision from on,
	// in order, whole revisions at a time, until ctx ends or an error is
	// delivered as the last WatchEvent before the channel closes: ErrCompacted
	// of package schedule, or one that wraps schedule.ErrUnavailable when the
	// store lost its leader or stopped answering. A quiet watch also delivers
	// events without changes (progress), so that its reader can tell it from a
	// dead one: the first as soon as the watch is established, further ones
	// every few seconds. From 0 means from the next revision on. Slices and
	// values delivered are shared; they must not be modified.
	Watch(ctx context.Context, key, end string, from int64) <-chan WatchEvent

	// Leases is the store's lease interface.
	Leases() Leases
}

// Leases grants and keeps leases. Keys attached to a lease are deleted when it
// expires or is revoked.
type Leases interface {
	// Grant makes a lease with the given time to live, whole seconds.
	Grant(ctx context.Context, ttl time.Duration) (LeaseID, error)
	// KeepAlive renews a lease once and returns its remaining time to live. It
	// fails with ErrLeaseGone only when the store itself says so.
	KeepAlive(ctx context.Context, id LeaseID) (time.Duration, error)
	// Revoke ends a lease at once. Revoking one that is gone is success.
	Revoke(ctx context.Context, id LeaseID) error
}

// LeaseID names a lease; 0 is none.
type LeaseID int64

// Range asks for the keys in [Key, End); an empty End means the single key Key.
type Range struct {
	Key, End string
	Revision int64 // 0: now
	Limit    int64 // 0: no limit
	KeysOnly bool
}

// RangeResult answers a Range.
type RangeResult struct {
	Revision int64 // the store's revision at the read
	Pairs    []Pair
	More     bool // Limit left some out
	Store    StoreID
}

// StoreID tells one store from another, and its past from its present.
type StoreID struct {
	ClusterID uint64
	RaftTerm  uint64
}

// Pair is one key with its value and its revisions.
type Pair struct {
	Key            string
	Value          []byte
	CreateRevision int64
	ModRevision    int64
	Lease          LeaseID
}

// Txn is a conditional transaction.
type Txn struct {
	If   []Cond
	Then []Op
	Else []Op
}

// Cond compares one of a key's revisions; a key that does not exist has 0 for
// both.
type Cond struct {
	Key    string
	Create bool // compare the creation revision rather than the last modification's
	Rel    Rel
	Value  int64
}

// Rel is how a Cond compares.
type Rel byte

// The relations.
const (
	Equal   Rel = '='
	Less    Rel = '<'
	Greater Rel = '>'
	Unequal Rel = '!'
)

// Op is one operation of a transaction: exactly one of Put, Delete and Get is
// set to a key. A transaction may put a key only once.
type Op struct {
	Put    string
	Value  []byte
	Lease  LeaseID // with Put
	Delete string
	Get    string
	End    string // with Delete or Get: up to here, excluded
}

// TxnResult answers a Txn.
type TxnResult struct {
	Succeeded bool
	Revision  int64
	Pairs     [][]Pair // one entry an operation, filled for each Get
	Store     StoreID
}

// WatchEvent is one delivery of a watch.
type WatchEvent struct {
	Revision int64 // everything up to this revision has been delivered
	Changes  []KeyChange
	Err      error // last event only
}

// KeyChange is one change of one key. Of a deleted key only Key and
// ModRevision, the revision of the deletion, are set.
type KeyChange struct {
	Deleted bool
	Pair
}

// MaxOps is the largest number of operations in either branch of one
// transaction and, counted apart, of conditions.
const MaxOps = 128

// MaxTxnBytes is the largest sum of keys and values that one transaction may
// put, both branches taken together. etcd's own limit is a request of 1.5 MiB.
const MaxTxnBytes = unit.MaxFileSize + 1<<18

var (
	// ErrUnknownOutcome: a transaction was sent and its answer was not heard.
	ErrUnknownOutcome = errors.New("the outcome of the write is unknown")
	// ErrLeaseGone: the store says that the lease has expired or was revoked.
	ErrLeaseGone = errors.New("the lease is gone")
)
