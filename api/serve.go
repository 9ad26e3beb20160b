package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// graceTime is what calls under way get at the end.
const graceTime = 5 * time.Second

// Serve answers on the listeners until ctx ends, then lets the calls under way
// finish, ends the event streams and closes the server and the listeners.
func (s *Server) Serve(ctx context.Context, listeners []net.Listener) error {
	hs := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      time.Minute, // event streams set their own
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, len(listeners))
	var group sync.WaitGroup
	for _, l := range listeners {
		group.Go(func() {
			if err := hs.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve the API on %s: %w", l.Addr(), err)
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.hangUp()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceTime)
	defer cancel()
	if hs.Shutdown(grace) != nil {
		_ = hs.Close()
	}
	group.Wait()
	s.Close()
	return err
}
