package fleetctl

import (
	"context"
	"net/http"
	"slices"

	"github.com/spf13/cobra"

	"fleet/unit"
)

func (a *app) destroy() *cobra.Command {
	var b blocking
	cmd := &cobra.Command{
		Use:   "destroy UNIT...",
		Short: "Stop units, take them off their machines and forget them",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.change(cmd.Context(), b, args, anyUnit, func(name string, goals []goal) ([]goal, error) {
				return a.destroyOne(cmd.Context(), b, name, goals)
			})
		},
	}
	b.flags(cmd)
	return cmd
}

// destroyOne has the cluster forget a unit, and with a template the instances
// that were kept of it.
func (a *app) destroyOne(ctx context.Context, b blocking, name string, goals []goal) ([]goal, error) {
	if slices.ContainsFunc(goals, func(g goal) bool { return g.name == name }) {
		return goals, nil // it goes with its template
	}
	c, err := a.client()
	if err != nil {
		return nil, err
	}
	away, err := a.alongWith(ctx, name)
	if err == nil {
		err = c.DestroyUnit(ctx, name)
	}
	switch {
	case isCode(err, http.StatusNotFound):
		a.warn("%s: the cluster has no such unit", name) // which is what was asked for
		return goals, nil
	case err != nil:
		return nil, err
	case b.noBlock:
		a.say("Destroyed %s", name)
		return goals, nil
	}
	return append(append(goals, goal{name: name}), away...), nil
}

// alongWith returns the goals of those that go with a unit which is destroyed.
// It says what becomes of an instance that is kept.
func (a *app) alongWith(ctx context.Context, name string) ([]goal, error) {
	n, err := unit.ParseName(name)
	switch {
	case err != nil:
		return nil, err
	case n.IsTemplate():
		w, err := a.whole(ctx, n)
		w.count = 0
		var goals []goal
		for _, o := range w.surplus() {
			goals = append(goals, goal{name: o, template: name})
		}
		return goals, err
	case n.IsInstance():
		c, err := a.client()
		if err != nil {
			return nil, err
		}
		u, err := c.Unit(ctx, name)
		if u.Managed {
			a.warn("%s is kept by %s, which makes it anew: fleetctl scale changes how many there are", name, n.Template())
		}
		return nil, err
	}
	return nil, nil
}
