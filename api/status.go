package api

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"fleet/schedule"
	"fleet/unit"
)

// Machine is a machine as the API shows it. Metadata is the effective one:
// what the machine is configured with, as operators have changed it.
type Machine struct {
	schedule.Machine
	Alive    bool   `json:"alive"` // false: the machine is lost
	Ready    bool   `json:"ready"` // takes new units
	Problem  string `json:"problem,omitempty"`
	Cordoned bool   `json:"cordoned,omitempty"`
	Draining bool   `json:"draining,omitempty"`
	// AbsentSince is when the machine was taken for lost, nil if it isn't.
	AbsentSince *time.Time `json:"absentSince,omitempty"`
	// Movable is how many of the units on it a drain would move: all but global
	// ones and those that have finished for good.
	Movable int          `json:"movable"`
	Use     schedule.Use `json:"use"`
}

// detail is how much of a unit is shown.
type detail int

const (
	plain       detail = iota
	withOptions        // its options, as the API of fleet 1.0 had them
	withText           // and its file
)

// unit returns the unit as the API shows it, or nil.
func (v *view) unit(name string, d detail) *unit.Unit {
	u, ok := v.Unit(name)
	if !ok {
		return nil
	}
	if f := v.File(name); f != nil {
		if d >= withOptions {
			u.Options = f.Options
		}
		if d >= withText {
			u.Text = f.Text
		}
	}
	if v.global(name) {
		return &u // it has many machines and as many states
	}
	if template, n, ok := v.template(name); ok {
		u.Instances = &n
		u.CurrentState = v.lowest(template, n)
		return &u
	}
	u.CurrentState = unit.Inactive
	if p := v.placement(name); p != nil {
		u.CurrentState = current(&u, p, v.state(name, p.MachineID))
		if p.Order != schedule.Release {
			u.MachineID = p.MachineID
		}
	}
	return &u
}

func (v *view) global(name string) bool {
	req := v.requirements(name)
	return req != nil && req.Global
}

// requirements returns what the unit's file asks for, nil if that isn't known.
func (v *view) requirements(name string) *unit.Requirements {
	f := v.File(name)
	if f == nil {
		return nil
	}
	req, err := f.Requirements(name)
	if err != nil {
		return nil
	}
	return &req
}

// template takes the name of a template that is kept at n instances apart. ok is
// false for every other unit.
func (v *view) template(name string) (template unit.Name, n int, ok bool) {
	template, err := unit.ParseName(name)
	if err != nil || !template.IsTemplate() {
		return template, 0, false
	}
	req := v.requirements(name)
	if req == nil || req.Instances == nil {
		return template, 0, false
	}
	u, _ := v.Unit(name)
	return template, u.Scaled.Count(*req.Instances), true
}

// lowest returns the state that all n instances of a template have reached, at
// most the one that is wanted of it.
func (v *view) lowest(template unit.Name, n int) unit.TargetState {
	u, _ := v.Unit(template.Full)
	lowest := u.DesiredState
	for i := range n {
		is := unit.Inactive
		if of, err := template.WithInstance(strconv.Itoa(i + 1)); err == nil {
			if u := v.unit(of.Full, plain); u != nil {
				is = u.CurrentState
			}
		}
		if !is.AtLeast(lowest) {
			lowest = is
		}
	}
	return lowest
}

// placement returns the one that says where a unit is: a run before a held
// before a release, and of these the latest.
func (v *view) placement(name string) *schedule.Placement {
	all := v.Placements(name)
	if len(all) == 0 {
		return nil
	}
	best := slices.MaxFunc(all, func(a, b schedule.Placement) int {
		return cmp.Or(cmp.Compare(rank(a.Order), rank(b.Order)), cmp.Compare(a.Generation, b.Generation))
	})
	return &best
}

func rank(o schedule.Order) int {
	switch o {
	case schedule.Run:
		return 2
	case schedule.Held:
		return 1
	}
	return 0
}

