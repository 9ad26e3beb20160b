package embed_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleet/registry"
	"fleet/registry/embed"
	"fleet/registry/kvtest"
)

func start(t *testing.T, c embed.Config) *embed.Server {
	t.Helper()
	s, err := embed.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// ready waits until a server is part of a cluster.
func ready(t *testing.T, s *embed.Server) {
	t.Helper()
	select {
	case <-s.Ready():
	case err := <-s.Err():
		t.Fatal(err)
	case <-time.After(time.Minute):
		t.Fatal("the server does not become ready")
	}
}

func dial(t *testing.T, endpoints ...string) *registry.Etcd {
	t.Helper()
	kv, err := registry.DialEtcd(registry.EtcdConfig{Endpoints: endpoints})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kv.Close() })
	return kv
}

// put writes a key, again until an answer is heard.
func put(t *testing.T, kv registry.KV, key, value string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		_, err := kv.Txn(ctx, registry.Txn{Then: []registry.Op{{Put: key, Value: []byte(value)}}})
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("put %s: %v", key, err)
		}
	}
}

func get(t *testing.T, kv registry.KV, key string) (string, registry.StoreID) {
	t.Helper()
	res, err := kv.Range(t.Context(), registry.Range{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Pairs) == 0 {
		return "", res.Store
	}
	return string(res.Pairs[0].Value), res.Store
}

func TestEmbeddedConforms(t *testing.T) {
	s := start(t, embed.Config{DataDir: t.TempDir()})
	ready(t, s)
	kv := dial(t, s.Endpoints()...)
	kvtest.Run(t, func(*testing.T) registry.KV { return kv })
	if warnings := kv.Warnings(t.Context()); len(warnings) != 0 {
		t.Errorf("warnings about our own store: %q", warnings)
	}
}

func TestRestartKeepsData(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "etcd")
	s := start(t, embed.Config{DataDir: dir})
	ready(t, s)
	kv := dial(t, s.Endpoints()...)
	put(t, kv, "k", "v")
	_, before := get(t, kv, "k")
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data directory: %v, %v", info, err)
	}
	s.Close()
	s.Close() // harmless
	select {
	case err := <-s.Err():
		t.Errorf("an orderly end is reported as %v", err)
	default:
	}

	s = start(t, embed.Config{DataDir: dir, Known: true})
	ready(t, s)
	value, after := get(t, dial(t, s.Endpoints()...), "k")
	if value != "v" || after.ClusterID != before.ClusterID || after.RaftTerm < before.RaftTerm {
		t.Errorf("after the restart k = %q, store %+v, before %+v", value, after, before)
	}
}

func TestEachStoreOfOneIsAnother(t *testing.T) {
	ids := make(map[uint64]bool)
	for range 2 {
		s := start(t, embed.Config{DataDir: t.TempDir()})
		ready(t, s)
		_, id := get(t, dial(t, s.Endpoints()...), "k")
		ids[id.ClusterID] = true
	}
	if len(ids) != 2 {
		t.Error("two stores have the same cluster ID")
	}
}

func TestKnownStoreIsNeverCreatedAnew(t *testing.T) {
	dir := t.TempDir()
	_, err := embed.Start(t.Context(), embed.Config{DataDir: dir, Known: true})
	if !errors.Is(err, embed.ErrStoreMissing) {
		t.Fatalf("an empty directory where a store was known: %v", err)
	}
	for _, want := range []string{dir, "restore a backup", "member add"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("the refused start left %v, %v", files, err)
	}
}

func TestRefusedConfigurations(t *testing.T) {
	for _, tt := range []struct {
		want string
		c    embed.Config
	}{
		{"a store of one machine is for that machine alone", embed.Config{ListenClient: []string{"http://0.0.0.0:2379"}}},
		{"a store of one machine has none", embed.Config{ListenPeer: []string{"http://127.0.0.1:2380"}}},
		{`this member, "c", is not among the initial cluster's: a, b`, embed.Config{
			Name: "c", InitialCluster: map[string]string{"a": "http://127.0.0.1:1", "b": "http://127.0.0.1:2"},
		}},
		{"has no port", embed.Config{ListenClient: []string{"http://127.0.0.1"}}},
		{"is not a URL of scheme", embed.Config{ListenClient: []string{"127.0.0.1:2379"}}},
	} {
		tt.c.DataDir = t.TempDir()
		if _, err := embed.Start(t.Context(), tt.c); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := embed.Start(ctx, embed.Config{DataDir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("start with a ctx that has ended: %v", err)
	}
}

// freeURLs returns loopback addresses that nothing listens on.
func freeURLs(t *testing.T, n int) []string {
	t.Helper()
	var urls []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		urls = append(urls, "http://"+l.Addr().String())
	}
	return urls
}

func TestClusterOfThree(t *testing.T) {
	const n = 3
	clients, peers := freeURLs(t, n), freeURLs(t, n)
	members := make(map[string]string)
	configs := make([]embed.Config, n)
	for i := range n {
		name := fmt.Sprint("m", i)
		members[name] = peers[i]
		configs[i] = embed.Config{
			DataDir: t.TempDir(), Name: name, InitialCluster: members, ListenClient: clients[i : i+1], Token: t.Name(),
		}
	}
	servers := []*embed.Server{start(t, configs[0])}
	select {
	case <-servers[0].Ready():
		t.Error("one member of three is ready")
	default:
	}
	for _, c := range configs[1:] {
		servers = append(servers, start(t, c))
	}
	for _, s := range servers {
		ready(t, s)
	}
	kv := dial(t, clients...)
	put(t, kv, "k", "before")
	_, before := get(t, kv, "k")

	servers[1].Close()
	put(t, kv, "k", "while one is gone")
	configs[1].Known = true
	servers[1] = start(t, configs[1])
	ready(t, servers[1])
	value, after := get(t, dial(t, clients[1]), "k")
	if value != "while one is gone" || after.ClusterID != before.ClusterID {
		t.Errorf("the returned member says k = %q, store %+v, before %+v", value, after, before)
	}
}

func TestCloseWhileWaitingForPeers(t *testing.T) {
	peers := freeURLs(t, 2)
	s := start(t, embed.Config{
		DataDir: t.TempDir(), Name: "a", InitialCluster: map[string]string{"a": peers[0], "b": peers[1]},
	})
	closed := make(chan struct{})
	go func() {
		s.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(time.Minute):
		t.Fatal("Close hangs")
	}
}
