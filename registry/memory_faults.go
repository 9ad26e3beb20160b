package registry

import (
	"errors"
	"math/rand/v2"
	"time"
)

// Stall makes the whole store stop answering: calls block until their ctx
// ends, watches fall silent and then fail, nothing expires. A transaction
// that was waiting has an unknown outcome for its caller; it is not applied.
func (m *Memory) Stall() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stalled = true
	m.signalAll()
}

// Resume ends a Stall. Leases whose time ran out meanwhile expire at once,
// unless LoseLeader came first.
func (m *Memory) Resume() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stalled = false
	for _, l := range m.leases {
		m.expire(l)
	}
	m.signalAll()
}

// signalAll tells every client that its gate may have changed. The lock is
// held.
func (m *Memory) signalAll() {
	for _, c := range m.clients {
		c.signal()
	}
}

// Cut parts one client from the store, as a broken network does: its calls
// block until they are healed or their ctx ends, its watches fall silent and
// then fail. Everyone else goes on, and the client's leases run out.
func (m *Memory) Cut(name string) { m.setCut(name, true) }

// Heal ends a Cut.
func (m *Memory) Heal(name string) { m.setCut(name, false) }

func (m *Memory) setCut(name string, cut bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.client(name)
	c.cut = cut
	c.signal()
}

// DropReplies makes the client's next n transactions take effect and fail
// with ErrUnknownOutcome all the same.
func (m *Memory) DropReplies(name string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.client(name).drop = n
}

// HoldWrites keeps the client's next n transactions on their way: each fails
// with ErrUnknownOutcome when its ctx ends, and reaches the store only with
// ReleaseWrites.
func (m *Memory) HoldWrites(name string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.client(name).hold = n
}

// ReleaseWrites lets the transactions that HoldWrites keeps arrive, late. It
// returns how many of them still took effect: whose conditions held, that is.
func (m *Memory) ReleaseWrites(name string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.client(name)
	held := c.held
	c.hold, c.held = 0, nil
	effective := 0
	for _, t := range held {
		if res, err := m.apply(t); err == nil && res.Succeeded {
			effective++
		}
	}
	return effective
}

var errLeaderLost = errors.New("the store lost its leader")

// LoseLeader lets the store elect another leader: watches end, every lease
// has its full time to live anew, the raft term grows.
func (m *Memory) LoseLeader() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.id.RaftTerm++
	for _, c := range m.clients {
		for w := range c.watches {
			w.fail(unavailable(errLeaderLost))
		}
	}
	for _, l := range m.leases {
		l.renew()
	}
}

// Image is a backup of a Memory: its contents, history and leases.
type Image struct {
	state  memoryState
	leases map[LeaseID]time.Duration
}

// Backup takes an image of the store.
func (m *Memory) Backup() Image {
	m.mu.Lock()
	defer m.mu.Unlock()
	image := Image{state: m.state.clone(), leases: make(map[LeaseID]time.Duration)}
	for id, l := range m.leases {
		image.leases[id] = l.ttl
	}
	return image
}

// Restore puts the store back to an image, as etcd does: leases have their
// full time to live anew, revision and raft term are the image's, and so is
// the cluster ID unless a new one is asked for. Watches survive: those that
// are ahead of the store stay silent until it has caught up. A bumpRevision
// above 0 raises the revision by so much and marks everything before it as
// compacted, which ends them with schedule.ErrCompacted.
func (m *Memory) Restore(image Image, bumpRevision int64, newClusterID bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = image.state.clone()
	if newClusterID {
		m.state.id.ClusterID = rand.Uint64()
	}
	if bumpRevision > 0 {
		m.state.revision += bumpRevision
		m.state.compact(m.state.revision)
	}
	m.restoreLeases(image.leases)
	for _, c := range m.clients {
		for w := range c.watches {
			if w.joined && !m.replay(w) {
				m.watches.remove(w)
			}
		}
	}
}

// restoreLeases replaces all leases. The lock is held.
func (m *Memory) restoreLeases(ttls map[LeaseID]time.Duration) {
	for id, l := range m.leases {
		l.timer.Stop()
		delete(m.leases, id)
	}
	for id, ttl := range ttls {
		m.grant(id, ttl)
	}
	for h := range m.state.keys.all() {
		if p, ok := h.at(m.state.revision); ok && p.Lease != 0 {
			m.leases[p.Lease].keys[p.Key] = struct{}{}
		}
	}
}
