package functional

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fleet/agent"
	"fleet/schedule"
	"fleet/unit"
)

var (
	faultSeed = flag.Uint64("seed", 0, "run TestFaults and TestMixedFaults with this seed alone")
	faultRuns = flag.Int("faults", 80, "how many seeds TestFaults and TestMixedFaults run")
	faultFrom = flag.Uint64("from", 1, "the first of them")
)

const faultSteps = 60

// TestFaults lets chance act on clusters, as users, as hardware and as the
// network do, and has a witness look for what the promises rule out. When all
// is well again, everything has to be in its place.
func TestFaults(t *testing.T) {
	first, n := *faultFrom, uint64(*faultRuns)
	if *faultSeed != 0 {
		first, n = *faultSeed, 1
	}
	for seed := first; seed < first+n; seed++ {
		if !t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { runFaults(t, seed) }) {
			t.Logf("replay with: go test ./functional -run TestFaults -v -seed %d", seed)
		}
	}
}

func runFaults(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	simulate(t, 0, func(s *simulation) {
		s.behave = func(name string) agent.Behavior {
			if strings.HasPrefix(name, "slow") {
				return agent.Behavior{StartTakes: 3 * time.Second, StopTakes: 2 * time.Second}
			}
			return agent.Behavior{}
		}
		dir := ramDir(t)
		for range 3 + rng.IntN(4) {
			s.add(dir)
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		d := &driver{simulation: s, rng: rng, seed: seed, began: time.Now(), witness: watchOver(ctx, s), off: map[*simMachine]string{}, drained: map[*simMachine]bool{}}
		d.submitAll()
		for range faultSteps {
			d.step()
			d.pass(time.Duration(50+d.rng.IntN(3000)) * time.Millisecond)
		}
		d.heal()
		d.converge()
		d.calm()
	})
}

// driver is chance, with a memory.
type driver struct {
	*simulation
	*witness
	rng     *rand.Rand
	seed    uint64
	began   time.Time
	history []string
	off     map[*simMachine]string // machines in trouble: "power", "fleetd", "cut"
	drained map[*simMachine]bool
	stalled bool
}

var faultUnits = []string{
	"p0.service", "p1.service", "p2.service", "slow.service",
	"main.service", "side.service", "slowmain.service", "slowside.service",
	"c@1.service", "c@2.service", "c@3.service", "g.service",
}

func (d *driver) text(name string, version int) (string, wish) {
	text := fmt.Sprintf("[Unit]\nDescription=version %d\n%s[X-Fleet]\n", version, service)
	var w wish
	switch {
	case strings.HasSuffix(name, "side.service"):
		w.bound = strings.Replace(name, "side", "main", 1)
		text += "MachineOf=" + w.bound + "\n"
	case strings.HasSuffix(name, "main.service"):
		w.bound = strings.Replace(name, "main", "side", 1)
	case name == "p0.service":
		w.choosy = true
		if version%2 == 1 {
			text += "MachineID=" + d.any().id + "\n"
		}
	case name == "p1.service":
		if version%2 == 1 {
			text += "Replaces=p2.service\n"
		}
	case name == "p2.service":
		w.choosy = true
	case name[0] == 'c':
		w.hostile = true
		text += "Conflicts=c@*.service\n"
	case name[0] == 'g':
		w.global = true
		text += "Global=true\n"
	}
	return text, w
}

func (d *driver) any() *simMachine { return d.machines[d.rng.IntN(len(d.machines))] }

func (d *driver) log(format string, args ...any) {
	d.history = append(d.history, fmt.Sprintf("%8.3fs ", time.Since(d.began).Seconds())+fmt.Sprintf(format, args...))
	if testing.Verbose() {
		d.s().log.Info("CHANCE", slog.String("does", d.history[len(d.history)-1]))
	}
}

func (d *driver) s() *simulation { return d.simulation }

// pass lets time pass and looks for what is wrong.
func (d *driver) pass(t time.Duration) {
	time.Sleep(t)
	synctest.Wait()
	d.check()
}

func (d *driver) check() {
	d.t.Helper()
	if wrong := d.wrongs(); wrong != nil {
		d.fail("%s", strings.Join(wrong, "\n"))
	}
}

func (d *driver) fail(format string, args ...any) {
	d.t.Helper()
	from := max(0, len(d.history)-25)
	d.t.Fatalf("%s\nseed %d, %.3fs after the start; what chance did last:\n%s", fmt.Sprintf(format, args...), d.seed,
		time.Since(d.began).Seconds(), strings.Join(d.history[from:], "\n"))
}

func (d *driver) submitAll() {
	for _, name := range faultUnits {
		d.submit(name, 0, unit.Launched)
	}
	d.pass(2 * simTTL)
}

func (d *driver) submit(name string, version int, target unit.TargetState) {
	text, is := d.text(name, version)
	f, err := unit.Parse([]byte(text))
	if err != nil {
		d.t.Fatal(err)
	}
	d.wish(name, func(w *wish) {
		if is.global || w.hash != f.Hash || target != unit.Launched {
			w.asked = append(w.asked, time.Now())
		}
		asked := w.asked
		*w = is
		w.target, w.hash, w.asked = target, f.Hash, asked
	})
	d.log("put %s version %d, %s", name, version, target)
	d.did(d.registry.PutUnit(context.Background(), name, f, target, nil))
}

func (d *driver) did(_ any, err error) {
	if err != nil && !errors.Is(err, unit.ErrNotFound) && !errors.Is(err, schedule.ErrUnknownMachine) {
		d.t.Fatal(err)
	}
}

// wish changes what the user wants, before the store hears of it.
func (d *driver) wish(name string, change func(*wish)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.wishes[name]
	if w == nil {
		w = &wish{}
		d.wishes[name] = w
	}
	change(w)
}

func (d *driver) step() {
	if d.rng.IntN(2) == 0 {
		d.user()
		return
	}
	d.fault()
}

// user does what users do.
func (d *driver) user() {
	if d.stalled {
		return
	}
	name := faultUnits[d.rng.IntN(len(faultUnits))]
	switch d.rng.IntN(10) {
	case 8, 9:
		m := d.any()
		d.drain(m, !d.drained[m])
	case 0, 1:
		d.submit(name, d.rng.IntN(100), unit.Launched)
	case 2:
		d.log("destroy %s", name)
		d.wish(name, func(w *wish) { w.target, w.asked = "", append(w.asked, time.Now()) })
		d.did(nil, d.registry.DeleteUnit(context.Background(), name))
	default:
		if d.wishes[name].target == "" {
			d.submit(name, 0, unit.Launched)
			return
		}
		target := []unit.TargetState{unit.Inactive, unit.Loaded, unit.Launched, unit.Launched, unit.Launched}[d.rng.IntN(5)]
		d.log("%s is to be %s", name, target)
		d.wish(name, func(w *wish) {
			if target != unit.Launched {
				w.asked = append(w.asked, time.Now())
			}
			w.target = target
		})
		d.did(d.registry.PutUnit(context.Background(), name, nil, target, nil))
	}
}

// drain has a machine left by its units, or take units again.
func (d *driver) drain(m *simMachine, draining bool) {
	d.log("%s: drained: %v", short(m.id), draining)
	d.drained[m] = draining
	d.did(nil, d.registry.EditLabels(context.Background(), []string{m.id}, func(l []schedule.Label) error {
		l[0].Draining = draining
		return nil
	}))
}

// fault does what hardware, networks and stores do, and undoes it.
func (d *driver) fault() {
	m := d.any()
	switch d.rng.IntN(12) {
	case 0, 1:
		d.trouble(m, "power", m.cutPower, m.powerOn)
	case 2, 3:
		d.trouble(m, "cut", func() { d.store.Cut(m.client()) }, func() { d.store.Heal(m.client()) })
	case 4:
		d.trouble(m, "stopped", m.stopFleetd, m.startFleetd)
	case 5:
		d.trouble(m, "killed", m.killFleetd, m.startFleetd)
	case 6:
		d.log("the store loses its leader")
		d.store.LoseLeader()
	case 7:
		if !d.stalled {
			d.log("compaction")
			_ = d.store.Compact(context.Background(), d.cluster().Revision())
		}
	case 8:
		d.log("%s: replies are lost", short(m.id))
		d.store.DropReplies(m.client(), 1+d.rng.IntN(3))
	case 9:
		d.log("%s: writes are late", short(m.id))
		d.store.HoldWrites(m.client(), 1+d.rng.IntN(3))
	case 10:
		d.log("%s: %d late writes take effect", short(m.id), d.store.ReleaseWrites(m.client()))
	case 11:
		d.stall()
	}
}

// trouble begins a machine's trouble, or ends the one that it is in.
func (d *driver) trouble(m *simMachine, kind string, begin, end func()) {
	switch d.off[m] {
	case "":
		d.log("%s: %s", short(m.id), kind)
		d.part(m, true)
		begin()
		d.off[m] = kind
	case kind:
		d.log("%s: %s is over", short(m.id), kind)
		delete(d.off, m)
		d.part(m, false)
		end()
	}
}

func (d *driver) part(m *simMachine, parted bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.parted, m.id)
	if parted {
		d.parted[m.id] = time.Now()
	}
}

