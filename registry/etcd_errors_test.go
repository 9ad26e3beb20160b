package registry

import (
	"context"
	"errors"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"fleet/schedule"
)

// Only what proves that a transaction was not done may say so.
func TestWriteErrors(t *testing.T) {
	for _, tt := range []struct {
		err                        error
		unknown, unavailable, gone bool
	}{
		{rpctypes.ErrLeaseNotFound, false, false, true},
		{rpctypes.ErrGRPCLeaseNotFound, false, false, true},
		{rpctypes.ErrPermissionDenied, false, false, false},
		{rpctypes.ErrDuplicateKey, false, false, false},
		{rpctypes.ErrRequestTooLarge, false, false, false},
		{rpctypes.ErrTooManyRequests, false, true, false},
		{rpctypes.ErrNoSpace, true, true, false}, // said of what was written, too
		{rpctypes.ErrLeaderChanged, true, true, false},
		{rpctypes.ErrTimeout, true, true, false},
		{rpctypes.ErrStopped, true, true, false},
		{rpctypes.ErrTimeoutDueToLeaderFail, true, true, false},
		{context.DeadlineExceeded, true, true, false},
		{context.Canceled, true, true, false},
		{status.Error(codes.Unavailable, "connection reset by peer"), true, true, false},
		{status.Error(codes.ResourceExhausted, "message larger than max"), true, true, false},
		{status.Error(codes.InvalidArgument, "not said by etcd"), true, true, false},
		{status.Error(codes.Unknown, "anything"), true, true, false},
	} {
		err := writeError(tt.err)
		if errors.Is(err, ErrUnknownOutcome) != tt.unknown || errors.Is(err, schedule.ErrUnavailable) != tt.unavailable || errors.Is(err, ErrLeaseGone) != tt.gone {
			t.Errorf("%v became %v", tt.err, err)
		}
	}
}

func TestReadErrors(t *testing.T) {
	if err := readError(rpctypes.ErrCompacted); !errors.Is(err, schedule.ErrCompacted) {
		t.Errorf("compacted became %v", err)
	}
	if err := readError(rpctypes.ErrPermissionDenied); errors.Is(err, schedule.ErrUnavailable) {
		t.Errorf("a refusal became %v", err)
	}
	if err := readError(rpctypes.ErrTimeout); !errors.Is(err, schedule.ErrUnavailable) || errors.Is(err, ErrUnknownOutcome) {
		t.Errorf("a timeout became %v", err)
	}
	if err := readError(nil); err != nil {
		t.Errorf("success became %v", err)
	}
}

func TestVersionWarnings(t *testing.T) {
	for version, want := range map[string]int{
		"3.3.27": 1, "3.4.23": 1, "3.4.30": 1, "3.4.31": 0, "3.5.12": 1, "3.5.13": 0, "3.6.0": 0, "3.7.3": 0,
		"4.0.0": 0, "2.3.8": 1, "unknown": 1, "3.6.0-rc.1": 0,
	} {
		if got := versionWarnings("here", version); len(got) != want {
			t.Errorf("%s: %q, want %d warnings", version, got, want)
		}
	}
}
