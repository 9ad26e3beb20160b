package docker

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"
)

func TestPing(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "docker.sock")
	e, err := New("unix://" + socket)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Ping(t.Context()); !errors.Is(err, ErrAbsent) {
		t.Errorf("without a socket: %v, want ErrAbsent", err)
	}

	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	status, hang := http.StatusOK, make(chan struct{})
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status == 0 {
			<-hang
		}
		w.Header().Set("Api-Version", "1.41")
		w.WriteHeader(status)
	})}
	go srv.Serve(l)
	defer srv.Close()
	if err := e.Ping(t.Context()); err != nil {
		t.Errorf("an Engine that answers: %v", err)
	}
	status = http.StatusInternalServerError
	if err := e.Ping(t.Context()); err == nil || errors.Is(err, ErrAbsent) {
		t.Errorf("an Engine that fails: %v", err)
	}
	status = 0
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := e.Ping(ctx); err == nil || errors.Is(err, ErrAbsent) {
		t.Errorf("an Engine that hangs: %v", err)
	}
	close(hang)
}

func TestBadHost(t *testing.T) {
	if _, err := New("nowhere"); err == nil {
		t.Error("a host that is none was accepted")
	}
}
