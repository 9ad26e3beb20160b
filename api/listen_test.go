package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleet/api"
	"fleet/unit"
)

// socketDir is a short directory: a socket's path has 107 bytes at most.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fleet")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestListenTakesAStaleSocketOnly(t *testing.T) {
	path := filepath.Join(socketDir(t), "fleet.sock")
	stale, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = stale.Close()

	ours, err := api.Listen(path, []string{"127.0.0.1:0"})
	if err != nil {
		t.Fatalf("a stale socket is in the way: %v", err)
	}
	if len(ours) != 2 {
		t.Errorf("%d listeners, want the socket and the address", len(ours))
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket's mode is %v (%v), want 0660", info.Mode(), err)
	}
	if _, err := api.Listen(path, nil); err == nil || !strings.Contains(err.Error(), "another process listens there") {
		t.Errorf("a second listener got %v", err)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Errorf("the second listener has taken the socket away: %v", err)
	} else {
		_ = conn.Close()
	}
	for _, l := range ours {
		_ = l.Close()
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := api.Listen(path, nil); err == nil {
		t.Error("a file was replaced by a socket")
	}
}

// TestServe: calls over a Unix socket, and an end that event streams don't
// hold up.
func TestServe(t *testing.T) {
	w := newWorld(t, api.Config{})
	f := w.put("web.service", webText, unit.Inactive)
	path := filepath.Join(socketDir(t), "fleet.sock")
	listeners, err := api.Listen(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	server := api.NewServer(api.Config{Store: w.reg, PageLimit: 1})
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listeners) }()

	c := client(t, "unix://"+path)
	u, err := c.Unit(t.Context(), "web.service")
	if err != nil || u.Text != webText {
		t.Errorf("got %+v, %v", u, err)
	}
	none, other := "", "abc"
	var e *api.Error
	if err := c.PutUnit(t.Context(), "web.service", "[Service]\nExecStart=/bin/true\n", unit.Loaded, &none); !errors.As(err, &e) || e.Code != 412 {
		t.Errorf("PutUnit of a known unit as a new one: %v", err)
	}
	if err := c.PutUnit(t.Context(), "web.service", "[Service]\nExecStart=/bin/true\n", unit.Loaded, &other); !errors.As(err, &e) || e.Code != 412 {
		t.Errorf("PutUnit over another file: %v", err)
	}
	if err := c.PutUnit(t.Context(), "web.service", "[Service]\nExecStart=/bin/true\n", unit.Loaded, &f.Hash); err != nil {
		t.Errorf("PutUnit over its file: %v", err)
	}
	w.put("app.service", webText, unit.Inactive)
	if err := c.SetTarget(t.Context(), "app.service", unit.Launched); err != nil {
		t.Error(err)
	}
	units, err := c.Units(t.Context())
	if err != nil || len(units) != 2 || units[0].Name != "app.service" || units[0].DesiredState != unit.Launched {
		t.Errorf("over pages of one: %+v, %v", units, err)
	}
	if err := c.DestroyUnit(t.Context(), "app.service"); err != nil {
		t.Error(err)
	}
	err = c.Events(t.Context(), []string{"web.service"}, func(api.Event) error {
		cancel() // while the stream is open
		return nil
	})
	if !errors.Is(err, api.ErrStreamEnded) {
		t.Errorf("the stream ended with %v", err)
	}
	select {
	case err := <-served:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the server does not end")
	}
	_, err = c.Units(t.Context())
	var unreachable *api.UnreachableError
	if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "can't reach fleetd at unix://"+path) {
		t.Errorf("after the end: %v", err)
	}
}

func TestClientRefusesEndpoints(t *testing.T) {
	for _, endpoint := range []string{"", "fleet.sock", "/var/run/fleet.sock", "unix://", "ssh://host", "http://", "http://a b"} {
		if _, err := api.NewClient(endpoint, api.ClientConfig{}); err == nil {
			t.Errorf("%q is taken for an endpoint", endpoint)
		}
	}
	if _, err := api.NewClient("https://host:1", api.ClientConfig{CAFile: "/nothing"}); err == nil {
		t.Error("a CA file that isn't there is accepted")
	}
}

// TestClientTimeout: a server that takes the call and never answers.
func TestClientTimeout(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := api.NewClient("http://"+l.Addr().String(), api.ClientConfig{Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Units(t.Context()); err == nil || !strings.HasSuffix(err.Error(), "takes calls but does not answer: no answer within 50ms") {
		t.Errorf("got %v", err)
	}
}

func TestDiscovery(t *testing.T) {
	w := newWorld(t, api.Config{Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "fleet_units 1\n")
	})})
	var doc struct {
		BasePath string
		Schemas  map[string]json.RawMessage
	}
	w.want(200, "GET", "/fleet/v1/discovery", "", &doc)
	if doc.BasePath != "/fleet/v1/" || len(doc.Schemas) == 0 {
		t.Errorf("got %+v", doc)
	}
	if status, _, answer := w.call("GET", "/metrics", ""); status != 200 || answer != "fleet_units 1\n" {
		t.Errorf("metrics: %d %s", status, answer)
	}
	w.want(200, "GET", "/health", "", nil)
}

// TestListenTakesSystemdsSockets runs itself as systemd would start fleetd:
// with sockets as descriptors 3 and 4.
func TestListenTakesSystemdsSockets(t *testing.T) {
	if os.Getenv("FLEET_TEST_ACTIVATED") != "" {
		listeners, err := api.Listen("/nowhere/fleet.sock", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range listeners {
			fmt.Printf("listens on %s\n", l.Addr())
		}
		return
	}
	var files []*os.File
	var want string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
		want += fmt.Sprintf("listens on %s\n", l.Addr())
	}
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" -test.run=^TestListenTakesSystemdsSockets$`, os.Args[0])
	cmd.Env = append(os.Environ(), "FLEET_TEST_ACTIVATED=1", "LISTEN_FDS=2")
	cmd.ExtraFiles = files
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), want) {
		t.Errorf("got %s (%v), want %s", out, err, want)
	}
}
