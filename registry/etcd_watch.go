package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"fleet/schedule"
)

// Watch implements KV. Each watch is a stream of its own beneath the client's
// Watcher, which would resume a broken one unseen: from a revision that it
// takes from any progress, though before 3.4.25 and 3.5.8 the answer to a
// request for progress may overtake events.
func (e *Etcd) Watch(ctx context.Context, key, end string, from int64) <-chan WatchEvent {
	out := make(chan WatchEvent)
	go func() {
		defer close(out)
		w := etcdWatch{etcd: e, key: key, end: end, delivered: from - 1, out: out}
		event := WatchEvent{Err: fmt.Errorf("watch %q: %w", key, w.run(ctx)), Revision: max(w.delivered, 0)}
		if ctx.Err() != nil {
			return
		}
		select {
		case out <- event:
		case <-ctx.Done():
		}
	}()
	return out
}

// etcdWatch is one watch, used by one goroutine.
type etcdWatch struct {
	etcd      *Etcd
	key, end  string
	id        int64
	delivered int64
	fragments []*mvccpb.Event // of a revision that is not complete yet
	out       chan<- WatchEvent
}

// run delivers until ctx ends or the watch fails, and returns why.
func (w *etcdWatch) run(ctx context.Context) error {
	if w.delivered < 0 { // from the next revision on
		res, err := w.etcd.Range(ctx, Range{Key: w.key, KeysOnly: true})
		if err != nil {
			return err
		}
		w.delivered = res.Revision
	}
	ctx, cancel := context.WithCancel(ctx)
	stream := watchStream{
		asks: make(chan struct{}, 1), responses: make(chan *pb.WatchResponse), failed: make(chan error, 1),
	}
	defer stream.wait()
	defer cancel()
	stream.start(ctx, w.etcd.client.ActiveConnection(), w.request())

	ask := time.NewTimer(progressInterval)
	defer ask.Stop()
	silence := time.NewTimer(silenceLimit)
	defer silence.Stop()
	for {
		select {
		case res := <-stream.responses:
			alive, err := w.handle(ctx, res)
			if err != nil {
				return err
			}
			if alive {
				ask.Reset(progressInterval)
				silence.Reset(silenceLimit)
			}
		case err := <-stream.failed:
			return watchError(err)
		case <-ask.C:
			stream.ask()
			ask.Reset(progressInterval)
		case <-silence.C:
			return errNoAnswer
		case <-ctx.Done():
			return unavailable(ctx.Err())
		}
	}
}

// request asks for one revision too many, which deliver drops: etcd tells
// nothing of progress to a watch whose first revision is yet to come.
func (w *etcdWatch) request() *pb.WatchRequest {
	return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{
		Key: []byte(w.key), RangeEnd: []byte(w.end), StartRevision: max(w.delivered, 1),
		ProgressNotify: true, Fragment: true,
	}}}
}

// handle deals with one response and reports whether it proves that the watch
// is alive. The answer to a request for progress proves only that: its
// revision is not believed, see Watch. A member whose revision is below what
// was delivered proves nothing.
func (w *etcdWatch) handle(ctx context.Context, res *pb.WatchResponse) (alive bool, err error) {
	switch {
	case res.CompactRevision != 0:
		return false, schedule.ErrCompacted
	case res.Canceled:
		return false, watchError(errors.New(res.CancelReason))
	case len(res.Events) > 0:
		w.fragments = append(w.fragments, res.Events...)
		if !res.Fragment {
			err = w.deliver(ctx)
		}
		return true, err
	case res.Header.GetRevision() < w.delivered:
		return false, nil
	case res.Created:
		w.id = res.WatchId
	case res.WatchId == w.id: // sent for this watch, in order
		w.delivered = res.Header.GetRevision()
	}
	return true, w.send(ctx, WatchEvent{Revision: w.delivered})
}

// deliver passes on the events of whole revisions.
func (w *etcdWatch) deliver(ctx context.Context) error {
	event := WatchEvent{Revision: w.delivered}
	for _, ev := range w.fragments {
		if ev.Kv.ModRevision <= w.delivered {
			continue // asked for in vain, or sent twice, which etcd has been known to do
		}
		event.Revision = ev.Kv.ModRevision
		if ev.Type == mvccpb.Event_DELETE {
			event.Changes = append(event.Changes, KeyChange{Deleted: true, Pair: Pair{
				Key: string(ev.Kv.Key), ModRevision: ev.Kv.ModRevision,
			}})
			continue
		}
		event.Changes = append(event.Changes, KeyChange{Pair: pair(ev.Kv)})
	}
	w.fragments = nil
	if len(event.Changes) == 0 {
		return nil
	}
	w.delivered = event.Revision
	return w.send(ctx, event)
}

func (w *etcdWatch) send(ctx context.Context, event WatchEvent) error {
	select {
	case w.out <- event:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watchError says why a watch ended.
func watchError(err error) error {
	if err.Error() == rpctypes.ErrCompacted.Error() || errors.Is(rpctypes.Error(err), rpctypes.ErrCompacted) {
		return schedule.ErrCompacted
	}
	return unavailable(err)
}

// watchStream moves requests and responses between a watch and its gRPC
// stream, either side of which may block.
type watchStream struct {
	asks      chan struct{}
	responses chan *pb.WatchResponse
	failed    chan error
	work      sync.WaitGroup
}

// start opens the stream and serves it until ctx ends.
func (s *watchStream) start(ctx context.Context, conn *grpc.ClientConn, create *pb.WatchRequest) {
	s.work.Go(func() {
		stream, err := pb.NewWatchClient(conn).Watch(clientv3.WithRequireLeader(ctx), grpc.MaxCallRecvMsgSize(math.MaxInt32))
		if err == nil {
			err = s.serve(ctx, stream, create)
		}
		s.failed <- err
	})
}

// wait waits until all that start began has ended.
func (s *watchStream) wait() { s.work.Wait() }

// ask requests progress, unless a request waits to be sent already.
func (s *watchStream) ask() {
	select {
	case s.asks <- struct{}{}:
	default:
	}
}

func (s *watchStream) serve(ctx context.Context, stream pb.Watch_WatchClient, create *pb.WatchRequest) error {
	if err := stream.Send(create); err != nil {
		return streamError(stream, err)
	}
	s.work.Go(func() {
		progress := &pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}}
		for {
			select {
			case <-s.asks:
				if stream.Send(progress) != nil {
					return // receiving says why
				}
			case <-ctx.Done():
				return
			}
		}
	})
	for {
		res, err := stream.Recv()
		if err != nil {
			return err
		}
		select {
		case s.responses <- res:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// streamError returns why a send failed: where the other side ended the
// stream only receiving tells.
func streamError[R any](stream interface{ Recv() (R, error) }, err error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	for {
		if _, cause := stream.Recv(); cause != nil {
			return cause
		}
	}
}
