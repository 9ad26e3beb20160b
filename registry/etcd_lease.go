package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// attemptTimeout bounds one attempt of a keepalive: a member that hangs must
// not cost the lease while others answer.
const attemptTimeout = 1500 * time.Millisecond

// Leases implements KV.
func (e *Etcd) Leases() Leases { return etcdLeases{e} }

type etcdLeases struct{ e *Etcd }

// Grant implements Leases. One whose answer is lost leaves a lease behind that
// nobody uses; it expires.
func (l etcdLeases) Grant(ctx context.Context, ttl time.Duration) (LeaseID, error) {
	if ttl <= 0 {
		return 0, errors.New("grant a lease: the time to live must be positive")
	}
	var res *clientv3.LeaseGrantResponse
	err := l.e.retry(ctx, func(ctx context.Context) (err error) {
		res, err = l.e.client.Grant(ctx, int64(wholeSeconds(ttl)/time.Second))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("grant a lease: %w", readError(err))
	}
	return LeaseID(res.ID), nil
}

// KeepAlive implements Leases.
func (l etcdLeases) KeepAlive(ctx context.Context, id LeaseID) (time.Duration, error) {
	var ttl int64
	err := l.e.retry(ctx, func(ctx context.Context) (err error) {
		ttl, err = l.renew(ctx, id)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("keep lease %x: %w", int64(id), readError(err))
	}
	if ttl <= 0 {
		return 0, fmt.Errorf("keep lease %x: %w", int64(id), ErrLeaseGone)
	}
	return time.Duration(ttl) * time.Second, nil
}

// renew asks one member once. The client's own KeepAliveOnce repeats without
// a pause for as long as no member can be reached.
func (l etcdLeases) renew(ctx context.Context, id LeaseID) (ttl int64, err error) {
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	defer func() {
		if err != nil && attempt.Err() != nil && ctx.Err() == nil {
			err = status.Error(codes.Unavailable, err.Error()) // another member may answer
		}
	}()
	stream, err := pb.NewLeaseClient(l.e.client.ActiveConnection()).LeaseKeepAlive(clientv3.WithRequireLeader(attempt))
	if err != nil {
		return 0, err
	}
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: int64(id)}); err != nil {
		return 0, streamError(stream, err)
	}
	res, err := stream.Recv()
	if err != nil {
		return 0, err
	}
	return res.TTL, nil
}

// Revoke implements Leases.
func (l etcdLeases) Revoke(ctx context.Context, id LeaseID) error {
	err := l.e.retry(ctx, func(ctx context.Context) error {
		_, err := l.e.client.Revoke(ctx, clientv3.LeaseID(id))
		return err
	})
	if err = readError(err); err != nil && !errors.Is(err, ErrLeaseGone) {
		return fmt.Errorf("revoke lease %x: %w", int64(id), err)
	}
	return nil
}
