package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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

// Placements calls fn with a snapshot of what concerns one machine, its
// placements and the states that it has reported, and then with every change
// of its placements, as Follow does for everything.
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
	from := u.Revision + 1
	u.Changes = append(u.Changes, states.Changes...)
	if err := fn(u); err != nil {
		return err
	}
	return r.watch(ctx, places, from, fn)
}

// Report writes the machine's own record and unit states, or deletes those
// marked so, the states under the machine's lease. Changes hold a Machine or a
// State each. A lease that is gone is schedule.ErrLeaseGone; repeating a
// report does no harm.
func (r *Registry) Report(ctx context.Context, lease int64, changes []schedule.Change) error {
	for len(changes) > 0 {
		n := min(len(changes), MaxOps)
		var t Txn
		for _, c := range changes[:n] {
			t.Then = append(t.Then, r.reportOp(c, LeaseID(lease)))
		}
		if _, err := r.kv.Txn(ctx, t); err != nil {
			return fmt.Errorf("report: %w", leaseError(err))
		}
		changes = changes[n:]
	}
	return nil
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
