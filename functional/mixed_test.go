package functional

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleet/agent"
	"fleet/registry"
	"fleet/schedule"
	"fleet/unit"
)

// TestMixedFaults is TestFaults for what the scheduler keeps and weighs:
// instances, run-once units, units that fail on some machines, reservations,
// spreading, replacing, cordons, drains and machines that are forgotten.
func TestMixedFaults(t *testing.T) {
	first, n := *faultFrom, uint64(*faultRuns)
	if *faultSeed != 0 {
		first, n = *faultSeed, 1
	}
	for seed := first; seed < first+n; seed++ {
		if !t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { runMixed(t, seed) }) {
			t.Logf("replay with: go test ./functional -run TestMixedFaults -v -seed %d", seed)
		}
	}
}

func runMixed(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 2))
	simulate(t, 0, func(s *simulation) {
		s.policy = schedule.DefaultPolicy()
		if rng.IntN(4) == 0 {
			s.policy.Strategy = schedule.BinPack
		}
		x := &mixed{sick: make([]atomic.Bool, 7)}
		dir := ramDir(t)
		for i := range 3 + rng.IntN(4) {
			s.behave = x.behaviorOn(i)
			s.equipment = schedule.Machine{Memory: int64(2+rng.IntN(4)) << 30, CPUs: 2, Metadata: map[string]string{"az": string(rune('a' + i%3))}}
			s.add(dir)
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		w := &witness{s: s, runs: map[string]map[string]agent.HollowEvent{}, wishes: map[string]*wish{}, parted: map[string]time.Time{}}
		x.driver = &driver{simulation: s, rng: rng, seed: seed, began: time.Now(), witness: w, off: map[*simMachine]string{}, drained: map[*simMachine]bool{}}
		x.audit = auditOf(ctx, s, w)
		for _, name := range mixedUnits {
			x.submit(name)
		}
		x.pass(2 * simTTL)
		for range faultSteps {
			x.step()
			x.pass(time.Duration(50+rng.IntN(3000)) * time.Millisecond)
		}
		x.heal()
		x.settle()
		x.upkeep()
	})
}

// mixed is a driver with verbs of its own.
type mixed struct {
	*driver
	audit *audit
	sick  []atomic.Bool
}

var mixedUnits = []string{
	"t@.service", "j1.service", "j2.service", "r1.service", "r2.service",
	"m1.service", "m2.service", "m3.service", "x1.service", "x2.service",
	"main.service", "side.service", "s@1.service", "s@2.service", "s@3.service", "g.service",
	"k.service", "k.timer",
}

// behaviorOn has units that may fail do so while the machine is sick.
func (x *mixed) behaviorOn(i int) func(string) agent.Behavior {
	return func(name string) agent.Behavior {
		sick := x.sick[i].Load()
		switch {
		case name[0] == 'j' && sick:
			return agent.Behavior{StartTakes: time.Second, ExitStatus: 1}
		case name[0] == 'j':
			return agent.Behavior{StartTakes: 5 * time.Second}
		case name[0] == 'r' && sick:
			return agent.Behavior{StartFails: "no such device"}
		case name[0] == 'm':
			return agent.Behavior{StopTakes: 2 * time.Second}
		}
		return agent.Behavior{}
	}
}

func (x *mixed) oneOf(texts ...string) string { return texts[x.rng.IntN(len(texts))] }

