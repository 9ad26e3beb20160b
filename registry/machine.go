package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"fleet/schedule"
)

// Claim returns the lease that stands for the machine: the previous one, with
// all its keys, as long as the store still has it, else a new one. While a
// machine of the same ID is present whose nonce is not among mine, the error
// wraps schedule.ErrClaimed.
func (r *Registry) Claim(ctx context.Context, id string, mine []string, previous int64, ttl time.Duration) (lease int64, err error) {
	p, _, err := r.presence(ctx, id)
	if err != nil {
		return 0, err
	}
	if p != nil && !slices.Contains(mine, p.Nonce) {
		return 0, fmt.Errorf("%w: %s", schedule.ErrClaimed, id)
	}
	if previous != 0 {
		_, err := r.kv.Leases().KeepAlive(ctx, LeaseID(previous))
		if err == nil {
			return previous, nil
		}
		if !errors.Is(err, ErrLeaseGone) {
			return 0, fmt.Errorf("resume the machine's lease: %w", err)
		}
	}
	l, err := r.kv.Leases().Grant(ctx, ttl)
	if err != nil {
		return 0, fmt.Errorf("grant the machine's lease: %w", err)
	}
	return int64(l), nil
}

func (r *Registry) presence(ctx context.Context, id string) (*schedule.Presence, int64, error) {
	res, err := r.kv.Range(ctx, Range{Key: r.keys.alive(id)})
	if err != nil {
		return nil, 0, fmt.Errorf("read the presence of machine %s: %w", id, err)
	}
	if len(res.Pairs) == 0 {
		return nil, 0, nil
	}
	var p schedule.Presence
	if err := json.Unmarshal(res.Pairs[0].Value, &p); err != nil {
		return nil, 0, fmt.Errorf("read the presence of machine %s: %w", id, err)
	}
	return &p, res.Pairs[0].ModRevision, nil
}

// Renew keeps the lease alive. alive is false, without an error, only when the
// store itself says that the lease is gone.
func (r *Registry) Renew(ctx context.Context, lease int64) (alive bool, err error) {
	_, err = r.kv.Leases().KeepAlive(ctx, LeaseID(lease))
	if errors.Is(err, ErrLeaseGone) {
		return false, nil
	}
	return err == nil, err
}

// End gives the lease up: the machine's presence and states are gone at once.
func (r *Registry) End(ctx context.Context, lease int64) error {
	return r.kv.Leases().Revoke(ctx, LeaseID(lease))
}

// Present writes that the machine is there, under its lease, unless another
// machine has taken its ID meanwhile, one whose nonce is not among mine
// (schedule.ErrClaimed).
func (r *Registry) Present(ctx context.Context, lease int64, p schedule.Presence, mine []string) error {
	for {
		old, rev, err := r.presence(ctx, p.MachineID)
		if err != nil {
			return err
		}
		if old != nil && !slices.Contains(mine, old.Nonce) {
			return fmt.Errorf("%w: %s", schedule.ErrClaimed, p.MachineID)
		}
		key := r.keys.alive(p.MachineID)
		res, err := r.kv.Txn(ctx, Txn{
			If:   []Cond{{Key: key, Rel: Equal, Value: rev}},
			Then: []Op{{Put: key, Value: encode(p), Lease: LeaseID(lease)}},
		})
		if err != nil {
			return fmt.Errorf("write the presence of machine %s: %w", p.MachineID, leaseError(err))
		}
		if res.Succeeded {
			return nil
		}
	}
}

// leaseError makes a lease that the store has ended known above this package.
func leaseError(err error) error {
	if errors.Is(err, ErrLeaseGone) {
		return fmt.Errorf("%w: %w", schedule.ErrLeaseGone, err)
	}
	return err
}

// Forget removes everything that the store holds of a machine that is away for
// good: its record, label, absence and placements, all at once, so that its
// units are simply without a placement there. What the engine planned before it
// knows of that places nothing there any more. Errors: schedule.ErrAlive,
// schedule.ErrUnknownMachine.
func (r *Registry) Forget(ctx context.Context, id string) error {
	alive, record, places := r.keys.alive(id), r.keys.machine(id), r.keys.placesOf(id)
	res, err := r.kv.Txn(ctx, Txn{
		If: []Cond{
			{Key: alive, Create: true, Rel: Equal, Value: 0},
			{Key: record, Create: true, Rel: Unequal, Value: 0},
		},
		Then: []Op{
			{Delete: places, End: end(places)},
			{Delete: r.keys.absent(id)},
			{Delete: r.keys.label(id)},
			{Delete: record},
			{Put: r.keys.forgot(), Value: []byte(id)},
		},
		Else: []Op{{Get: alive}},
	})
	switch {
	case err != nil:
		return fmt.Errorf("forget machine %s: %w", id, err)
	case res.Succeeded:
		return nil
	case len(res.Pairs[0]) > 0:
		return fmt.Errorf("%w: %s", schedule.ErrAlive, id)
	}
	return fmt.Errorf("%w: %s", schedule.ErrUnknownMachine, id)
}

