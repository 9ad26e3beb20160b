package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fleet/registry"
	"fleet/registry/kvtest"
	"fleet/schedule"
)

const etcdBinary = "/usr/bin/etcd"

// etcdProcess is an etcd of the distribution, the oldest release that fleet
// supports, on loopback.
type etcdProcess struct {
	*os.Process
	endpoint string
}

// startEtcd runs an etcd of one member until the test ends.
func startEtcd(t *testing.T) etcdProcess {
	t.Helper()
	if _, err := os.Stat(etcdBinary); err != nil {
		t.Fatalf("these tests need etcd 3.4, of the Debian package etcd-server: %v", err)
	}
	dir := t.TempDir()
	client, peer := freeURL(t), freeURL(t)
	var output bytes.Buffer
	cmd := exec.Command(etcdBinary, "--name=m", "--data-dir="+dir+"/data", "--unsafe-no-fsync", "--logger=zap", "--log-level=warn",
		"--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=m="+peer)
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("etcd said:\n%s", output.String())
		}
	})
	return etcdProcess{cmd.Process, client}
}

// freeURL returns a loopback address that nothing listens on.
func freeURL(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func (p etcdProcess) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := p.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// stop halts the process and waits until all of its threads have halted.
func (p etcdProcess) stop(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGSTOP)
	ctx := within(t, 30*time.Second)
	for running := true; running; {
		if ctx.Err() != nil {
			t.Fatal("etcd does not halt")
		}
		running = false
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.Pid))
		if err != nil || len(threads) == 0 {
			t.Fatalf("threads of etcd: %v, %v", threads, err)
		}
		for _, path := range threads {
			text, err := os.ReadFile(path)
			running = running || err == nil && !bytes.Contains(text, []byte(") T "))
		}
	}
}

// dial returns a client of the process, once that answers.
func (p etcdProcess) dial(t *testing.T, timeout time.Duration) *registry.Etcd {
	t.Helper()
	e, err := registry.DialEtcd(registry.EtcdConfig{Endpoints: []string{p.endpoint}, RequestTimeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	ctx := within(t, 30*time.Second)
	for {
		_, err := e.Range(ctx, registry.Range{Key: "k"})
		if err == nil {
			return e
		}
		if ctx.Err() != nil {
			t.Fatalf("etcd does not come up: %v", err)
		}
	}
}

func TestEtcdConforms(t *testing.T) {
	t.Parallel()
	e := startEtcd(t).dial(t, 0)
	kvtest.Run(t, func(*testing.T) registry.KV { return e })
}

func TestEtcdStalled(t *testing.T) {
	t.Parallel()
	process := startEtcd(t)
	e := process.dial(t, time.Second)
	lease, err := e.Leases().Grant(t.Context(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	rev := put(t, e, "k", "before")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watch := e.Watch(ctx, "k", "", rev+1)
	if ev := <-watch; ev.Err != nil {
		t.Fatal(ev.Err)
	}

	process.stop(t)
	_, err = e.Txn(ctx, registry.Txn{Then: []registry.Op{{Put: "k", Value: []byte("late")}}})
	if !errors.Is(err, registry.ErrUnknownOutcome) || !errors.Is(err, schedule.ErrUnavailable) {
		t.Errorf("transaction: %v", err)
	}
	_, err = e.Range(ctx, registry.Range{Key: "k"})
	if !errors.Is(err, schedule.ErrUnavailable) || errors.Is(err, registry.ErrUnknownOutcome) {
		t.Errorf("read: %v", err)
	}
	_, err = e.Leases().KeepAlive(ctx, lease)
	if !errors.Is(err, schedule.ErrUnavailable) || errors.Is(err, registry.ErrLeaseGone) {
		t.Errorf("keepalive: %v", err)
	}
	if ev := next(t, watch); !errors.Is(ev.Err, schedule.ErrUnavailable) {
		t.Errorf("watch: %+v", ev)
	}

	process.signal(t, syscall.SIGCONT)
	after := put(t, e, "k", "after") // whether or not the late write was done
	watch = e.Watch(ctx, "k", "", rev+1)
	for seen := rev; seen < after; {
		ev := next(t, watch)
		if ev.Err != nil {
			t.Fatalf("watch once it goes on: %v", ev.Err)
		}
		seen = ev.Revision
	}
	if _, err := e.Leases().KeepAlive(ctx, lease); err != nil {
		t.Errorf("keepalive once it goes on: %v", err)
	}
}

func TestEtcdKilled(t *testing.T) {
	t.Parallel()
	process := startEtcd(t)
	e := process.dial(t, 2*time.Second)
	watch := e.Watch(t.Context(), "k", "", 0)
	if ev := <-watch; ev.Err != nil {
		t.Fatal(ev.Err)
	}
	process.signal(t, syscall.SIGKILL)
	if ev := next(t, watch); !errors.Is(ev.Err, schedule.ErrUnavailable) {
		t.Errorf("watch: %+v", ev)
	}
	if _, err := e.Range(t.Context(), registry.Range{Key: "k"}); !errors.Is(err, schedule.ErrUnavailable) {
		t.Errorf("read: %v", err)
	}
	_, err := e.Txn(t.Context(), registry.Txn{Then: []registry.Op{{Put: "k"}}})
	if !errors.Is(err, schedule.ErrUnavailable) {
		t.Errorf("transaction: %v", err)
	}
	if ev := next(t, e.Watch(t.Context(), "k", "", 5)); !errors.Is(ev.Err, schedule.ErrUnavailable) {
		t.Errorf("a watch made when nobody is there: %+v", ev)
	}
	if warnings := strings.Join(e.Warnings(t.Context()), "\n"); !strings.Contains(warnings, "does not answer") {
		t.Errorf("warnings: %s", warnings)
	}
}

func TestEtcdWarnings(t *testing.T) {
	t.Parallel()
	process := startEtcd(t)
	e := process.dial(t, 0)
	const old = "which can revoke all leases when its leader hangs"
	warnings := strings.Join(e.Warnings(t.Context()), "\n")
	if !strings.Contains(warnings, old) || strings.Contains(warnings, "compacted") {
		t.Errorf("warnings about a new store: %s", warnings)
	}

	var revision int64
	writes := make(chan int64)
	for n := range 16 {
		go func() {
			var last int64
			for range 650 {
				res, err := e.Txn(t.Context(), registry.Txn{Then: []registry.Op{{Put: fmt.Sprint("k", n)}}})
				if err != nil {
					break // too few revisions, which shows below
				}
				last = res.Revision
			}
			writes <- last
		}()
	}
	for range 16 {
		revision = max(revision, <-writes)
	}
	if warnings := strings.Join(e.Warnings(t.Context()), "\n"); !strings.Contains(warnings, "has never been compacted") {
		t.Errorf("warnings at revision %d: %s", revision, warnings)
	}
	if err := e.Compact(t.Context(), revision); err != nil {
		t.Fatal(err)
	}
	if warnings := strings.Join(e.Warnings(t.Context()), "\n"); strings.Contains(warnings, "compacted") {
		t.Errorf("warnings once it was compacted: %s", warnings)
	}
}