func (x *mixed) text(name string) string {
	kind := service
	var o string
	switch {
	case name == "t@.service":
		o = fmt.Sprintf("Instances=%d\n", 1+x.rng.IntN(5)) +
			x.oneOf("", "MaxUnavailable=2\n") + x.oneOf("", "MemoryReservation=512M\n", "Spread=az hard\n", "Spread=az\n", "Conflicts=t@*.service\n", "Reschedule=on-failure:2\n")
	case name[0] == 't':
		o = x.oneOf("", "MemoryReservation=1G\n")
	case name[0] == 'j':
		kind = "[Service]\nType=oneshot\nExecStart=/bin/true\n"
		o = "RunOnce=true\n" + x.oneOf("", "Reschedule=on-failure:2\n", "Instances=\n")
	case name[0] == 'r':
		o = x.oneOf("Reschedule=on-failure:1\n", "Reschedule=on-failure:2\n") + x.oneOf("", "Priority=3\n", "MemoryReservation=1G\n")
	case name[0] == 'm' && name != "main.service":
		o = x.oneOf("MemoryReservation=1G\n", "MemoryReservation=2G\n", "MemoryReservation=3G\n") + x.oneOf("", "Priority=5\n", "CPUReservation=1.5\n", "Avoid=m*.service\n", "Prefer=az=b\n")
	case name == "x1.service":
		o = x.oneOf("Replaces=m1.service\n", "Replaces=m?.service\n", "Replaces=r1.service\n", "Replaces=main.service\n", "Replaces=t@*.service\n") + x.oneOf("", "MemoryReservation=1G\n")
	case name == "x2.service":
		o = x.oneOf("Replaces=x1.service\n", "Replaces=m2.service\n", "Replaces=j1.service\n")
	case name == "side.service":
		o = "MachineOf=main.service\n" + x.oneOf("", "MemoryReservation=1G\n")
	case name[0] == 's':
		o = x.oneOf("Spread=az hard\n", "Spread=az hard\n", "Spread=az\n", "Conflicts=s@*.service\n")
	case name[0] == 'g':
		o = "Global=true\n" + x.oneOf("", "MachineOf=main.service\n", "MemoryReservation=512M\n", "Conflicts=x1.service\n", "MachineMetadata=az!=b\n")
	case name == "k.timer":
		kind, o = "[Timer]\nOnCalendar=daily\n", "MachineOf=%p.service\n"
	}
	return fmt.Sprintf("[Unit]\nDescription=version %d\n%s[X-Fleet]\n%s", x.rng.IntN(100), kind, o)
}

func (x *mixed) submit(name string) {
	x.send(name, []unit.TargetState{unit.Launched, unit.Launched, unit.Launched, unit.Launched, unit.Loaded}[x.rng.IntN(5)])
}

func (x *mixed) send(name string, target unit.TargetState) {
	text := x.text(name)
	f, err := unit.Parse([]byte(text))
	if err == nil {
		err = unit.Check(name, f)
	}
	if err != nil {
		x.t.Fatal(err, text)
	}
	x.log("put %s %s: %s", name, target, strings.ReplaceAll(text[strings.Index(text, "[X-Fleet]"):], "\n", " "))
	x.did(x.registry.PutUnit(context.Background(), name, f, target, nil))
}

func (x *mixed) step() {
	switch x.rng.IntN(5) {
	case 0, 1:
		if !x.stalled {
			x.user()
		}
	case 2:
		if !x.stalled {
			x.operator()
		}
	default:
		x.fault()
	}
}

func (x *mixed) user() {
	name := mixedUnits[x.rng.IntN(len(mixedUnits))]
	ctx := context.Background()
	if x.rng.IntN(4) == 0 {
		name = "t@.service"
	}
	switch x.rng.IntN(9) {
	case 0, 1, 2:
		x.submit(name)
	case 3:
		x.log("destroy %s", name)
		x.audit.destroys(name)
		x.did(nil, x.registry.DeleteUnit(ctx, name))
	case 4, 5:
		target := []unit.TargetState{unit.Inactive, unit.Loaded, unit.Launched, unit.Launched}[x.rng.IntN(4)]
		x.log("%s is to be %s", name, target)
		_, err := x.registry.PutUnit(ctx, name, nil, target, nil)
		if err != nil {
			x.submit(name)
		}
	case 6:
		if u, ok := x.cluster().Unit("t@.service"); ok && u.Hash != "" {
			text, err := x.registry.File(ctx, u.Hash)
			if err != nil {
				x.t.Fatal(err)
			}
			f, _ := unit.Parse([]byte(text))
			if r, err := f.Requirements("t@.service"); err == nil && r.Instances != nil {
				to := x.rng.IntN(7)
				x.log("scale t@.service to %d", to)
				x.did(nil, x.registry.SetScale(ctx, "t@.service", &unit.Scale{To: to, From: *r.Instances}))
			}
		}
	case 7:
		x.submit(fmt.Sprintf("t@%d.service", 1+x.rng.IntN(6)))
	case 8:
		name := fmt.Sprintf("t@%d.service", 1+x.rng.IntN(6))
		x.log("destroy %s", name)
		x.audit.destroys(name)
		x.did(nil, x.registry.DeleteUnit(ctx, name))
	}
}

