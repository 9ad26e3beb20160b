package functional

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"fleet/agent"
	"fleet/engine"
	"fleet/registry"
	"fleet/schedule"
	"fleet/unit"
)

const simTTL = 10 * time.Second

// simulation is a cluster in virtual time. Only the store and the runners are
// not what a real cluster has.
type simulation struct {
	t        *testing.T
	store    *registry.Memory
	registry *registry.Registry // an onlooker's
	machines []*simMachine
	behave   func(unit string) agent.Behavior // of machines added from now on
	policy   schedule.Policy                  // of engines started from now on
	// equipment is what machines have that are added from now on: capacity and
	// metadata.
	equipment schedule.Machine
	log       *slog.Logger
}

// simMachine is one machine: its runner and its disk outlive its fleetd.
type simMachine struct {
	s      *simulation
	id     string
	disk   string
	boot   int
	has    schedule.Machine // its equipment
	runner *agent.Hollow
	starts int // of fleetd, each with a connection to the store of its own
	stop   context.CancelFunc
	done   sync.WaitGroup
	agent  *agent.Agent
}

// client names the connection of the machine's present fleetd.
func (m *simMachine) client() string { return fmt.Sprint(m.id, "/", m.starts) }

// bounded is a store whose calls end after a while, as those of etcd's do.
type bounded struct{ registry.KV }

const callTimeout = 5 * time.Second

func (b bounded) Range(ctx context.Context, r registry.Range) (registry.RangeResult, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return b.KV.Range(ctx, r)
}

func (b bounded) Txn(ctx context.Context, t registry.Txn) (registry.TxnResult, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return b.KV.Txn(ctx, t)
}

// simulate runs body in a bubble of virtual time with n machines up.
func simulate(t *testing.T, n int, body func(s *simulation)) {
	dir := ramDir(t)
	synctest.Test(t, func(t *testing.T) {
		s := &simulation{t: t, store: registry.NewMemory(), log: slog.New(slog.DiscardHandler)}
		if testing.Verbose() {
			s.log = slog.New(slog.NewTextHandler(t.Output(), nil))
		}
		s.registry = registry.New(s.store.Client("onlooker"), "", s.log)
		for range n {
			s.add(dir)
		}
		defer func() {
			for _, m := range s.machines {
				m.stopFleetd()
				m.done.Wait() // for those that were killed too
			}
			synctest.Wait()
		}()
		body(s)
	})
}

// ramDir is a directory in memory where the machine has one, since the records
// of hundreds of machines are written durably. What a run that was killed has
// left there is removed.
func ramDir(t *testing.T) string {
	const ram, name = "/dev/shm", "fleet-simulation-"
	left, _ := filepath.Glob(filepath.Join(ram, name+"*"))
	for _, dir := range left {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), name), "-")
		if _, err := os.Stat(filepath.Join("/proc", pid)); errors.Is(err, fs.ErrNotExist) {
			os.RemoveAll(dir)
		}
	}
	dir, err := os.MkdirTemp(ram, fmt.Sprintf("%s%d-", name, os.Getpid()))
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (s *simulation) add(dir string) *simMachine {
	i := len(s.machines) + 1
	m := &simMachine{
		s: s, id: fmt.Sprintf("%032x", i), disk: filepath.Join(dir, fmt.Sprint(i)),
		boot: 1, has: s.equipment, runner: agent.NewHollow(s.behave),
	}
	s.machines = append(s.machines, m)
	m.startFleetd()
	return m
}

// startFleetd starts a fleetd on the machine, as wired in cmd/fleetd.
func (m *simMachine) startFleetd() {
	ctx, cancel := context.WithCancel(context.Background())
	m.stop = cancel
	m.starts++
	reg := registry.New(bounded{m.s.store.Client(m.client())}, "", m.s.log)
	log := m.s.log.With("machine", m.id[30:])
	is := m.has
	is.ID, is.PrimaryIP, is.TTL = m.id, "10.0.0.1", int(simTTL.Seconds())
	a, err := agent.New(agent.Config{
		Machine: is,
		BootID:  fmt.Sprint("boot", m.boot),
		Dir:     m.disk, TTL: simTTL, Grace: time.Minute,
		Store: reg, Leases: reg, Runner: m.runner, Log: log,
	})
	if err != nil {
		m.s.t.Fatal(err)
	}
	m.agent = a
	e := engine.New(engine.Config{Self: m.id, TTL: simTTL, Store: reg, Elections: reg, Policy: m.s.policy, Fit: a.Member, Log: log})
	m.done.Go(func() { _ = a.Run(ctx) })
	m.done.Go(func() { e.Run(ctx) })
}

