package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"fleet/schedule"
)

// retry repeats an idempotent call until it is answered, refused or out of
// time, whether that is ctx's or the client's. Each attempt may go to another
// endpoint.
func (e *Etcd) retry(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	const longestPause = 500 * time.Millisecond
	for pause := 25 * time.Millisecond; ; pause = min(2*pause, longestPause) {
		err := call(ctx)
		if err == nil || !transient(err) || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

// transient reports whether the same call may succeed soon.
func transient(err error) bool {
	return tokenExpired(err) || code(err) == codes.Unavailable ||
		errors.Is(err, rpctypes.ErrTooManyRequests)
}

// tokenExpired reports whether etcd refused the call because the client must
// authenticate again, which it has done by now.
func tokenExpired(err error) bool {
	err = rpctypes.Error(err)
	return errors.Is(err, rpctypes.ErrInvalidAuthToken) || errors.Is(err, rpctypes.ErrAuthOldRevision)
}

// code returns the gRPC code of a client's error.
func code(err error) codes.Code {
	var etcdErr rpctypes.EtcdError
	if errors.As(rpctypes.Error(err), &etcdErr) {
		return etcdErr.Code()
	}
	return status.Code(err)
}

// refused reports whether etcd itself said no to a request, so that it was not
// and never will be carried out. That the space is used up is not among the
// reasons: etcd says so also of what it has just written.
func refused(err error) bool {
	var etcdErr rpctypes.EtcdError
	if !errors.As(rpctypes.Error(err), &etcdErr) {
		return false
	}
	switch etcdErr.Code() {
	case codes.InvalidArgument, codes.NotFound, codes.PermissionDenied,
		codes.FailedPrecondition, codes.OutOfRange, codes.Unauthenticated:
		return true
	}
	return false
}

// readError puts the error of a call that changes nothing, or that may be
// repeated, into this package's terms.
func readError(err error) error {
	known := rpctypes.Error(err)
	switch {
	case err == nil:
		return nil
	case errors.Is(known, rpctypes.ErrCompacted):
		return schedule.ErrCompacted
	case errors.Is(known, rpctypes.ErrLeaseNotFound):
		return ErrLeaseGone
	case refused(err):
		return known
	}
	return unavailable(err)
}

// writeError does so for a transaction that was sent: whatever is not a
// refusal leaves its outcome open.
func writeError(err error) error {
	if err == nil || refused(err) {
		return readError(err)
	}
	if errors.Is(rpctypes.Error(err), rpctypes.ErrTooManyRequests) { // it was not even queued
		return unavailable(err)
	}
	return fmt.Errorf("%w: %w", ErrUnknownOutcome, unavailable(err))
}