// operator does what is done to machines.
func (x *mixed) operator() {
	m := x.any()
	switch x.rng.IntN(6) {
	case 0, 1:
		x.drain(m, !x.drained[m])
	case 2:
		x.cordon(m, x.rng.IntN(2) == 0)
	case 3, 4:
		i := x.rng.IntN(len(x.machines))
		sick := x.rng.IntN(2) == 0
		x.log("%s: sick: %v", short(x.machines[i].id), sick)
		x.sick[i].Store(sick)
	case 5:
		if x.off[m] == "" {
			return
		}
		if err := x.registry.Forget(context.Background(), m.id); err == nil {
			x.log("%s: forgotten", short(m.id))
			delete(x.drained, m)
		}
	}
}

func (x *mixed) cordon(m *simMachine, cordoned bool) {
	x.log("%s: cordoned: %v", short(m.id), cordoned)
	x.did(nil, x.registry.EditLabels(context.Background(), []string{m.id}, func(l []schedule.Label) error {
		l[0].Cordoned = cordoned
		return nil
	}))
}

// heal ends all trouble.
func (x *mixed) heal() {
	for i := range x.sick {
		x.sick[i].Store(false)
	}
	x.mend()
	for _, m := range x.machines {
		x.drain(m, false)
		x.cordon(m, false)
	}
}

// settle waits until everything is as it should be, and stays so.
func (x *mixed) settle() {
	x.pass(2 * simTTL)
	deadline := time.Now().Add(25 * time.Minute)
	for {
		x.pass(time.Second)
		why := x.unsettled()
		if why == "" {
			break
		}
		if time.Now().After(deadline) {
			x.fail("not settled after all was well again: %s\n%s", why, x.describe())
		}
		if time.Now().Add(24 * time.Minute).After(deadline) {
			x.pass(10 * time.Second)
		}
	}
	starts, stops := x.starts(), x.stops()
	x.pass(15 * time.Minute)
	if why := x.unsettled(); why != "" || x.starts() != starts || x.stops() != stops {
		x.fail("restless when all was settled: %s; %d starts, %d stops\n%s", why, x.starts()-starts, x.stops()-stops, x.describe())
	}
}

func (x *mixed) unsettled() string {
	for _, m := range x.machines {
		if p := m.agent.Problem(); strings.HasPrefix(p, "frozen") {
			return short(m.id) + ": " + p
		}
	}
	c := x.cluster()
	c.SetPolicy(x.policy)
	if ds := c.Plan(time.Now()); len(ds) > 0 {
		return "a new leader would decide: " + ds[0].Reason
	}
	for _, name := range x.names() {
		if why := x.misplaced(c, name); why != "" {
			return name + ": " + why
		}
	}
	return ""
}

// names are those of all units that there may be.
func (x *mixed) names() []string {
	names := slices.Clone(mixedUnits[1:])
	for i := range 9 {
		names = append(names, fmt.Sprintf("t@%d.service", i))
	}
	return names
}