// stopFleetd stops fleetd in order; the machine's units run on.
func (m *simMachine) stopFleetd() {
	if m.stop != nil {
		m.stop()
		m.done.Wait()
		m.stop = nil
	}
}

// killFleetd ends fleetd at once: nothing that it would still write reaches the
// store. The machine's units run on.
func (m *simMachine) killFleetd() {
	m.s.store.Cut(m.client())
	m.stop()
	m.stop = nil
	synctest.Wait()
}

// cutPower takes the machine down at once.
func (m *simMachine) cutPower() {
	m.killFleetd()
	m.runner.Reboot()
	m.boot++
}

// powerOn boots the machine again, with the disk it had.
func (m *simMachine) powerOn() { m.startFleetd() }

// put submits a unit with a target state.
func (s *simulation) put(name, text string, target unit.TargetState) {
	s.t.Helper()
	f, err := unit.Parse([]byte(text))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := unit.Check(name, f); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.registry.PutUnit(context.Background(), name, f, target, nil); err != nil {
		s.t.Fatal(err)
	}
}

func (s *simulation) target(name string, target unit.TargetState) {
	s.t.Helper()
	if _, err := s.registry.PutUnit(context.Background(), name, nil, target, nil); err != nil {
		s.t.Fatal(err)
	}
}

// running returns which machines run the unit, by their index.
func (s *simulation) running(name string) []int {
	var on []int
	for i, m := range s.machines {
		if slices.Contains(m.runner.Running(), name) {
			on = append(on, i)
		}
	}
	return on
}

// cluster is the model of what the store holds now.
func (s *simulation) cluster() *schedule.Cluster {
	s.t.Helper()
	u, err := s.registry.Snapshot(context.Background(), 0)
	if err != nil {
		s.t.Fatal(err)
	}
	c := schedule.NewCluster()
	c.Apply(u)
	return c
}

// within lets virtual time pass until ok holds and returns how long it took;
// not within d is a failure.
func (s *simulation) within(d time.Duration, what string, ok func() bool) time.Duration {
	s.t.Helper()
	began := time.Now()
	for {
		synctest.Wait()
		if ok() {
			return time.Since(began)
		}
		if time.Since(began) >= d {
			s.t.Fatalf("not within %v: %s", d, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// everyOnce reports whether each of the named units runs on exactly one machine.
func (s *simulation) everyOnce(names []string) bool {
	count := map[string]int{}
	for _, m := range s.machines {
		for _, name := range m.runner.Running() {
			count[name]++
		}
	}
	for _, n := range names {
		if count[n] != 1 {
			return false
		}
	}
	return true
}

// stops counts the ends of runs that each machine has seen so far.
func (s *simulation) stops() int {
	n := 0
	for _, m := range s.machines {
		for _, e := range m.runner.History() {
			if !e.Running {
				n++
			}
		}
	}
	return n
}

func (s *simulation) starts() int {
	n := 0
	for _, m := range s.machines {
		for _, e := range m.runner.History() {
			if e.Running {
				n++
			}
		}
	}
	return n
}

const service = "[Service]\nExecStart=/bin/sleep infinity\n"

func (s *simulation) startMany(n int) []string {
	var names []string
	for i := range n {
		name := fmt.Sprintf("u%d.service", i)
		s.put(name, service, unit.Launched)
		names = append(names, name)
	}
	return names
}

// leader is the machine whose engine leads.
func (s *simulation) leader() *simMachine {
	s.t.Helper()
	res, err := s.store.Range(context.Background(), registry.Range{Key: "/fleet/leader"})
	if err != nil || len(res.Pairs) != 1 {
		s.t.Fatalf("no leader: %v %v", res.Pairs, err)
	}
	for _, m := range s.machines {
		if m.id == string(res.Pairs[0].Value) {
			return m
		}
	}
	s.t.Fatalf("unknown leader %s", res.Pairs[0].Value)
	return nil
}

func (s *simulation) liveMachines() int {
	c, n := s.cluster(), 0
	for _, m := range s.machines {
		if _, ok := c.Presence(m.id); ok {
			n++
		}
	}
	return n
}

// reached is what the unit's machine reports to have brought it to.
func (s *simulation) reached(name string) unit.TargetState {
	c := s.cluster()
	p := c.Placements(name)
	st := c.States(name)
	if len(p) != 1 || len(st) != 1 || st[0].Generation != p[0].Generation {
		return unit.Inactive
	}
	return st[0].Reached
}

// pass lets virtual time pass.
func (s *simulation) pass(d time.Duration) { time.Sleep(d) }
