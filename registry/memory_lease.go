package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// memoryLease is a lease of a Memory, whose lock guards it.
type memoryLease struct {
	id       LeaseID
	ttl      time.Duration
	deadline time.Time
	timer    *time.Timer
	keys     map[string]struct{}
}

type memoryLeases struct{ c *memoryClient }

func (l memoryLeases) Grant(ctx context.Context, ttl time.Duration) (LeaseID, error) {
	if ttl <= 0 {
		return 0, errors.New("grant a lease: the time to live must be positive")
	}
	if err := l.c.enter(ctx); err != nil {
		return 0, fmt.Errorf("grant a lease: %w", err)
	}
	defer l.c.m.mu.Unlock()
	l.c.m.lastLease++
	l.c.m.grant(l.c.m.lastLease, wholeSeconds(ttl))
	return l.c.m.lastLease, nil
}

// wholeSeconds rounds up to what leases count in.
func wholeSeconds(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

func (l memoryLeases) KeepAlive(ctx context.Context, id LeaseID) (time.Duration, error) {
	if err := l.c.enter(ctx); err != nil {
		return 0, fmt.Errorf("keep lease %x: %w", int64(id), err)
	}
	defer l.c.m.mu.Unlock()
	lease := l.c.m.leases[id]
	if lease == nil {
		return 0, fmt.Errorf("keep lease %x: %w", int64(id), ErrLeaseGone)
	}
	lease.renew()
	return lease.ttl, nil
}

func (l memoryLeases) Revoke(ctx context.Context, id LeaseID) error {
	if err := l.c.enter(ctx); err != nil {
		return fmt.Errorf("revoke lease %x: %w", int64(id), err)
	}
	defer l.c.m.mu.Unlock()
	l.c.m.revoke(id)
	return nil
}

// grant makes a lease. The lock is held.
func (m *Memory) grant(id LeaseID, ttl time.Duration) *memoryLease {
	lease := &memoryLease{id: id, ttl: ttl, keys: make(map[string]struct{})}
	lease.deadline = time.Now().Add(ttl)
	lease.timer = time.AfterFunc(ttl, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.expire(lease)
	})
	m.leases[id] = lease
	return lease
}

// renew starts the time to live anew. The lock is held.
func (l *memoryLease) renew() {
	l.deadline = time.Now().Add(l.ttl)
	l.timer.Reset(l.ttl)
}

// expire ends a lease whose time has run out. A stalled store expires nothing
// until it resumes. The lock is held.
func (m *Memory) expire(l *memoryLease) {
	if m.leases[l.id] == l && !m.stalled && !time.Now().Before(l.deadline) {
		m.revoke(l.id)
	}
}

// revoke ends a lease, if it is there, and deletes its keys in one revision.
// The lock is held.
func (m *Memory) revoke(id LeaseID) {
	lease := m.leases[id]
	if lease == nil {
		return
	}
	lease.timer.Stop()
	keys := slices.Sorted(maps.Keys(lease.keys))
	delete(m.leases, id)
	var changes []KeyChange
	for _, key := range keys {
		changes = append(changes, m.remove(key, "", m.state.revision+1)...)
	}
	m.commit(changes)
}

// detach takes a key from the lease that it is on, if any. The lock is held.
func (m *Memory) detach(key string) {
	h := m.state.keys.byKey[key]
	if h == nil || len(h.versions) == 0 {
		return
	}
	if lease := m.leases[h.versions[len(h.versions)-1].Lease]; lease != nil {
		delete(lease.keys, key)
	}
}