func (x *mixed) misplaced(c *schedule.Cluster, name string) string {
	u, ok := c.Unit(name)
	wanted := ok && u.DesiredState.AtLeast(unit.Loaded)
	on, places := x.running(name), c.Placements(name)
	e := c.Explain(name)
	if slices.ContainsFunc(c.States(name), failed) {
		return "" // it gave up when it was in trouble
	}
	if strings.HasPrefix(e.Summary, "MachineOf=") {
		return "" // it stays as it is until what it follows is there
	}
	if wanted && len(on) > 0 && len(places) == 0 && !strings.Contains(e.Summary, "no machine fits") {
		return "runs, and is placed nowhere: " + e.Summary
	}
	if wanted && e.Pending && len(e.Fits) > 0 {
		return fmt.Sprintf("is pending, and fits %v", e.Fits)
	}
	if !wanted && len(places) > 0 {
		return fmt.Sprintf("isn't wanted, and has %+v", places)
	}
	orphans := map[int]bool{}
	for i, m := range x.machines {
		for _, st := range c.States(name) {
			if st.MachineID == m.id && st.Orphaned {
				orphans[i] = true
			}
		}
	}
	for _, i := range on {
		placed := slices.ContainsFunc(places, func(p schedule.Placement) bool { return p.MachineID == x.machines[i].id })
		if !placed && !orphans[i] {
			return fmt.Sprintf("runs on %s without a placement", short(x.machines[i].id))
		}
	}
	done, finished := c.Done(name)
	for _, p := range places {
		i := slices.IndexFunc(x.machines, func(m *simMachine) bool { return m.id == p.MachineID })
		runs := slices.Contains(on, i)
		switch {
		case p.Order == schedule.Held && e.Pending: // it waits for a machine that fits
		case p.Order != schedule.Run || p.Target != u.DesiredState:
			return fmt.Sprintf("its placement is %+v", p)
		case p.Target == unit.Launched && name[0] == 'j':
			if !p.Finished || !finished {
				return fmt.Sprintf("has not finished: %+v %+v", p, done)
			}
		case p.Target == unit.Launched && !runs:
			return "doesn't run where it is placed"
		}
		if p.Order == schedule.Run && !p.Finished && !reported(c, p) {
			return fmt.Sprintf("isn't reported to be as it should: %+v %+v", p, c.States(name))
		}
	}
	return ""
}

func failed(st unit.State) bool {
	return st.FailedStarts > 0 || st.ActiveState == "failed" || st.Failure != ""
}

func (x *mixed) describe() string {
	var b strings.Builder
	c := x.cluster()
	c.Plan(time.Now())
	for _, name := range append(x.names(), "t@.service") {
		u, ok := c.Unit(name)
		if !ok && len(c.Placements(name)) == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s: %s %.7s managed %v, runs on %v: %s\n", name, u.DesiredState, u.Hash, u.Managed, x.running(name), c.Explain(name))
		for _, p := range c.Placements(name) {
			fmt.Fprintf(&b, "  %s %s %s gen %d %.7s to %s for %s: %s\n", short(p.MachineID), p.Order, p.Target, p.Generation, p.Hash, p.To, p.For, p.Reason)
		}
		for _, st := range c.States(name) {
			fmt.Fprintf(&b, "  %s reports %s %s gen %d %.7s released %v failed %d %s\n", short(st.MachineID), st.ActiveState, st.Reached, st.Generation, st.Hash, st.Released, st.FailedStarts, st.Failure)
		}
	}
	return b.String()
}

