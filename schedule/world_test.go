package schedule

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"fleet/unit"
)

// fataler is what testing.T and rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// world is a store and the machines beside a model that is fed from it: it
// writes decisions as an engine would, and carries them out as agents would.
type world struct {
	t        fataler
	c        *Cluster
	now      time.Time
	revision int64

	records map[key]Change                   // the store
	files   map[string]*unit.File            // in the store, by hash
	running map[string]map[string]unit.State // what machines have, reported or not
	made    []Decision                       // since the last call of log
	planned int64                            // the model's revision at the last Plan
	check   func(d Decision)                 // of every decision, before it is written
}

func newWorld(t fataler) *world {
	return &world{
		t: t, c: NewCluster(), now: time.Unix(1000, 0), revision: 1,
		records: make(map[key]Change), files: make(map[string]*unit.File), running: make(map[string]map[string]unit.State),
	}
}

// write makes one revision of the changes, and feeds it to the model.
func (w *world) write(changes ...Change) {
	w.revision++
	for i := range changes {
		changes[i].Revision = w.revision
		if k := keyOf(changes[i]); changes[i].Deleted {
			delete(w.records, k)
		} else {
			w.records[k] = changes[i]
			if f := changes[i].File; f != nil {
				w.files[f.Hash] = f
			}
		}
	}
	w.c.Apply(Update{Revision: w.revision, Changes: changes})
}

// snapshot is everything there is, in a settled order.
func (w *world) snapshot() Update {
	keys := slices.SortedFunc(maps.Keys(w.records), func(a, b key) int {
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	})
	u := Update{Snapshot: true, Revision: w.revision}
	for _, k := range keys {
		u.Changes = append(u.Changes, w.records[k])
	}
	return u
}

// fresh is a model made from a snapshot alone.
func (w *world) fresh() *Cluster {
	c := NewCluster()
	c.HoldEvictions(w.c.hold)
	c.Apply(w.snapshot())
	return c
}

func file(t fataler, options ...string) *unit.File {
	t.Helper()
	f, err := unit.Parse([]byte("[Service]\nExecStart=/bin/true\n[X-Fleet]\n" + strings.Join(options, "\n") + "\n"))
	if err != nil {
		t.Fatalf("%v", err)
	}
	return f
}

// unit writes a unit's record and file.
func (w *world) unit(name string, target unit.TargetState, options ...string) {
	w.t.Helper()
	f := file(w.t, options...)
	w.write(Change{Unit: &unit.Unit{Name: name, Hash: f.Hash, DesiredState: target}, File: f})
}

// launch writes a unit that is to run.
func (w *world) launch(name string, options ...string) {
	w.t.Helper()
	w.unit(name, unit.Launched, options...)
}

// target changes a unit's target state alone.
func (w *world) target(name string, target unit.TargetState) {
	ch := w.records[key{kind: unitKind, unit: name}]
	u := *ch.Unit
	u.DesiredState = target
	w.write(Change{Unit: &u, File: ch.File})
}

func (w *world) destroy(name string) {
	w.write(Change{Deleted: true, Unit: &unit.Unit{Name: name}})
}

// join has a machine appear, with metadata as k=v, and say first what it has.
func (w *world) join(ids ...string) {
	for _, id := range ids {
		id, pairs, _ := strings.Cut(id, " ")
		m := &Machine{ID: id, Metadata: make(map[string]string)}
		for _, pair := range strings.Fields(pairs) {
			k, v, _ := strings.Cut(pair, "=")
			m.Metadata[k] = v
		}
		w.write(Change{Machine: m})
		w.comeBack(id)
	}
}

func (w *world) comeBack(id string) {
	if w.running[id] == nil {
		w.running[id] = make(map[string]unit.State)
	}
	for _, name := range slices.Sorted(maps.Keys(w.running[id])) {
		w.report(id, w.running[id][name])
	}
	w.write(Change{Presence: &Presence{MachineID: id, Ready: true}})
}

// die has a machine's lease end.
func (w *world) die(ids ...string) {
	for _, id := range ids {
		var gone []Change
		for k := range w.records {
			switch {
			case k.machine != id:
			case k.kind == presenceKind:
				gone = append(gone, Change{Deleted: true, Presence: &Presence{MachineID: id}})
			case k.kind == stateKind:
				gone = append(gone, Change{Deleted: true, State: &unit.State{Name: k.unit, MachineID: id}})
			}
		}
		w.write(gone...)
	}
}

func (w *world) label(l Label) { w.write(Change{Label: &l}) }

func (w *world) live(id string) bool {
	_, ok := w.records[key{kind: presenceKind, machine: id}]
	return ok
}

func (w *world) report(id string, s unit.State) {
	s.MachineID = id
	w.write(Change{State: &s})
}

// obey has a machine do all that its placements say, and reports whether there
// was anything to do.
func (w *world) obey(id string) bool {
	did := false
	for _, name := range w.unitsOn(id) {
		did = w.obeyOne(id, name) || did
	}
	return did
}