// Placements calls fn with a snapshot of what concerns one machine, its own
// record where the store has one, its placements and the states that it has
// reported, and then with every change of its placements, as Follow does for
// everything. The revision of the machine's record is that of its creation: of
// when the machine was let in, or let in anew after it was forgotten.
func (r *Registry) Placements(ctx context.Context, id string, fn func(schedule.Update) error) error {
	places := r.keys.placesOf(id)
	u, err := r.readPrefix(ctx, places, 0, func(Pair) {})
	if err != nil {
		return err
	}
	states, err := r.readPrefix(ctx, r.keys.statesOf(id), u.Revision, func(Pair) {})
	if err != nil {
		return err
	}
	u.Changes = append(u.Changes, states.Changes...)
	own, err := r.kv.Range(ctx, Range{Key: r.keys.machine(id), Revision: u.Revision})
	if err != nil {
		return fmt.Errorf("read machine %s: %w", id, err)
	}
	for _, p := range own.Pairs {
		p.ModRevision = p.CreateRevision
		r.record(&u, KeyChange{Pair: p})
	}
	from := u.Revision + 1
	if err := fn(u); err != nil {
		return err
	}
	return r.watch(ctx, places, from, fn)
}

// Report writes the machine's own record and unit states, or deletes those
// marked so, the states under the machine's lease. Changes hold a Machine or a
// State each, all of one machine. A lease that is gone is
// schedule.ErrLeaseGone; repeating a report does no harm, and one whose outcome
// was unknown can't come late and undo a later one.
func (r *Registry) Report(ctx context.Context, lease int64, changes []schedule.Change) error {
	for len(changes) > 0 {
		n := min(len(changes), MaxOps-1) // one for the mark
		if err := r.reportSome(ctx, LeaseID(lease), changes[:n]); err != nil {
			return fmt.Errorf("report: %w", leaseError(err))
		}
		changes = changes[n:]
	}
	return nil
}

// reportSome writes changes if the machine's last report is the one that is
// known, and leaves a mark for the next. What the mark was is asked of the
// store only when it isn't known for sure.
func (r *Registry) reportSome(ctx context.Context, lease LeaseID, changes []schedule.Change) error {
	key := r.keys.report(machineOf(changes[0]))
	for {
		mark, known := r.marks.take(key)
		if !known {
			res, err := r.kv.Range(ctx, Range{Key: key, KeysOnly: true})
			if err != nil {
				return err
			}
			if len(res.Pairs) == 1 {
				mark = res.Pairs[0].ModRevision
			}
		}
		t := Txn{
			If:   []Cond{{Key: key, Rel: Equal, Value: mark}},
			Then: []Op{{Put: key, Value: []byte{}, Lease: lease}},
		}
		for _, c := range changes {
			t.Then = append(t.Then, r.reportOp(c, lease))
		}
		res, err := r.kv.Txn(ctx, t)
		if err != nil {
			return err
		}
		if res.Succeeded {
			r.marks.put(key, res.Revision)
			return nil
		}
	}
}

// marks are the revisions of the last reports, by key, where they are known.
type marks struct {
	mu    sync.Mutex
	known map[string]int64
}

func newMarks() *marks { return &marks{known: map[string]int64{}} }

// take returns the mark and forgets it: whoever took it puts the next.
func (m *marks) take(key string) (revision int64, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	revision, known = m.known[key]
	delete(m.known, key)
	return revision, known
}

func (m *marks) put(key string, revision int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[key] = revision
}

func machineOf(c schedule.Change) string {
	if c.Machine != nil {
		return c.Machine.ID
	}
	return c.State.MachineID
}

func (r *Registry) reportOp(c schedule.Change, lease LeaseID) Op {
	if c.Machine != nil {
		return Op{Put: r.keys.machine(c.Machine.ID), Value: encode(c.Machine)}
	}
	key := r.keys.state(c.State.MachineID, c.State.Name)
	if c.Deleted {
		return Op{Delete: key}
	}
	return Op{Put: key, Value: encode(c.State), Lease: lease}
}
