package registry

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// hold keeps a lease of its own while fn runs and revokes it afterwards. fn's
// context ends when the store says that the lease is gone, and also when no
// renewal has been answered for nine tenths of the lease's time, counted from
// the sending of the last one that was: whoever can't tell that he still holds
// something must act as if he didn't, before another may hold it.
func (r *Registry) hold(ctx context.Context, ttl time.Duration, fn func(ctx context.Context, lease LeaseID) error) error {
	sent := time.Now()
	lease, err := r.kv.Leases().Grant(ctx, ttl)
	if err != nil {
		return fmt.Errorf("grant lease: %w", err)
	}
	held, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		lose(r.renew(held, lease, ttl, sent))
	}()
	err = fn(held, lease)
	if cause := context.Cause(held); cause != nil && ctx.Err() == nil && errors.Is(err, context.Canceled) {
		err = cause
	}
	lose(nil)
	<-kept

	// The context may be over already; what was held is given back all the same.
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), ttl/2)
	defer cancel()
	_ = r.kv.Leases().Revoke(bye, lease) // it runs out by itself if this fails
	return err
}

// errLeaseSilent: no renewal was answered for as long as the lease lasts.
var errLeaseSilent = errors.New("the lease was not renewed in time")

// renew renews the lease until ctx ends or it must be taken for lost, and
// returns why.
func (r *Registry) renew(ctx context.Context, lease LeaseID, ttl time.Duration, answered time.Time) error {
	tick := time.NewTicker(ttl / 4)
	defer tick.Stop()
	safe := ttl - ttl/10
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		sent := time.Now()
		try, cancel := context.WithDeadline(ctx, answered.Add(safe))
		_, err := r.kv.Leases().KeepAlive(try, lease)
		cancel()
		switch {
		case err == nil:
			answered = sent
		case errors.Is(err, ErrLeaseGone):
			return err
		case time.Since(answered) >= safe:
			return errLeaseSilent
		}
	}
}