// unitsOn names what a machine has or should have.
func (w *world) unitsOn(id string) []string {
	names := make(map[string]bool)
	for name := range w.running[id] {
		names[name] = true
	}
	for k := range w.records {
		if k.kind == placementKind && k.machine == id {
			names[k.unit] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func (w *world) obeyOne(id, name string) bool {
	was, had := w.running[id][name]
	ch, ok := w.records[key{placementKind, id, name}]
	if !ok {
		if !had || !was.Released {
			return false // without an order nothing stops
		}
		delete(w.running[id], name)
		w.write(Change{Deleted: true, State: &unit.State{Name: name, MachineID: id}})
		return true
	}
	p := ch.Placement
	is := unit.State{Name: name, MachineID: id, Hash: p.Hash, ActiveState: "inactive", Generation: p.Generation}
	switch {
	case p.Order == Release:
		is.Released = true
	case p.Order == Held && (!had || p.Target == unit.Launched || was.Generation == p.Generation):
		return false // what runs there runs on, and nothing is started
	case p.Order == Held:
		is.Hash, is.Reached = was.Hash, unit.Loaded
	case p.Finished:
		is.Reached = p.Target
	case p.Target == unit.Launched:
		is.ActiveState, is.Reached = "active", unit.Launched
	default:
		is.Reached = unit.Loaded
	}
	if had && was.Generation == is.Generation && was.FailedStarts > 0 {
		return false // it has tried often enough
	}
	if had && was.Generation == is.Generation && was.Reached == is.Reached && was.Released == is.Released {
		return false // acted on: what became of it since is no order's doing
	}
	w.running[id][name] = is
	w.report(id, is)
	return true
}

// plan has the model decide, and writes what still holds.
func (w *world) plan() int {
	w.t.Helper()
	w.planned = w.c.Revision()
	ds := w.c.Plan(w.now)
	w.made = append(w.made, ds...)
	w.commitAll(ds)
	return len(ds)
}

func (w *world) commitAll(ds []Decision) {
	for _, d := range ds {
		if w.check != nil {
			w.check(d)
		}
		if !w.commit(d) {
			w.c.Retry(d)
		}
	}
}

// commit writes a decision, if everything that it was made from holds.
func (w *world) commit(d Decision) bool {
	for _, u := range d.Units {
		if w.records[key{kind: unitKind, unit: u.Name}].Revision != u.Revision {
			return false
		}
	}
	for _, id := range d.Gone {
		if w.live(id) {
			return false
		}
	}
	var changes []Change
	for _, wr := range d.Writes {
		p := wr.Placement
		if w.records[key{placementKind, p.MachineID, p.Unit}].Revision != wr.Revision {
			return false
		}
		changes = append(changes, Change{Deleted: wr.Delete, Placement: &p})
	}
	for _, ch := range d.Others {
		if w.records[keyOf(ch)].Revision != ch.Revision {
			return false
		}
		if ch.Unit != nil && !ch.Deleted {
			ch.File = w.files[ch.Unit.Hash]
		}
		changes = append(changes, ch)
		if ch.Machine == nil || !ch.Deleted {
			continue
		}
		var places []Change
		for k, r := range w.records {
			if k.kind == placementKind && k.machine == ch.Machine.ID {
				places = append(places, Change{Deleted: true, Placement: r.Placement})
			}
		}
		slices.SortFunc(places, func(a, b Change) int { return strings.Compare(a.Placement.Unit, b.Placement.Unit) })
		changes = append(changes, places...)
	}
	w.write(changes...)
	return true
}

// settle runs engine and agents until nothing is left to do.
func (w *world) settle() {
	w.t.Helper()
	for range 200 {
		did := w.plan() > 0
		for _, id := range slices.Sorted(maps.Keys(w.running)) {
			did = w.live(id) && w.obey(id) || did
		}
		if !did {
			return
		}
	}
	w.t.Fatalf("does not settle; last decisions:\n%s", w.log())
}

// decide runs the engine alone until nothing is left to decide.
func (w *world) decide() {
	w.t.Helper()
	for range 200 {
		if w.plan() == 0 {
			return
		}
	}
	w.t.Fatalf("does not settle; last decisions:\n%s", w.log())
}

// log tells the decisions since it was last called, one a line, save those that
// only note that a machine is lost or back.
func (w *world) log() string {
	var b strings.Builder
	for _, d := range w.made {
		if len(d.Writes) == 0 && len(d.Others) == 1 && d.Others[0].Absence != nil {
			continue
		}
		fmt.Fprintln(&b, d.Reason)
	}
	w.made = nil
	return strings.TrimSpace(b.String())
}

// where tells a unit's placements: "m1:held m2:run".
func (w *world) where(name string) string {
	var at []string
	for _, p := range w.c.Placements(name) {
		at = append(at, p.MachineID+":"+string(p.Order))
	}
	return strings.Join(at, " ")
}

func (w *world) placement(name, id string) Placement {
	p := w.records[key{placementKind, id, name}].Placement
	if p == nil {
		w.t.Helper()
		w.t.Fatalf("%s has no placement on %s: %s", name, id, w.where(name))
	}
	return *p
}

func (w *world) expect(name, where string) {
	w.t.Helper()
	if got := w.where(name); got != where {
		w.t.Fatalf("%s is on %q, want %q\n%s\nlog:\n%s", name, got, where, w.c.Explain(name), w.log())
	}
}

func (w *world) explains(name, sentence string) {
	w.t.Helper()
	if got := w.c.Explain(name).String(); got != sentence {
		w.t.Fatalf("Explain(%s):\n got %s\nwant %s", name, got, sentence)
	}
}

func (w *world) quiet() {
	w.t.Helper()
	w.log()
	w.settle()
	if l := w.log(); l != "" {
		w.t.Fatalf("decided without a reason:\n%s", l)
	}
}
