package fleetctl

import (
	"context"
	"slices"
	"strconv"

	"fleet/unit"
)

// whole is a template with its instances, as the cluster has them.
type whole struct {
	template unit.Unit
	name     unit.Name
	count    int                  // of the instances that the engine is to keep
	of       map[string]unit.Unit // the instances there are, by name
}

// whole reads a template and its instances.
func (a *app) whole(ctx context.Context, name unit.Name) (whole, error) {
	w := whole{name: name, of: map[string]unit.Unit{}}
	c, err := a.client()
	if err != nil {
		return w, err
	}
	if w.template, err = c.Unit(ctx, name.Full); err != nil {
		return w, err
	}
	if w.template.Instances != nil {
		w.count = *w.template.Instances
	}
	all, err := c.Units(ctx)
	for _, u := range all {
		if n, err := unit.ParseName(u.Name); err == nil && n.InstanceOf(name) {
			w.of[u.Name] = u
		}
	}
	return w, err
}

// kept returns the names of the instances that the engine is to keep. own are
// those among them that a user has made, which it leaves alone.
func (w *whole) kept() (names, own []string) {
	for i := range w.count {
		n, err := w.name.WithInstance(strconv.Itoa(i + 1))
		if err != nil {
			break // longer than a name can be, as are all that follow
		}
		if u, known := w.of[n.Full]; known && !u.Managed {
			own = append(own, n.Full)
			continue
		}
		names = append(names, n.Full)
	}
	return names, own
}

// surplus returns the names of the instances that the engine keeps and is not
// to keep any more, sorted.
func (w *whole) surplus() []string {
	stay := map[string]bool{}
	names, _ := w.kept()
	for _, n := range names {
		stay[n] = true
	}
	var surplus []string
	for _, u := range w.of {
		if u.Managed && !stay[u.Name] {
			surplus = append(surplus, u.Name)
		}
	}
	slices.Sort(surplus)
	return surplus
}

// leave says which instances stay as they are.
func (a *app) leave(own []string) {
	for _, n := range own {
		a.warn("%s was made by hand and is left as it is", n)
	}
}

// wholeGoals returns where the instances go of a template that was given a
// target state: g's, or away where they are too many.
func (a *app) wholeGoals(w whole, g goal) []goal {
	g.template, g.hash = w.name.Full, w.template.Hash
	names, own := w.kept()
	a.leave(own)
	if w.count == 0 {
		a.warn("%s is kept at 0 instances: fleetctl scale changes that", w.name)
	}
	var goals []goal
	for _, n := range names {
		g.name = n
		goals = append(goals, g)
	}
	for _, n := range w.surplus() {
		goals = append(goals, goal{name: n, template: g.template})
	}
	return goals
}

// triggerWhole is trigger for a template and its instances.
func (a *app) triggerWhole(ctx context.Context, goals []goal, b blocking, verb string, name unit.Name, g goal) ([]goal, error) {
	if b.noBlock {
		return a.trigger(goals, b, verb, false, goal{name: name.Full}), nil
	}
	w, err := a.whole(ctx, name)
	if err != nil {
		return goals, err
	}
	return append(goals, a.wholeGoals(w, g)...), nil
}

// lowered is trigger for a unit whose target state was lowered, be it a
// template as a whole.
func (a *app) lowered(ctx context.Context, goals []goal, b blocking, verb string, u unit.Unit, g goal) ([]goal, error) {
	if u.Instances == nil {
		return a.trigger(goals, b, verb, isGlobal(u), g), nil
	}
	name, err := unit.ParseName(u.Name)
	if err != nil {
		return goals, err
	}
	return a.triggerWhole(ctx, goals, b, verb, name, g)
}

// setTarget changes a unit's target state.
func (a *app) setTarget(ctx context.Context, u unit.Unit, target unit.TargetState) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	if err := c.SetTarget(ctx, u.Name, target); err != nil {
		return err
	}
	a.taken(u)
	return nil
}

// taken says that an instance is the user's from now on.
func (a *app) taken(u unit.Unit) {
	if n, err := unit.ParseName(u.Name); err == nil && u.Managed {
		a.warn("%s is yours now: %s keeps it no longer (fleetctl destroy gives it back)", n, n.Template())
	}
}
