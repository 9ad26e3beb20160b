//go:build machine

package functional

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"fleet/functional/sandbox"
)

// process is one run of a unit, as the machine's own systemd knows it.
type process struct{ pid, invocation string }

// seen are the runs of units, by machine and unit: "m1/web@1.service".
type seen map[string]process

// active asks every running machine's systemd which of the units run there.
func (c *cluster) active(t *testing.T, units ...string) seen {
	t.Helper()
	found := seen{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, m := range c.running() {
		wg.Go(func() {
			out, err := m.Output(c.ctx, append([]string{"systemctl", "show", "--property=Id,ActiveState,MainPID,InvocationID"}, units...)...)
			if err != nil {
				return // it has gone off meanwhile
			}
			mu.Lock()
			defer mu.Unlock()
			for unit, r := range parseShow(out) {
				found[m.Name+"/"+unit] = r
			}
		})
	}
	wg.Wait()
	return found
}

// parseShow reads the units that are not at rest from systemctl show's output.
func parseShow(out string) map[string]process {
	runs := map[string]process{}
	for block := range strings.SplitSeq(out, "\n\n") {
		p := map[string]string{}
		for line := range strings.Lines(block) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
				p[key] = value
			}
		}
		if s := p["ActiveState"]; s != "" && s != "inactive" && s != "failed" {
			runs[p["Id"]] = process{p["MainPID"], p["InvocationID"]}
		}
	}
	return runs
}

// starting reports whether somewhere the unit has no main process yet.
func (s seen) starting(unit string) bool {
	for place, p := range s {
		if _, name, _ := strings.Cut(place, "/"); name == unit && p.pid == "0" {
			return true
		}
	}
	return false
}

// places are the machines on which the unit runs.
func (s seen) places(unit string) []string {
	var names []string
	for place := range s {
		if m, u, _ := strings.Cut(place, "/"); u == unit {
			names = append(names, m)
		}
	}
	slices.Sort(names)
	return names
}

// once says whether each of the units runs on exactly one machine, its main
// process there.
func (s seen) once(units ...string) error {
	for _, u := range units {
		if on := s.places(u); len(on) != 1 {
			return fmt.Errorf("%s runs on %d machines: %q", u, len(on), on)
		} else if s.starting(u) {
			return fmt.Errorf("%s is still starting on %s", u, on[0])
		}
	}
	return nil
}

// awaitOnce waits until each of the units runs on exactly one machine. That a
// unit runs on two is no state to wait through.
func (c *cluster) awaitOnce(t *testing.T, within time.Duration, units ...string) seen {
	t.Helper()
	var s seen
	eventually(t, within, func() error {
		s = c.active(t, units...)
		for _, u := range units {
			if on := s.places(u); len(on) > 1 {
				t.Fatalf("%s runs on %q at once", u, on)
			}
		}
		return s.once(units...)
	})
	return s
}

// unchanged fails the test unless the same processes run in both.
func unchanged(t *testing.T, before, after seen) {
	t.Helper()
	if !maps.Equal(before, after) {
		t.Errorf("units were touched:\nbefore %v\nafter  %v", before, after)
	}
}

// where is the one machine on which the unit runs.
func (c *cluster) where(t *testing.T, unit string) *sandbox.Machine {
	t.Helper()
	s := c.active(t, unit)
	if err := s.once(unit); err != nil {
		t.Fatal(err)
	}
	m, err := c.Machine(s.places(unit)[0])
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// store runs fn with a connection to the store.
func (c *cluster) store(t *testing.T, fn func(*clientv3.Client) error) {
	t.Helper()
	var endpoints []string
	for _, url := range c.Endpoints() {
		for _, m := range c.running() {
			if c.Store() != nil || strings.Contains(url, "//"+m.IP.String()+":") {
				endpoints = append(endpoints, url)
			}
		}
	}
	e, err := clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: soon, Context: c.ctx, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := fn(e); err != nil {
		t.Fatal(err)
	}
}

// keys lists the store's keys below some of fleet's directories.
func (c *cluster) keys(t *testing.T, dirs ...string) []string {
	t.Helper()
	var keys []string
	c.store(t, func(e *clientv3.Client) error {
		for _, dir := range dirs {
			r, err := e.Get(c.ctx, "/fleet/"+dir, clientv3.WithPrefix(), clientv3.WithKeysOnly())
			if err != nil {
				return err
			}
			for _, kv := range r.Kvs {
				keys = append(keys, string(kv.Key))
			}
		}
		return nil
	})
	return keys
}

// leader is the machine whose engine leads.
func (c *cluster) leader(t *testing.T) *sandbox.Machine {
	t.Helper()
	var id string
	eventually(t, soon, func() error {
		c.store(t, func(e *clientv3.Client) error {
			r, err := e.Get(c.ctx, "/fleet/leader")
			if err == nil && len(r.Kvs) == 1 {
				id = string(r.Kvs[0].Value)
			}
			return err
		})
		if id == "" {
			return fmt.Errorf("nobody leads")
		}
		return nil
	})
	return c.byID(t, id)
}

// storeLeader is the name of the machine whose member leads the embedded store.
func (c *cluster) storeLeader(t *testing.T) string {
	t.Helper()
	name := ""
	c.store(t, func(e *clientv3.Client) error {
		st, err := e.Status(c.ctx, e.Endpoints()[0])
		if err != nil {
			return err
		}
		members, err := e.MemberList(c.ctx)
		if err != nil {
			return err
		}
		for _, m := range members.Members {
			if m.ID == st.Leader {
				name = m.Name
			}
		}
		return nil
	})
	return name
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
