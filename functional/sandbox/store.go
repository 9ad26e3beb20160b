package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Store is the external store: the host's etcd, one member, on the bridge's
// address.
type Store struct {
	sandbox string
	dir     string
	ip      string
}

func (s *Store) box() box { return newBox(s.sandbox, "store") }

// Log is the file that etcd writes to.
func (s *Store) Log() string { return filepath.Join(s.dir, "etcd.log") }

// Start starts the store on the data that it had and waits until it answers.
func (s *Store) Start(ctx context.Context) error {
	if s.box().populated() {
		return errors.New("the store is running already")
	}
	client, peer := clientURL(s.ip), fmt.Sprintf("http://%s:%d", s.ip, peerPort)
	err := s.box().start(ctx, s.Log(), []string{"PATH=" + defaultPath},
		"etcd", "--name=store", "--data-dir="+filepath.Join(s.dir, "data"),
		"--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=store="+peer)
	if err != nil {
		return err
	}
	err = poll(ctx, func() bool { return s.healthy(ctx) || !s.box().populated() })
	if err == nil && !s.box().populated() {
		err = errors.New("it ended")
	}
	if err != nil {
		return fmt.Errorf("store: %w: %s", err, tail(s.Log()))
	}
	return nil
}

// healthy asks the store whether it has a leader and answers.
func (s *Store) healthy(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, clientURL(s.ip)+"/health", nil)
	if err != nil {
		return false
	}
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// Kill ends the store at once, as kill -9 does.
func (s *Store) Kill(ctx context.Context) error { return s.box().kill(ctx) }

// Freeze makes the store hang; its kernel still accepts connections.
func (s *Store) Freeze(ctx context.Context) error { return s.box().freeze(ctx, true) }

// Thaw lets a frozen store go on.
func (s *Store) Thaw(ctx context.Context) error { return s.box().freeze(ctx, false) }

// Wipe deletes what a store that is not running has stored.
func (s *Store) Wipe() error {
	if s.box().populated() {
		return errors.New("the store is running")
	}
	return os.RemoveAll(filepath.Join(s.dir, "data"))
}

// State is one of Off, Running and Frozen.
func (s *Store) State() string {
	switch b := s.box(); {
	case !b.populated():
		return Off
	case b.frozen():
		return Frozen
	}
	return Running
}
