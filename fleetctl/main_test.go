package fleetctl_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"fleet/agent"
	"fleet/api"
	"fleet/engine"
	"fleet/fleetctl"
	"fleet/registry"
	"fleet/schedule"
	"fleet/unit"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write what commands print into the stories")
	testscript.Main(m, map[string]func(){
		"fleetctl": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			status := fleetctl.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
			stop()
			os.Exit(status)
		},
	})
}

// TestStories runs testdata/*.txtar, each against a cluster of its own: the
// store in memory and hollow machines, all else as in a real one.
func TestStories(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			c, err := newCluster()
			if err != nil {
				return err
			}
			env.Defer(c.close)
			env.Values["cluster"] = c
			env.Setenv("FLEETCTL_ENDPOINT", "unix://"+c.socket)
			env.Setenv("GORACE", "atexit_sleep_ms=0") // else each command ends a second late
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"machine":   addMachine,
			"lose":      loseMachine,
			"return":    returnMachine,
			"ended":     untilEnded,
			"absent":    absentSince,
			"finished":  untilFinished,
			"foreign":   foreignUnit,
			"big":       bigFile,
			"raw":       rawFile,
			"pipe":      pipeFile,
			"untouched": untouched,
		},
		RequireExplicitExec: true,
		UpdateScripts:       flag.Lookup("update").Value.String() == "true",
	})
}

// cluster is a fleet without machines, to begin with.
type cluster struct {
	dir, socket string
	store       *registry.Memory
	registry    *registry.Registry
	ctx         context.Context
	stop        context.CancelFunc
	group       sync.WaitGroup
	machines    map[string]*agent.Hollow
}

const ttl = 10 * time.Second

func newCluster() (*cluster, error) {
	dir, err := os.MkdirTemp("", "fleet") // short: a socket's path has 107 bytes at most
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: dir, socket: filepath.Join(dir, "s"), store: registry.NewMemory(), machines: map[string]*agent.Hollow{}}
	c.registry = registry.New(c.store, "", slog.New(slog.DiscardHandler))
	c.ctx, c.stop = context.WithCancel(context.Background())
	l, err := net.Listen("unix", c.socket)
	if err != nil {
		return nil, err
	}
	e := engine.New(engine.Config{Self: "test", TTL: ttl, Store: c.registry, Elections: c.registry, Log: slog.New(slog.DiscardHandler)})
	c.group.Go(func() { e.Run(c.ctx) })
	server := api.NewServer(api.Config{Store: c.registry, Upkeep: c.registry, PageLimit: 3})
	c.group.Go(func() { _ = server.Serve(c.ctx, []net.Listener{l}) })
	return c, nil
}

func (c *cluster) close() {
	for id := range c.machines {
		c.store.Heal(id) // so that an agent that was cut off can end
	}
	c.stop()
	c.group.Wait()
	_ = os.RemoveAll(c.dir)
}

func of(ts *testscript.TestScript) *cluster { return ts.Value("cluster").(*cluster) }

// behave has hollow units do what their names say.
func behave(name string) agent.Behavior {
	switch {
	case strings.HasPrefix(name, "broken"):
		return agent.Behavior{StartFails: "the start job failed: exit status 203"}
	case strings.HasPrefix(name, "brief"):
		return agent.Behavior{RunsFor: time.Millisecond, ExitStatus: 3}
	case strings.HasPrefix(name, "slow"):
		return agent.Behavior{StartTakes: 1500 * time.Millisecond}
	case strings.HasPrefix(name, "lingers"):
		return agent.Behavior{StopTakes: 1500 * time.Millisecond}
	case strings.HasPrefix(name, "plods"):
		return agent.Behavior{StopTakes: 3 * time.Second} // longer than a drain's patience with what fits nowhere
	case strings.HasPrefix(name, "hangs"):
		return agent.Behavior{StartHangs: true}
	}
	return agent.Behavior{}
}

// addMachine: machine ID IP [KEY=VALUE...] joins a machine; it is there when
// the command returns. The keys .hostname, .memory (bytes), .cpus and .version
// are about the machine itself, those that fleetd would find are found.
func addMachine(ts *testscript.TestScript, _ bool, args []string) {
	c := of(ts)
	m := schedule.Machine{ID: args[0], PrimaryIP: args[1], Metadata: map[string]string{}, Found: map[string]string{}, TTL: int(ttl.Seconds())}
	for _, pair := range args[2:] {
		k, v, _ := strings.Cut(pair, "=")
		if err := describe(&m, k, v); err != nil {
			ts.Fatalf("%s: %v", pair, err)
		}
	}
	runner := agent.NewHollow(func(name string) agent.Behavior {
		if m.Metadata["broken"] != "" {
			return behave("broken")
		}
		return behave(name)
	})
	reg := registry.New(c.store.Client(m.ID), "", slog.New(slog.DiscardHandler))
	a, err := agent.New(agent.Config{
		Machine: m, BootID: "1", Dir: filepath.Join(c.dir, m.ID), TTL: ttl, Grace: time.Minute,
		Store: reg, Leases: reg, Runner: runner, Log: slog.New(slog.DiscardHandler),
	})
	ts.Check(err)
	c.machines[m.ID] = runner
	c.group.Go(func() { _ = a.Run(c.ctx) })
	c.until(ts, m.ID+" is there", func(p schedule.Change) bool { return p.Presence != nil && p.Presence.MachineID == m.ID })
}

