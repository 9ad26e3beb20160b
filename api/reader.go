package api

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"fleet/schedule"
)

// keptViews is how many snapshots are kept for the later pages of listings.
const keptViews = 4

// reader reads snapshots for calls. Calls that come while a read is under way
// share the one after it: each read begins after the calls that it answers, so
// every answer is as fresh as if the call had read by itself.
type reader struct {
	store  Store
	policy schedule.Policy
	base   context.Context // of the reads
	stop   context.CancelFunc
	group  sync.WaitGroup

	mu      sync.Mutex
	running *read
	next    *read
	kept    []*view // for further pages, the latest last
}

// read is one read of the store, of which view and err are set when done is
// closed.
type read struct {
	done chan struct{}
	view *view
	err  error
}

func newReader(store Store, policy schedule.Policy) *reader {
	r := &reader{store: store, policy: policy}
	r.base, r.stop = context.WithCancel(context.Background())
	return r
}

// now returns the cluster as it is, no older than the call.
func (r *reader) now(ctx context.Context) (*view, error) {
	rd := r.join()
	select {
	case <-rd.done:
		return rd.view, rd.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (r *reader) join() *read {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running == nil {
		rd := &read{done: make(chan struct{})}
		r.running = rd
		r.group.Go(func() { r.run(rd) })
		return rd
	}
	if r.next == nil {
		r.next = &read{done: make(chan struct{})}
	}
	return r.next
}

// run reads until nobody waits for another read.
func (r *reader) run(rd *read) {
	for rd != nil {
		ctx, cancel := context.WithTimeout(r.base, callTimeout)
		rd.view, rd.err = r.snapshot(ctx, 0)
		cancel()
		close(rd.done)
		r.mu.Lock()
		rd, r.next = r.next, nil
		r.running = rd
		r.mu.Unlock()
	}
}

// at returns the cluster as of a revision that an earlier page was of.
func (r *reader) at(ctx context.Context, revision int64) (*view, error) {
	r.mu.Lock()
	i := slices.IndexFunc(r.kept, func(v *view) bool { return v.Revision() == revision })
	if i >= 0 {
		defer r.mu.Unlock()
		return r.kept[i], nil
	}
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return r.snapshot(ctx, revision)
}

// keep holds on to a view for the pages that follow.
func (r *reader) keep(v *view) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = slices.DeleteFunc(r.kept, func(k *view) bool { return k.Revision() == v.Revision() })
	r.kept = append(r.kept, v)
	if len(r.kept) > keptViews {
		r.kept = slices.Delete(r.kept, 0, 1)
	}
}

func (r *reader) snapshot(ctx context.Context, revision int64) (*view, error) {
	u, err := r.store.Snapshot(ctx, revision)
	if err != nil {
		return nil, fmt.Errorf("read the cluster: %w", err)
	}
	v := newView(r.policy)
	v.apply(u)
	return v, nil
}

func (r *reader) close() {
	r.stop()
	r.group.Wait()
}