// upkeep has a healthy cluster drained and its instances rolled: never are
// more of them down than may be.
func (x *mixed) upkeep() {
	ctx := context.Background()
	const n, name = 4, "u@.service"
	for _, other := range append(x.names(), "t@.service") {
		x.audit.destroys(other)
		x.did(nil, x.registry.DeleteUnit(ctx, other))
	}
	x.pass(30 * time.Second)
	most := 1 + x.rng.IntN(2)
	version := func(i int) {
		x.log("version %d of %s", i, name)
		x.put(name, fmt.Sprintf("[Unit]\nDescription=v%d\n%s[X-Fleet]\nInstances=%d\nMaxUnavailable=%d\n", i, service, n, most), unit.Launched)
	}
	version(0)
	count := func() int {
		up := 0
		for i := 1; i <= n; i++ {
			if len(x.running(fmt.Sprintf("u@%d.service", i))) > 0 {
				up++
			}
		}
		return up
	}
	x.within(time.Minute, "all instances run", func() bool { return count() == n })
	x.audit.atLeast(n - most)
	for i := range 12 {
		switch x.rng.IntN(4) {
		case 0, 1:
			version(1 + i)
		case 2:
			m := x.any()
			x.drain(m, !x.drained[m])
		case 3:
			x.log("the store loses its leader")
			x.store.LoseLeader()
		}
		x.pass(time.Duration(x.rng.IntN(1500)) * time.Millisecond)
	}
	for _, m := range x.machines {
		x.drain(m, false)
	}
	x.pass(time.Minute)
	if got := count(); got != n {
		x.fail("%d of %d instances run in the end\n%s", got, n, x.describe())
	}
	x.audit.atLeast(0)
}

// audit follows the store and notes what may not be, record by record.
type audit struct {
	w     *witness
	s     *simulation
	units map[string]schedule.Change

	at      map[string]map[string]schedule.Placement
	stopped map[string]map[string]int64 // the release that was confirmed last; a lost machine's states go, and what it stopped stays stopped
	live    map[string]bool
	memory  map[string]int64
	done    map[string]schedule.Done
	doomed  map[string]bool // units that a user has destroyed since
	tainted map[string]bool // units that a forgotten machine may run too
	floor   int
}