func describe(m *schedule.Machine, key, value string) (err error) {
	switch key {
	case ".hostname":
		m.Hostname = value
	case ".version":
		m.Version = value
	case ".memory":
		m.Memory, err = strconv.ParseInt(value, 10, 64)
	case ".cpus":
		m.CPUs, err = strconv.Atoi(value)
	default:
		if strings.HasPrefix(key, schedule.FoundPrefix) {
			m.Found[key] = value
			return nil
		}
		m.Metadata[key] = value
	}
	return err
}

// until waits for a record in the store.
func (c *cluster) until(ts *testscript.TestScript, what string, fits func(schedule.Change) bool) {
	ctx, cancel := context.WithTimeout(c.ctx, 20*time.Second)
	defer cancel()
	found := errors.New("found")
	err := c.registry.Follow(ctx, func(u schedule.Update) error {
		for _, ch := range u.Changes {
			if !ch.Deleted && fits(ch) {
				return found
			}
		}
		return nil
	})
	if !errors.Is(err, found) {
		ts.Fatalf("never: %s: %v", what, err)
	}
}

// loseMachine: lose ID cuts a machine off and ends its lease.
func loseMachine(ts *testscript.TestScript, _ bool, args []string) {
	c := of(ts)
	c.store.Cut(args[0])
	key := "/fleet/alive/" + args[0]
	res, err := c.store.Range(c.ctx, registry.Range{Key: key})
	ts.Check(err)
	if len(res.Pairs) != 1 {
		ts.Fatalf("nothing at %s", key)
	}
	ts.Check(c.store.Leases().Revoke(c.ctx, res.Pairs[0].Lease))
}

// returnMachine: return ID has a machine that was lost reach the store again;
// it is there when the command returns.
func returnMachine(ts *testscript.TestScript, _ bool, args []string) {
	c := of(ts)
	c.store.Heal(args[0])
	c.until(ts, args[0]+" is back", func(p schedule.Change) bool { return p.Presence != nil && p.Presence.MachineID == args[0] })
}

// untilEnded: ended UNIT waits until a unit is reported to have ended.
func untilEnded(ts *testscript.TestScript, _ bool, args []string) {
	of(ts).until(ts, args[0]+" has ended", func(ch schedule.Change) bool {
		return ch.State != nil && ch.State.Name == args[0] && !ch.State.Active() && ch.State.Reached == unit.Launched
	})
}

// untilFinished: finished UNIT waits until a unit with RunOnce= is known to
// have finished.
func untilFinished(ts *testscript.TestScript, _ bool, args []string) {
	of(ts).until(ts, args[0]+" has finished", func(ch schedule.Change) bool {
		return ch.Placement != nil && ch.Placement.Unit == args[0] && ch.Placement.Finished
	})
}

// absentSince: absent ID TIME writes since when a machine has been lost, as the
// engine does once the machine's time is up.
func absentSince(ts *testscript.TestScript, _ bool, args []string) {
	since, err := time.Parse(time.RFC3339, args[1])
	ts.Check(err)
	record, err := json.Marshal(schedule.Absence{MachineID: args[0], Since: since})
	ts.Check(err)
	_, err = of(ts).store.Txn(of(ts).ctx, registry.Txn{Then: []registry.Op{{Put: "/fleet/absent/" + args[0], Value: record}}})
	ts.Check(err)
}

// foreignUnit: foreign ID UNIT gives a machine a unit that is not fleet's.
func foreignUnit(ts *testscript.TestScript, _ bool, args []string) {
	of(ts).machines[args[0]].Foreign(args[1])
}

// bigFile: big FILE writes a unit file of 2 MiB.
func bigFile(ts *testscript.TestScript, _ bool, args []string) {
	text := "[Service]\nExecStart=/bin/true\n" + strings.Repeat("# filler\n", 2<<20/9)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// rawFile: raw FILE TEXT writes text with Go's escapes.
func rawFile(ts *testscript.TestScript, _ bool, args []string) {
	r := strings.NewReplacer(`\n`, "\n", `\0`, "\x00", `\xff`, "\xff")
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(r.Replace(args[1])), 0o600))
}

// pipeFile: pipe FILE makes a named pipe that nobody writes to.
func pipeFile(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(syscall.Mkfifo(ts.MkAbs(args[0]), 0o600))
}

// untouched checks that the cluster knows no unit at all.
func untouched(ts *testscript.TestScript, _ bool, _ []string) {
	u, err := of(ts).registry.Snapshot(of(ts).ctx, 0)
	ts.Check(err)
	for _, c := range u.Changes {
		if c.Unit != nil {
			ts.Fatalf("%s was written", c.Unit.Name)
		}
	}
}