func (v *view) state(name, machine string) *unit.State {
	for _, st := range v.States(name) {
		if st.MachineID == machine {
			return &st
		}
	}
	return nil
}

// states returns what machines report of a unit, by machine. The report that
// a unit was released is the engine's alone.
func (v *view) states(name string) []unit.State {
	return slices.DeleteFunc(v.States(name), func(st unit.State) bool { return st.Released })
}

// current is the state that a unit has been brought to, by its placement and
// what the machine there reports. It equals the desired state only once the
// machine is done with all that was asked for last.
func current(u *unit.Unit, p *schedule.Placement, st *unit.State) unit.TargetState {
	if st == nil || st.Released {
		return unit.Inactive
	}
	reached := cmp.Or(st.Reached, unit.Inactive)
	current := st.Generation == p.Generation && p.Hash == u.Hash
	if p.Order == schedule.Release {
		// What it leaves is not what is asked for now, as when a unit was
		// destroyed and made anew while its machine still stops it.
		reached, current = unit.Loaded, false
		if st.Active() {
			reached = unit.Launched
		}
	}
	if current || reached != u.DesiredState {
		return reached
	}
	// What was reached was an earlier version or order of the same target.
	if reached == unit.Launched {
		return unit.Loaded
	}
	return unit.Inactive
}

// event returns a unit's whole status but the revision.
func (v *view) event(name string) Event {
	e := Event{Name: name, Unit: v.unit(name, plain), Placements: v.Placements(name), States: v.states(name)}
	on := map[string]bool{}
	for _, p := range e.Placements {
		on[p.MachineID] = true
	}
	for _, st := range e.States {
		on[st.MachineID] = true
	}
	for _, id := range slices.Sorted(maps.Keys(on)) {
		if m := v.machine(id); m != nil {
			e.Machines = append(e.Machines, *m)
		}
	}
	e.Explanation, e.Stuck = v.obstacle(e.Unit)
	return e
}

// obstacle says why a unit is not where it should be, and whether that is for
// want of a machine. It is empty where the unit is there, or on its way at a
// machine that fits.
func (v *view) obstacle(u *unit.Unit) (text string, stuck bool) {
	if u == nil || u.CurrentState == u.DesiredState && !v.leaving(u) {
		return "", false
	}
	x := v.explain(u.Name)
	// What still stops may have its next place already, and gets one then.
	stopping := slices.ContainsFunc(v.Placements(u.Name), func(p schedule.Placement) bool { return p.Order == schedule.Release })
	stuck = len(x.Fits) == 0 && len(x.Reasons) > 0 && !stopping
	missing := slices.ContainsFunc(x.Placed, func(id string) bool {
		_, here := v.Presence(id)
		return !here
	})
	switch {
	case x.Pending, u.DesiredState == unit.Inactive:
		return x.String(), stuck
	case !v.global(u.Name) && (missing || len(x.Reasons) > 0 || v.leaving(u)):
		return x.String(), stuck
	}
	return "", false
}

// leaving reports whether the unit's machine is being drained of it.
func (v *view) leaving(u *unit.Unit) bool {
	l, ok := v.Label(u.MachineID)
	return ok && l.Draining
}

// machine returns the machine as the API shows it, or nil.
func (v *view) machine(id string) *Machine {
	record, ok := v.Machine(id)
	if !ok {
		return nil
	}
	m := &Machine{Machine: record}
	if m.Metadata = v.EffectiveMetadata(id); m.Metadata == nil {
		m.Metadata = map[string]string{}
	}
	if p, here := v.Presence(id); here {
		m.Alive, m.Ready, m.Problem = true, p.Ready, p.Problem
	}
	if l, ok := v.Label(id); ok {
		m.Cordoned, m.Draining = l.Cordoned, l.Draining
	}
	if a, ok := v.Absence(id); ok && !m.Alive {
		m.AbsentSince = &a.Since
	}
	m.Use = v.Use(id)
	for _, p := range v.PlacementsOn(id) {
		if !p.Finished && !v.global(p.Unit) {
			m.Movable++
		}
	}
	return m
}
