// Package embed runs an etcd server inside this process, so that a small
// cluster needs nothing but fleetd. It is the only importer of etcd's server;
// what it serves is used over registry.Etcd like any other etcd. cmd/fleetd
// starts it before everything else and closes it after everything else.
//
// A server is made for fleet's use: a quota of 8 GiB, history compacted to ten
// minutes, timings for a local network.
package embed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// Config says what to run.
type Config struct {
	// DataDir is made if it is missing, and always closed to others.
	DataDir string
	// Name is this member's, as in InitialCluster; empty means "fleet".
	Name string

	// InitialCluster is the peer URL of each member by name, this one
	// included, and the same on all of them. Empty means a cluster of one,
	// which is for this machine alone: it listens for clients on a socket in
	// DataDir or on loopback, and for peers not at all.
	InitialCluster map[string]string
	// Token tells clusters of several members apart whose members have the
	// same URLs; it is the same on all members. Clusters of one get a random
	// one.
	Token string

	// Where to listen, URLs with an address and a port; a client's may also be
	// of scheme unix. Empty means the socket for clients, and for peers the
	// address in this member's peer URL, which must be an IP address then.
	ListenClient, ListenPeer []string
	// AdvertiseClient is what other members tell clients; empty means
	// ListenClient.
	AdvertiseClient []string

	// TLS serves the URLs whose scheme is https or unixs.
	TLS TLS

	// Known says that this machine has known a store before: then an empty
	// DataDir is refused with an error that wraps ErrStoreMissing, since
	// filling it would create a second cluster.
	Known bool
	// Join says that InitialCluster exists and has been told of this member
	// (etcdctl member add): an empty DataDir is filled from the others.
	Join bool

	Logger *slog.Logger // for etcd's warnings and errors
}

// TLS names PEM files. With an authority, clients and peers must show a
// certificate that comes from it.
type TLS struct{ CertFile, KeyFile, CAFile string }

// ErrStoreMissing: this machine has known a store, and its data is not there.
var ErrStoreMissing = errors.New("this machine has known a store, and its data is gone")

// Server is a running etcd server.
type Server struct {
	etcd      *embed.Etcd
	endpoints []string
	errs      chan error
	closing   chan struct{}
	closeOnce sync.Once
	work      sync.WaitGroup
}

// Start starts a server. It does not wait for other members, see Ready, but
// takes a few seconds where they don't answer; ctx is looked at only before.
func Start(ctx context.Context, c Config) (*Server, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	s, err := start(c)
	if err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	return s, nil
}

func start(c Config) (*Server, error) {
	dir, err := filepath.Abs(c.DataDir)
	if err != nil || c.DataDir == "" {
		return nil, fmt.Errorf("the data directory %q is not usable: %w", c.DataDir, err)
	}
	c.DataDir = dir
	fresh, err := prepare(c)
	if err != nil {
		return nil, err
	}
	closing := make(chan struct{})
	conf, err := c.etcdConfig(fresh, closing)
	if err != nil {
		return nil, err
	}
	e, err := embed.StartEtcd(conf)
	if err != nil {
		return nil, err
	}
	s := &Server{etcd: e, endpoints: endpoints(conf.ListenClientUrls), errs: make(chan error, 1), closing: closing}
	s.work.Go(s.supervise)
	return s, nil
}

// prepare makes the data directory and reports whether it is without data,
// which is an error where there must be some.
func prepare(c Config) (fresh bool, err error) {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return false, err
	}
	if err := os.Chmod(c.DataDir, 0o700); err != nil {
		return false, err
	}
	files, err := os.ReadDir(filepath.Join(c.DataDir, "member", "wal"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	fresh = len(files) == 0
	if fresh && c.Known && !c.Join {
		return true, fmt.Errorf("%w: %s is empty, and a new store there would be a second cluster; "+
			"restore a backup into it (etcdutl snapshot restore), or add this machine to the members that are left "+
			"(etcdctl member add) and join them, or use the store that there is", ErrStoreMissing, c.DataDir)
	}
	return fresh, nil
}

// supervise passes on why the server failed, if it does before it is closed.
func (s *Server) supervise() {
	var err error
	select {
	case <-s.closing:
		return
	case err = <-s.etcd.Err():
		err = fmt.Errorf("embedded etcd: %w", err)
	case <-s.etcd.Server.StopNotify():
		err = errors.New("embedded etcd has stopped: this member was removed, or its storage failed")
	}
	select {
	case <-s.closing: // that was why
	default:
		s.errs <- err
	}
}

// Endpoints returns the URLs at which this machine reaches the server.
func (s *Server) Endpoints() []string { return s.endpoints }

// Ready is closed once the server is part of a cluster that has a leader.
// Until then nothing that connects is served.
func (s *Server) Ready() <-chan struct{} { return s.etcd.Server.ReadyNotify() }

// Err delivers why the server failed, at most once; not that it was closed.
func (s *Server) Err() <-chan error { return s.errs }

// handOver is how long a leader may try to hand over before it just stops.
const handOver = 2 * time.Second

// Close stops the server in order: leadership is handed over, requests under
// way are finished, everything is on disk.
func (s *Server) Close() {
	s.closeOnce.Do(func() {
		close(s.closing)
		select {
		case <-s.etcd.Server.ReadyNotify():
		default:
			// Closing waits for the listeners' servers, and they for a
			// readiness that may never come.
			s.etcd.Server.Stop()
		}
		// A leader tries for seconds to hand over to members that are gone,
		// as when all are stopped at once. What is written is safe without.
		impatient := time.AfterFunc(handOver, s.etcd.Server.HardStop)
		s.etcd.Close()
		impatient.Stop()
	})
	s.work.Wait()
}
