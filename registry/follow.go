package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"fleet/schedule"
)

// pageSize is how many pairs one read of a snapshot takes at a time, so that
// no answer outgrows what the store may send.
const pageSize = 5000

// Snapshot returns every record as of one revision; 0 is now, linearizable.
func (r *Registry) Snapshot(ctx context.Context, revision int64) (schedule.Update, error) {
	return r.read(ctx, revision, func(Pair) {})
}

// Follow calls fn with a snapshot and then with every change after it, in
// order, until ctx ends, fn returns an error, or the store fails. Updates
// without changes tell that the store is still there. A revision that was
// compacted away under the watch ends it too: the caller follows anew, from a
// new snapshot, so there is never a gap.
func (r *Registry) Follow(ctx context.Context, fn func(schedule.Update) error) error {
	return r.follow(ctx, r.keys.prefix, func(Pair) {}, fn)
}

// read takes a snapshot and shows other every pair that is no record.
func (r *Registry) read(ctx context.Context, revision int64, other func(Pair)) (schedule.Update, error) {
	return r.readPrefix(ctx, r.keys.prefix, revision, other)
}

func (r *Registry) readPrefix(ctx context.Context, prefix string, revision int64, other func(Pair)) (schedule.Update, error) {
	u := schedule.Update{Snapshot: true, Revision: revision}
	files := map[string]bool{}
	next := prefix
	for {
		res, err := r.kv.Range(ctx, Range{Key: next, End: end(prefix), Revision: u.Revision, Limit: pageSize})
		if err != nil {
			return u, fmt.Errorf("read the store: %w", err)
		}
		if u.Revision == 0 {
			u.Revision = res.Revision
		}
		for _, p := range res.Pairs {
			if hash, ok := strings.CutPrefix(p.Key, r.keys.file("")); ok {
				r.files.add(hash, p.Value)
				files[hash] = true
				continue
			}
			if !r.record(&u, KeyChange{Pair: p}) {
				other(p)
			}
		}
		if !res.More {
			break
		}
		next = res.Pairs[len(res.Pairs)-1].Key + "\x00"
	}
	if prefix == r.keys.prefix && revision == 0 {
		r.files.keep(files)
	}
	return u, r.attachFiles(ctx, &u)
}

// record appends the change to u if it is one of a record. What can't be read
// is said and left out: one bad record must not blind the cluster.
func (r *Registry) record(u *schedule.Update, kc KeyChange) bool {
	c, ok, err := r.keys.change(kc)
	if err != nil {
		r.log.Error("unreadable record left out", "key", kc.Key, "err", err)
		return true
	}
	if ok {
		u.Changes = append(u.Changes, c)
	}
	return ok
}

// attachFiles puts its file beside each unit of u.
func (r *Registry) attachFiles(ctx context.Context, u *schedule.Update) error {
	for i := range u.Changes {
		c := &u.Changes[i]
		if c.Unit == nil || c.Deleted {
			continue
		}
		f, err := r.file(ctx, c.Unit.Hash, u.Revision)
		if err != nil && !errors.Is(err, ErrNoFile) {
			return err
		}
		c.File = f
	}
	return nil
}

func (r *Registry) follow(ctx context.Context, prefix string, other func(Pair), fn func(schedule.Update) error) error {
	u, err := r.readPrefix(ctx, prefix, 0, other)
	if err != nil {
		return err
	}
	if err := fn(u); err != nil {
		return err
	}
	return r.watch(ctx, prefix, u.Revision+1, fn)
}

// watch calls fn with every change below prefix from revision from on.
func (r *Registry) watch(ctx context.Context, prefix string, from int64, fn func(schedule.Update) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for ev := range r.kv.Watch(ctx, prefix, end(prefix), from) {
		if ev.Err != nil {
			return fmt.Errorf("follow the store: %w", ev.Err)
		}
		u := schedule.Update{Revision: ev.Revision}
		for _, kc := range ev.Changes {
			if hash, ok := strings.CutPrefix(kc.Key, r.keys.file("")); ok && !kc.Deleted {
				r.files.add(hash, kc.Value)
				continue
			}
			r.record(&u, kc)
		}
		if err := r.attachFiles(ctx, &u); err != nil {
			return err
		}
		if err := fn(u); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return fmt.Errorf("follow the store: %w", schedule.ErrUnavailable)
}
