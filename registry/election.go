package registry

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// seats is how many fleetds may lead: the leader and two that stand by.
const seats = 3

// Seat waits for one of the few places among those who may lead and runs fn
// while it is held. self names the holder, for people; others is how many had
// a seat before. fn's context ends when the seat is lost.
func (r *Registry) Seat(ctx context.Context, self string, ttl time.Duration, fn func(ctx context.Context, others int) error) error {
	for {
		rev, free, others, err := r.freeSeat(ctx)
		if err != nil {
			return err
		}
		if free == "" {
			if err := r.awaitDelete(ctx, r.keys.key(dirSeat), end(r.keys.key(dirSeat)), rev+1); err != nil {
				return err
			}
			continue
		}
		taken := errors.New("taken")
		err = r.hold(ctx, ttl, func(ctx context.Context, lease LeaseID) error {
			_, got, err := r.take(ctx, free, self, lease)
			if err != nil {
				return err
			}
			if !got {
				return taken
			}
			return fn(ctx, others)
		})
		if !errors.Is(err, taken) {
			return err
		}
	}
}

// freeSeat returns the key of a seat that nobody has, empty if there is none,
// how many are taken, and the revision at which that was so.
func (r *Registry) freeSeat(ctx context.Context) (revision int64, key string, others int, err error) {
	dir := r.keys.key(dirSeat)
	res, err := r.kv.Range(ctx, Range{Key: dir, End: end(dir), KeysOnly: true})
	if err != nil {
		return 0, "", 0, fmt.Errorf("look for a seat: %w", err)
	}
	taken := map[string]bool{}
	for _, p := range res.Pairs {
		taken[p.Key] = true
	}
	for n := 1; n <= seats; n++ {
		if key := r.keys.seat(n); !taken[key] {
			return res.Revision, key, len(taken), nil
		}
	}
	return res.Revision, "", len(taken), nil
}

// Lead waits until nobody leads and runs fn as the leader. The term is the
// creation revision of the leader's key: every write of the engine is
// conditional on it. fn's context ends when leadership is lost; when fn
// returns, leadership is given up.
func (r *Registry) Lead(ctx context.Context, self string, ttl time.Duration, fn func(ctx context.Context, term int64) error) error {
	return r.hold(ctx, ttl, func(ctx context.Context, lease LeaseID) error {
		term, err := r.becomeLeader(ctx, self, lease)
		if err != nil {
			return err
		}
		return fn(ctx, term)
	})
}

func (r *Registry) becomeLeader(ctx context.Context, self string, lease LeaseID) (term int64, err error) {
	key := r.keys.leader()
	for {
		rev, got, err := r.take(ctx, key, self, lease)
		if err != nil {
			return 0, err
		}
		if got {
			return rev, nil
		}
		if err := r.awaitDelete(ctx, key, end(key), rev+1); err != nil {
			return 0, err
		}
	}
}

// take creates key under the lease if nobody has it, and returns the revision
// of the attempt. An attempt whose outcome is unknown is an error: the caller
// gives the lease up, and the key with it.
func (r *Registry) take(ctx context.Context, key, self string, lease LeaseID) (revision int64, got bool, err error) {
	res, err := r.kv.Txn(ctx, Txn{
		If:   []Cond{{Key: key, Create: true, Rel: Equal, Value: 0}},
		Then: []Op{{Put: key, Value: []byte(self), Lease: lease}},
	})
	if err != nil {
		return 0, false, fmt.Errorf("take %s: %w", key, err)
	}
	return res.Revision, res.Succeeded, nil
}

// awaitDelete returns when a key in [key, end) is deleted at or after from.
func (r *Registry) awaitDelete(ctx context.Context, key, end string, from int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for ev := range r.kv.Watch(ctx, key, end, from) {
		if ev.Err != nil {
			return fmt.Errorf("wait for %s: %w", key, ev.Err)
		}
		for _, c := range ev.Changes {
			if c.Deleted {
				return nil
			}
		}
	}
	return ctx.Err()
}
