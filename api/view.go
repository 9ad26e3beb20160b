package api

import (
	"maps"
	"slices"
	"sync"
	"time"

	"fleet/schedule"
)

// view is the cluster as of one revision, in the API's terms. It is not safe
// for concurrent use, not even for reading: the model works things out when it
// is first asked. Whoever shares one holds mu.
type view struct {
	mu sync.Mutex
	*schedule.Cluster
	known map[string]bool // the names that a unit, a placement or a state has
}

func newView(policy schedule.Policy) *view {
	v := &view{Cluster: schedule.NewCluster(), known: map[string]bool{}}
	v.SetPolicy(policy)
	return v
}

// explain says why the unit is where it is. A machine that is absent counts as
// lost: when the leader will take it for that is not this reader's to know.
func (v *view) explain(name string) schedule.Explanation {
	v.LoseMachines(time.Now())
	return v.Explain(name)
}

// explainFully is explain with all there is to tell, for one who asks.
func (v *view) explainFully(name string) schedule.Explanation {
	v.LoseMachines(time.Now())
	return v.ExplainFully(name)
}

// apply brings the view to the update's revision and returns the names of the
// units whose status it bears on.
func (v *view) apply(u schedule.Update) map[string]bool {
	touched := map[string]bool{}
	if u.Snapshot {
		touched, v.known = v.known, map[string]bool{}
	}
	v.Apply(u)
	for i := range u.Changes {
		v.touch(&u.Changes[i], touched)
	}
	for name := range touched {
		if v.has(name) {
			v.known[name] = true
		} else {
			delete(v.known, name)
		}
	}
	return touched
}

func (v *view) touch(c *schedule.Change, touched map[string]bool) {
	switch {
	case c.Unit != nil:
		touched[c.Unit.Name] = true
	case c.Placement != nil:
		touched[c.Placement.Unit] = true
	case c.State != nil:
		touched[c.State.Name] = true
	case c.Machine != nil:
		v.touchMachine(c.Machine.ID, touched)
	case c.Presence != nil:
		v.touchMachine(c.Presence.MachineID, touched)
	case c.Label != nil:
		v.touchMachine(c.Label.MachineID, touched)
	}
}

// touchMachine adds the units that are placed on a machine.
func (v *view) touchMachine(id string, touched map[string]bool) {
	for _, p := range v.PlacementsOn(id) {
		touched[p.Unit] = true
	}
}

func (v *view) has(name string) bool {
	_, ok := v.Unit(name)
	return ok || len(v.Placements(name)) > 0 || len(v.States(name)) > 0
}

// names returns the names of the units there are, sorted.
func (v *view) names() []string {
	var names []string
	for u := range v.Units() {
		names = append(names, u.Name)
	}
	return names
}

// everything returns the names of which anything is known, sorted.
func (v *view) everything() []string { return slices.Sorted(maps.Keys(v.known)) }