func (d *driver) stall() {
	if d.stalled = !d.stalled; d.stalled {
		d.log("the store stalls")
		d.store.Stall()
		return
	}
	d.log("the store goes on")
	d.store.Resume()
}

// heal ends all trouble.
func (d *driver) heal() {
	d.mend()
	for _, m := range d.machines {
		if d.drained[m] {
			d.drain(m, false)
		}
	}
	d.complete()
}

// mend ends what hardware, networks and the store are in for.
func (d *driver) mend() {
	d.log("all is well again")
	if d.stalled {
		d.stall()
	}
	for _, m := range d.machines {
		d.store.DropReplies(m.client(), 0)
		d.store.ReleaseWrites(m.client())
		d.part(m, false)
		switch d.off[m] {
		case "power", "stopped", "killed":
			m.startFleetd()
		case "cut":
			d.store.Heal(m.client())
		}
	}
	clear(d.off)
}

// converge waits until everything is as it should be, and checks that it
// stays so.
func (d *driver) converge() {
	deadline := time.Now().Add(3*simTTL + 5*time.Second)
	for {
		d.pass(500 * time.Millisecond)
		why := d.unsettled()
		if why == "" {
			break
		}
		if time.Now().After(deadline) {
			d.fail("not settled after all was well again: %s\n%s", why, d.describe())
		}
	}
	starts, stops := d.starts(), d.stops()
	d.pass(3 * simTTL)
	if why := d.unsettled(); why != "" || d.starts() != starts || d.stops() != stops {
		d.fail("restless when all was settled: %s; %d starts, %d stops", why, d.starts()-starts, d.stops()-stops)
	}
}