func auditOf(ctx context.Context, s *simulation, w *witness) *audit {
	a := &audit{w: w, s: s, doomed: map[string]bool{}, tainted: map[string]bool{}, stopped: map[string]map[string]int64{}}
	a.clear()
	for _, m := range s.machines {
		m.runner.OnEvent(func(e agent.HollowEvent) { a.event(m, e) })
	}
	reg := registry.New(s.store.Client("audit"), "", s.log)
	go func() {
		for ctx.Err() == nil {
			_ = reg.Follow(ctx, func(u schedule.Update) error { a.take(u); return nil })
			select {
			case <-ctx.Done():
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return a
}

func (a *audit) clear() {
	a.units = map[string]schedule.Change{}
	a.at = map[string]map[string]schedule.Placement{}
	a.live = map[string]bool{}
	a.memory = map[string]int64{}
	a.done = map[string]schedule.Done{}
}

func (a *audit) destroys(name string) {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	a.doomed[name] = true
}

// atLeast has so many instances of u@.service run from now on.
func (a *audit) atLeast(n int) {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	a.floor = n
}

func (a *audit) take(u schedule.Update) {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	was := a.units
	if u.Snapshot {
		a.clear()
	}
	touched := map[string]bool{}
	for i, c := range u.Changes {
		switch {
		case c.Unit != nil:
			a.unit(c, was)
		case c.Presence != nil:
			a.live[c.Presence.MachineID] = !c.Deleted
		case c.Machine != nil && c.Deleted:
			delete(a.memory, c.Machine.ID)
			for name, on := range a.w.runs {
				if _, ok := on[c.Machine.ID]; ok {
					a.tainted[name] = true
				}
			}
		case c.Machine != nil:
			a.memory[c.Machine.ID] = c.Machine.Memory
		case c.Done != nil && c.Deleted:
			delete(a.done, c.Done.Unit)
		case c.Done != nil:
			a.done[c.Done.Unit] = *c.Done
		case c.State != nil && !c.Deleted && c.State.Released:
			set(a.stopped, c.State.Name, c.State.MachineID, c.State.Generation)
		case c.Placement != nil && c.Deleted:
			delete(a.at[c.Placement.Unit], c.Placement.MachineID)
		case c.Placement != nil:
			if !u.Snapshot {
				a.placed(*c.Placement)
			}
			set(a.at, c.Placement.Unit, c.Placement.MachineID, *c.Placement)
			touched[c.Placement.Unit] = true
		}
		if i+1 == len(u.Changes) || u.Changes[i+1].Revision != c.Revision {
			a.weigh(touched)
		}
	}
}

// unit judges a change of a unit's record.
func (a *audit) unit(c schedule.Change, were map[string]schedule.Change) {
	name := c.Unit.Name
	was, had := were[name]
	switch {
	case !had || was.Unit.Managed:
	case c.Deleted && !a.doomed[name]:
		a.w.blame("%s is the user's, and was deleted", name)
	case !c.Deleted && c.Unit.Managed && !a.doomed[name]:
		a.w.blame("%s is the user's, and was taken over", name)
	}
	if c.Deleted {
		delete(a.units, name)
		return
	}
	delete(a.doomed, name)
	a.units[name] = c
}

func (a *audit) global(name string) bool { return name == "g.service" }

func (a *audit) placed(p schedule.Placement) {
	was := a.at[p.Unit][p.MachineID]
	_, runs := a.w.runs[p.Unit][p.MachineID]
	if p.Order != schedule.Run || was.Order == schedule.Run || a.global(p.Unit) || runs || a.tainted[p.Unit] ||
		p.Target != unit.Launched { // nothing is started
		return
	}
	for machine := range a.w.runs[p.Unit] {
		if machine != p.MachineID && a.live[machine] {
			a.w.blame("%s is placed on %s while %s is there and runs it", p.Unit, short(p.MachineID), short(machine))
		}
	}
}

// weigh checks what the machines hold once a revision is whole.
func (a *audit) weigh(touched map[string]bool) {
	machines := map[string]bool{}
	for name := range touched {
		n := 0
		for id, p := range a.at[name] {
			if p.Order == schedule.Run {
				n++
				machines[id] = true
			}
		}
		if n > 1 && !a.global(name) {
			a.w.blame("%s has %d run placements", name, n)
		}
	}
	clear(touched)
	for id := range machines {
		var sum int64
		var who []string
		for name, on := range a.at {
			p, ok := on[id]
			if !ok || p.Order == schedule.Release && a.stopped[name][id] == p.Generation {
				continue
			}
			if p.Memory > 0 {
				sum += p.Memory
				who = append(who, fmt.Sprint(name, " ", p.Order, " ", p.Memory>>20, "M"))
			}
		}
		if has, ok := a.memory[id]; ok && sum > has {
			a.w.blame("%s has %dM and these: %v", short(id), has>>20, who)
		}
	}
}

func (a *audit) event(m *simMachine, e agent.HollowEvent) {
	w := a.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if !e.Running {
		delete(w.runs[e.Unit], m.id)
		if e.Why == "reboot" {
			return
		}
		up := 0
		for name, on := range w.runs {
			if strings.HasPrefix(name, "u@") && len(on) > 0 {
				up++
			}
		}
		if up < a.floor {
			w.blame("only %d instances run, want %d: %s stops on %s", up, a.floor, e.Unit, short(m.id))
		}
		return
	}
	if t, ok := w.parted[m.id]; ok && time.Since(t) > simTTL {
		w.blame("%s starts on %s, which has been out of contact for %v", e.Unit, short(m.id), time.Since(t))
	}
	if d, ok := a.done[e.Unit]; ok && a.units[e.Unit].Revision == d.Revision && e.Hash == d.Hash {
		w.blame("%s starts on %s, and has finished on %s at %v", e.Unit, short(m.id), short(d.MachineID), d.At)
	}
	set(w.runs, e.Unit, m.id, e)
}
