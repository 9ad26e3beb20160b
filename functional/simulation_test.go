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
	"sync/atomic"
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
	log      *slog.Logger
}

// simMachine is one machine: its runner and its disk outlive its fleetd.
type simMachine struct {
	s      *simulation
	id     string
	disk   string
	boot   int
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
		boot: 1, runner: agent.NewHollow(s.behave),
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
	a, err := agent.New(agent.Config{
		Machine: schedule.Machine{ID: m.id, PrimaryIP: "10.0.0.1", TTL: int(simTTL.Seconds())},
		BootID:  fmt.Sprint("boot", m.boot),
		Dir:     m.disk, TTL: simTTL, Grace: time.Minute,
		Store: reg, Leases: reg, Runner: m.runner, Log: log,
	})
	if err != nil {
		m.s.t.Fatal(err)
	}
	m.agent = a
	e := engine.New(engine.Config{Self: m.id, TTL: simTTL, Store: reg, Elections: reg, Fit: a.Member, Log: log})
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

func TestUnitsSpreadOverHundredsOfMachines(t *testing.T) {
	simulate(t, 200, func(s *simulation) {
		names := s.startMany(400)
		s.within(30*time.Second, "every unit runs once", func() bool { return s.everyOnce(names) })
		for i, m := range s.machines {
			if n := len(m.runner.Running()); n != 2 {
				t.Errorf("machine %d runs %d units, want 2", i, n)
			}
		}
		s.put("everywhere.service", service+"[X-Fleet]\nGlobal=true\n", unit.Launched)
		s.within(10*time.Second, "the global unit runs everywhere", func() bool {
			return len(s.running("everywhere.service")) == 200
		})
	})
}

func TestPowerLossMovesUnits(t *testing.T) {
	simulate(t, 200, func(s *simulation) {
		names := s.startMany(400)
		s.within(5*time.Second, "every unit runs", func() bool { return s.everyOnce(names) })
		time.Sleep(simTTL) // eviction is held for a TTL after the engine's first contact
		lost := s.machines[2]
		moved := lost.runner.Running()
		lost.cutPower()
		took := s.within(simTTL+2*time.Second, "the lost machine's units run elsewhere", func() bool { return s.everyOnce(names) })
		t.Logf("%d units ran elsewhere after %v", len(moved), took)

		// What comes back finds its units replaced and lets go of them.
		lost.powerOn()
		s.within(5*time.Second, "the returned machine has released what was replaced", func() bool {
			return len(s.cluster().PlacementsOn(lost.id)) == 0
		})
		if n := len(lost.runner.Running()); n != 0 {
			t.Errorf("the returned machine started %d units that run elsewhere", n)
		}
		if !s.everyOnce(names) {
			t.Error("not every unit runs once after the return")
		}
	})
}

func TestLeadersMachineLostIsNoWorse(t *testing.T) {
	simulate(t, 100, func(s *simulation) {
		names := s.startMany(200)
		s.within(5*time.Second, "every unit runs", func() bool { return s.everyOnce(names) })
		time.Sleep(2 * simTTL)
		leader := s.leader()
		leader.cutPower()
		s.within(simTTL+2*time.Second, "the leader's units run elsewhere", func() bool { return s.everyOnce(names) })
		if s.leader() == leader {
			t.Error("the dead machine still leads")
		}
	})
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

func TestRestartOfFleetdTouchesNothing(t *testing.T) {
	simulate(t, 3, func(s *simulation) {
		names := s.startMany(9)
		s.within(5*time.Second, "every unit runs", func() bool { return s.everyOnce(names) })
		starts := s.starts()
		for _, m := range s.machines {
			m.stopFleetd()
			time.Sleep(30 * time.Second) // within restart_grace, past the TTL
			m.startFleetd()
			time.Sleep(2 * simTTL)
		}
		if n := s.stops(); n != 0 {
			t.Errorf("%d units were stopped", n)
		}
		if n := s.starts() - starts; n != 0 {
			t.Errorf("%d units were started again", n)
		}
		if live := s.liveMachines(); live != 3 {
			t.Errorf("%d machines present, want 3", live)
		}
		// And it still does its work.
		s.target(names[0], unit.Loaded)
		s.within(5*time.Second, "the unit stops on demand", func() bool { return len(s.running(names[0])) == 0 })
	})
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

func TestStoreTroubleStopsNothing(t *testing.T) {
	for _, trouble := range []struct {
		name   string
		do     func(s *simulation)
		frozen bool
	}{
		{"stalls for a minute", func(s *simulation) {
			s.store.Stall()
			time.Sleep(time.Minute)
			s.store.Resume()
		}, false},
		{"loses its leader", func(s *simulation) { s.store.LoseLeader() }, false},
		{"is compacted under the watches", func(s *simulation) {
			res, _ := s.store.Range(context.Background(), registry.Range{Key: "/fleet/cluster"})
			_ = s.store.Compact(context.Background(), res.Revision)
		}, false},
		{"is wiped", func(s *simulation) {
			s.store.Restore(registry.NewMemory().Backup(), 0, true)
			s.store.LoseLeader()
		}, true},
	} {
		t.Run(trouble.name, func(t *testing.T) {
			simulate(t, 4, func(s *simulation) {
				names := s.startMany(12)
				s.within(5*time.Second, "every unit runs", func() bool { return s.everyOnce(names) })
				time.Sleep(2 * simTTL)
				starts := s.starts()
				trouble.do(s)
				time.Sleep(5 * simTTL)
				if n := s.stops(); n != 0 {
					t.Errorf("%d units were stopped", n)
				}
				if n := s.starts() - starts; n != 0 {
					t.Errorf("%d units were started again", n)
				}
				for _, m := range s.machines {
					if got := strings.HasPrefix(m.agent.Problem(), "frozen"); got != trouble.frozen {
						t.Errorf("frozen %v, want %v: %q", got, trouble.frozen, m.agent.Problem())
					}
				}
				if trouble.frozen {
					res, err := s.store.Range(context.Background(), registry.Range{Key: "/fleet/leader"})
					if err != nil || len(res.Pairs) != 0 {
						t.Errorf("somebody leads in a store that nobody trusts: %v, %v", res.Pairs, err)
					}
					return
				}
				s.put("later.service", service, unit.Launched)
				s.within(5*time.Second, "the cluster works on", func() bool { return len(s.running("later.service")) == 1 })
			})
		})
	}
}

func TestOlderStoreFreezesAndThaws(t *testing.T) {
	simulate(t, 3, func(s *simulation) {
		names := s.startMany(3)
		s.within(5*time.Second, "every unit runs", func() bool { return s.everyOnce(names) })
		old := s.store.Backup()
		s.put("young.service", service, unit.Launched)
		s.within(5*time.Second, "the young unit runs", func() bool { return len(s.running("young.service")) == 1 })
		now := s.store.Backup()
		at := s.machines[s.running("young.service")[0]]

		s.store.Restore(old, 10000, false)
		time.Sleep(3 * simTTL)
		if len(s.running("young.service")) != 1 || !s.everyOnce(names) {
			t.Error("the older store stopped or moved a unit")
		}
		if !strings.Contains(at.agent.Problem(), "lacks the placement") {
			t.Errorf("the machine whose unit the store lacks says %q", at.agent.Problem())
		}
		s.store.Restore(now, 20000, false)
		s.within(time.Minute, "the right store thaws the machine", func() bool { return at.agent.Problem() == "" })
		if n := s.stops(); n != 0 {
			t.Errorf("%d units were stopped", n)
		}
	})
}

func TestReleaseComesBeforeTheNextPlace(t *testing.T) {
	simulate(t, 2, func(s *simulation) {
		first := s.machines[0]
		s.put("a.service", service+"[X-Fleet]\nMachineID="+first.id+"\n", unit.Launched)
		s.within(5*time.Second, "it runs on the first machine", func() bool { return slices.Equal(s.running("a.service"), []int{0}) })
		s.put("a.service", service+"[X-Fleet]\nMachineID="+s.machines[1].id+"\n", unit.Launched)
		s.within(5*time.Second, "it runs on the second machine alone", func() bool {
			on := s.running("a.service")
			if len(on) > 1 {
				t.Fatal("it runs twice")
			}
			return slices.Equal(on, []int{1})
		})
	})
}

func TestVerbs(t *testing.T) {
	simulate(t, 3, func(s *simulation) {
		ctx := context.Background()
		s.put("a.service", service, unit.Inactive)
		time.Sleep(time.Second)
		if n := len(s.cluster().Placements("a.service")); n != 0 {
			t.Fatalf("an inactive unit has %d placements", n)
		}
		s.target("a.service", unit.Loaded)
		s.within(2*time.Second, "it is loaded", func() bool { return s.reached("a.service") == unit.Loaded })
		if len(s.running("a.service")) != 0 {
			t.Error("a loaded unit runs")
		}
		s.target("a.service", unit.Launched)
		s.within(2*time.Second, "it runs", func() bool { return s.reached("a.service") == unit.Launched })
		s.target("a.service", unit.Loaded)
		s.within(2*time.Second, "it has stopped and is loaded", func() bool {
			return s.reached("a.service") == unit.Loaded && len(s.running("a.service")) == 0
		})
		s.target("a.service", unit.Launched)
		s.within(2*time.Second, "it runs again", func() bool { return len(s.running("a.service")) == 1 })
		if err := s.registry.DeleteUnit(ctx, "a.service"); err != nil {
			t.Fatal(err)
		}
		s.within(2*time.Second, "nothing of it is left", func() bool {
			c := s.cluster()
			return len(s.running("a.service")) == 0 && len(c.Placements("a.service")) == 0 && len(c.States("a.service")) == 0
		})
	})
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

// TestTriggersWaitForWhatTheyTrigger has a machine that, like systemd, refuses
// to start a timer whose service it doesn't have.
func TestTriggersWaitForWhatTheyTrigger(t *testing.T) {
	simulate(t, 1, func(s *simulation) {
		m := s.machines[0]
		m.stopFleetd()
		var hollow *agent.Hollow
		var there atomic.Bool
		hollow = agent.NewHollow(func(name string) agent.Behavior {
			if name == "job.timer" && !there.Load() {
				return agent.Behavior{StartFails: "unit job.service to trigger not loaded"}
			}
			return agent.Behavior{}
		})
		m.runner = hollow
		m.startFleetd()
		s.put("job.timer", "[Timer]\nOnCalendar=hourly\n", unit.Launched)
		s.within(10*time.Second, "the refusal is shown", func() bool {
			st := s.cluster().States("job.timer")
			return len(st) == 1 && strings.Contains(st[0].Failure, "not loaded")
		})
		time.Sleep(5 * time.Minute) // the tries are a minute apart by now
		there.Store(true)
		s.put("job.service", service, unit.Loaded)
		s.within(2*time.Second, "the timer runs once its service is there", func() bool {
			return len(s.running("job.timer")) == 1
		})
	})
}