// unsettled says what is not as it should be, empty if nothing is.
func (d *driver) unsettled() string {
	for _, m := range d.machines {
		if p := m.agent.Problem(); p != "" {
			return short(m.id) + ": " + p
		}
	}
	c := d.cluster()
	for _, name := range faultUnits {
		if why := d.misplaced(c, name); why != "" {
			return name + ": " + why
		}
	}
	return ""
}

func (d *driver) misplaced(c *schedule.Cluster, name string) string {
	w, on, places := d.wishes[name], d.running(name), c.Placements(name)
	machines := 1
	switch {
	case !w.target.AtLeast(unit.Loaded):
		machines = 0
	case w.global:
		machines = len(d.machines)
	}
	switch {
	case len(places) != machines:
		return fmt.Sprintf("%d placements, not %d", len(places), machines)
	case w.target != unit.Launched && len(on) > 0 || machines == 0 && len(on) > 0:
		return fmt.Sprintf("runs on %v", on)
	case w.target == unit.Launched && len(on) != machines:
		return fmt.Sprintf("runs on %d machines, not %d", len(on), machines)
	}
	for _, p := range places {
		m := d.machines[slices.IndexFunc(d.machines, func(m *simMachine) bool { return m.id == p.MachineID })]
		switch {
		case p.Order != schedule.Run || p.Hash != w.hash || p.Target != w.target:
			return fmt.Sprintf("its placement is %+v", p)
		case w.target == unit.Launched && !slices.Contains(m.runner.Running(), name):
			return "it doesn't run where it is placed"
		case !reported(c, p):
			return "it isn't reported to be as it should"
		}
	}
	return ""
}

// reported reports whether a placement's machine says that it is done with it.
func reported(c *schedule.Cluster, p schedule.Placement) bool {
	return slices.ContainsFunc(c.States(p.Unit), func(st unit.State) bool {
		return st.MachineID == p.MachineID && st.Generation == p.Generation && st.Reached == p.Target && st.Hash == p.Hash
	})
}

func (d *driver) describe() string {
	var b strings.Builder
	c := d.cluster()
	for _, name := range faultUnits {
		fmt.Fprintf(&b, "%s: wish %s %.7s, runs on %v\n", name, d.wishes[name].target, d.wishes[name].hash, d.running(name))
		for _, p := range c.Placements(name) {
			fmt.Fprintf(&b, "  %s %s %s gen %d %.7s: %s\n", short(p.MachineID), p.Order, p.Target, p.Generation, p.Hash, p.Reason)
		}
		for _, st := range c.States(name) {
			fmt.Fprintf(&b, "  %s reports %s %s gen %d %.7s released %v %s\n", short(st.MachineID), st.ActiveState, st.Reached, st.Generation, st.Hash, st.Released, st.Failure)
		}
	}
	return b.String()
}
