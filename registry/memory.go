package registry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"fleet/schedule"
)

// Memory is a KV that lives in this process, with etcd's semantics: one
// revision a transaction, full history until it is compacted, leases that
// expire by the clock. It is for tests and simulations, also inside a bubble
// of testing/synctest (make it inside the bubble then), and it can be made to
// fail in the ways that a real store does; see Stall, Cut and their like.
//
// Memory itself is the view of a client named "". Values that it returns are
// shared: they must not be modified.
type Memory struct {
	mu        sync.Mutex // never held while waiting
	state     memoryState
	leases    map[LeaseID]*memoryLease
	lastLease LeaseID
	watches   watchIndex
	clients   map[string]*memoryClient
	stalled   bool
}

// NewMemory makes an empty store with a random cluster ID.
func NewMemory() *Memory {
	return &Memory{
		state:   memoryState{id: StoreID{ClusterID: rand.Uint64(), RaftTerm: 2}, revision: 1, keys: newKeyIndex()},
		leases:  make(map[LeaseID]*memoryLease),
		watches: newWatchIndex(),
		clients: make(map[string]*memoryClient),
	}
}

// Client returns the store as one of its users sees it. The name is what Cut,
// DropReplies and HoldWrites refer to; the same name is the same client.
func (m *Memory) Client(name string) KV {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.client(name)
}

// Range implements KV.
func (m *Memory) Range(ctx context.Context, r Range) (RangeResult, error) {
	return m.Client("").Range(ctx, r)
}

// Txn implements KV.
func (m *Memory) Txn(ctx context.Context, t Txn) (TxnResult, error) {
	return m.Client("").Txn(ctx, t)
}

// Watch implements KV.
func (m *Memory) Watch(ctx context.Context, key, end string, from int64) <-chan WatchEvent {
	return m.Client("").Watch(ctx, key, end, from)
}

// Leases implements KV.
func (m *Memory) Leases() Leases { return m.Client("").Leases() }

// Compact discards the history before rev: reads at earlier revisions and
// watches from them fail with schedule.ErrCompacted from then on.
func (m *Memory) Compact(ctx context.Context, rev int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case rev <= m.state.compacted:
		return schedule.ErrCompacted
	case rev > m.state.revision:
		return fmt.Errorf("compact to revision %d: the store is at %d", rev, m.state.revision)
	}
	m.state.compact(rev)
	return nil
}

// memoryClient is one user's view of a Memory, with the faults that concern
// this user alone. The Memory's lock guards it.
type memoryClient struct {
	m       *Memory
	name    string
	cut     bool
	gate    chan struct{} // closed and replaced when the gate opens or shuts
	watches map[*memoryWatch]struct{}
	drop    int // so many further transactions lose their reply
	hold    int // so many further transactions arrive late
	held    []Txn
}

// client returns the client of that name. The lock is held.
func (m *Memory) client(name string) *memoryClient {
	c := m.clients[name]
	if c == nil {
		c = &memoryClient{m: m, name: name, gate: make(chan struct{}), watches: make(map[*memoryWatch]struct{})}
		m.clients[name] = c
	}
	return c
}

// open reports whether requests and answers pass. The lock is held.
func (c *memoryClient) open() bool { return !c.m.stalled && !c.cut }

// signal tells all who wait on the gate, and every watch, to look again. The
// lock is held.
func (c *memoryClient) signal() {
	close(c.gate)
	c.gate = make(chan struct{})
	for w := range c.watches {
		w.kick()
	}
}

// enter takes the lock once requests pass, and fails without it when ctx ends
// first.
func (c *memoryClient) enter(ctx context.Context) error {
	for {
		c.m.mu.Lock()
		if ctx.Err() != nil {
			c.m.mu.Unlock()
			return unavailable(ctx.Err())
		}
		if c.open() {
			return nil
		}
		gate := c.gate
		c.m.mu.Unlock()
		select {
		case <-gate:
		case <-ctx.Done():
		}
	}
}

// unavailable says that the store did not answer, and why.
func unavailable(cause error) error {
	return fmt.Errorf("%w: %w", schedule.ErrUnavailable, cause)
}

func (c *memoryClient) Range(ctx context.Context, r Range) (RangeResult, error) {
	if err := c.enter(ctx); err != nil {
		return RangeResult{}, fmt.Errorf("read %q: %w", r.Key, err)
	}
	defer c.m.mu.Unlock()
	res, err := c.m.state.read(r)
	if err != nil {
		return RangeResult{}, fmt.Errorf("read %q: %w", r.Key, err)
	}
	return res, nil
}

func (c *memoryClient) Txn(ctx context.Context, t Txn) (TxnResult, error) {
	if err := checkTxn(t); err != nil {
		return TxnResult{}, err
	}
	if err := ctx.Err(); err != nil { // it was never sent
		return TxnResult{}, fmt.Errorf("transaction: %w", unavailable(err))
	}
	if err := c.enter(ctx); err != nil {
		return TxnResult{}, fmt.Errorf("transaction: %w: %w", ErrUnknownOutcome, err)
	}
	if c.hold > 0 {
		c.hold--
		c.held = append(c.held, t)
		c.m.mu.Unlock()
		<-ctx.Done()
		return TxnResult{}, fmt.Errorf("transaction: %w: %w", ErrUnknownOutcome, unavailable(ctx.Err()))
	}
	defer c.m.mu.Unlock()
	res, err := c.m.apply(t)
	if err != nil {
		return TxnResult{}, fmt.Errorf("transaction: %w", err)
	}
	if c.drop > 0 {
		c.drop--
		return TxnResult{}, fmt.Errorf("transaction: %w: %w", ErrUnknownOutcome, unavailable(errReplyLost))
	}
	return res, nil
}

var errReplyLost = errors.New("the reply was lost")

func (c *memoryClient) Leases() Leases { return memoryLeases{c} }

func (c *memoryClient) Watch(ctx context.Context, key, end string, from int64) <-chan WatchEvent {
	w := &memoryWatch{
		client: c, key: key, end: end, next: from,
		wake: make(chan struct{}, 1), out: make(chan WatchEvent), heard: time.Now(),
	}
	c.m.mu.Lock()
	c.watches[w] = struct{}{}
	if c.open() {
		c.m.join(w) // at once, so that nothing written from here on is missed
	}
	c.m.mu.Unlock()
	go w.run(ctx)
	return w.out
}
