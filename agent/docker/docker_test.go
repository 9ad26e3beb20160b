package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
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
	if _, err := e.Version(t.Context()); !errors.Is(err, ErrAbsent) {
		t.Errorf("the version without a socket: %v, want ErrAbsent", err)
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
		if strings.HasSuffix(r.URL.Path, "/version") {
			fmt.Fprint(w, `{"Version":"20.10.24+dfsg1"}`)
		}
	})}
	go srv.Serve(l)
	defer srv.Close()
	if err := e.Ping(t.Context()); err != nil {
		t.Errorf("an Engine that answers: %v", err)
	}
	if v, err := e.Version(t.Context()); v != "20.10.24+dfsg1" || err != nil {
		t.Errorf("its version: %q, %v", v, err)
	}
	status = http.StatusInternalServerError
	if err := e.Ping(t.Context()); err == nil || errors.Is(err, ErrAbsent) {
		t.Errorf("an Engine that fails: %v", err)
	}
	if v, err := e.Version(t.Context()); v != "" || err == nil || errors.Is(err, ErrAbsent) {
		t.Errorf("the version of an Engine that fails: %q, %v", v, err)
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
