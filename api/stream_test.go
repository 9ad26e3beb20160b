package api_test

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fleet/api"
	"fleet/registry"
	"fleet/unit"
)

// pipes is a listener whose connections have no buffer at all, so that a
// reader who stops reading is noticed at once.
type pipes struct {
	conns  chan net.Conn
	closed context.Context
	close  context.CancelFunc
}

func newPipes() *pipes {
	p := &pipes{conns: make(chan net.Conn)}
	p.closed, p.close = context.WithCancel(context.Background())
	return p
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed.Done():
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.close(); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

// TestStreamsInTime: a quiet stream beats, and lives longer than any call may;
// a reader that stops reading is dropped, and what fed it ends.
func TestStreamsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := registry.New(registry.NewMemory(), "", slog.New(slog.DiscardHandler))
		store := &counting{Store: reg, ended: make(chan struct{}, 1)}
		ctx, cancel := context.WithCancel(t.Context())
		l := newPipes()
		served := make(chan error, 1)
		server := api.NewServer(api.Config{Store: store})
		go func() { served <- server.Serve(ctx, []net.Listener{l}) }()
		conn := l.dial()
		req, _ := http.NewRequest("GET", "http://fleet/fleet/v1/events?unit=web.service", nil)
		go func() { _ = req.Write(conn) }()
		lines := bufio.NewScanner(conn)
		beats := 0
		for began := time.Now(); time.Since(began) < 5*time.Minute && lines.Scan(); {
			if strings.TrimSpace(lines.Text()) == ":" {
				beats++
			}
		}
		if beats < 29 || beats > 30 {
			t.Errorf("%d heartbeats in five minutes, want one every 10 s", beats)
		}
		f, err := unit.Parse([]byte(webText))
		if err != nil {
			t.Fatal(err)
		}
		stopped := time.Now() // reading, that is
		if _, err := reg.PutUnit(ctx, "web.service", f, unit.Loaded, nil); err != nil {
			t.Fatal(err)
		}
		<-store.ended
		if d := time.Since(stopped); d > 15*time.Second {
			t.Errorf("a reader that does not read is dropped after %s", d)
		}
		_ = conn.Close()
		cancel()
		if err := <-served; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}
