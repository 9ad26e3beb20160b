package fleetctl

import (
	"context"

	"github.com/spf13/cobra"

	"fleet/unit"
)

func (a *app) submit() *cobra.Command {
	var replace bool
	cmd := &cobra.Command{
		Use:   "submit UNIT...",
		Short: "Make units known to the cluster, without placing them",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sources, err := a.sources(cmd.Context(), args, anyUnit)
			if err != nil {
				return err
			}
			failed := false
			for _, s := range sources {
				o, err := a.ensure(cmd.Context(), s, "", replace)
				if err != nil {
					return err
				}
				if o.created {
					a.say("Unit %s inactive", s.name)
				}
				failed = failed || o.kept
			}
			if failed {
				return errReported
			}
			return nil
		},
	}
	replaceFlag(cmd, &replace)
	return cmd
}

func replaceFlag(cmd *cobra.Command, replace *bool) {
	cmd.Flags().BoolVar(replace, "replace", false, "put the local file in the place of one that the cluster has")
}

// bring makes the command of a verb that submits units where need be and then
// brings them to a target state.
func (a *app) bring(verb, short string, want unit.TargetState) *cobra.Command {
	var b blocking
	var replace bool
	cmd := &cobra.Command{
		Use:   verb + " UNIT...",
		Short: short,
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := b.check(); err != nil {
				return err
			}
			sources, err := a.sources(cmd.Context(), args, runnable)
			if err != nil {
				return err
			}
			var goals []goal
			for _, s := range sources {
				o, err := a.ensure(cmd.Context(), s, want, replace)
				if err != nil {
					return a.halfway(goals, err)
				}
				if o.created {
					a.say("Unit %s inactive", s.name)
				}
				g := goal{name: s.name.Full, want: want, same: o.same}
				if s.name.IsTemplate() {
					if goals, err = a.triggerWhole(cmd.Context(), goals, b, verb, s.name, g); err != nil {
						return a.halfway(goals, err)
					}
					continue
				}
				if !o.same {
					a.taken(o.old)
				}
				goals = a.trigger(goals, b, verb, o.global, g)
			}
			return a.wait(cmd.Context(), b, goals)
		},
	}
	b.flags(cmd)
	replaceFlag(cmd, &replace)
	return cmd
}

// trigger adds the goal of a unit that was asked to change, unless it is not
// to be waited for: then it says that it was asked.
func (a *app) trigger(goals []goal, b blocking, verb string, global bool, g goal) []goal {
	switch {
	case global:
		a.say("Triggered global unit %s %s", g.name, verb)
	case b.noBlock:
		a.say("Triggered unit %s %s", g.name, verb)
	default:
		return append(goals, g)
	}
	return goals
}

// halfway tells what was asked for before an error, and stands.
func (a *app) halfway(goals []goal, err error) error {
	for _, g := range goals {
		a.warn("%s: asked to be %s, not waited for", g.name, orGone(g.want))
	}
	return err
}

// change applies one request to each unit that the arguments name, and waits
// for those that it returns a goal for.
func (a *app) change(ctx context.Context, b blocking, args []string, globs scope, one func(name string, goals []goal) ([]goal, error)) error {
	if err := b.check(); err != nil {
		return err
	}
	list, err := a.expand(ctx, args, globs)
	if err != nil {
		return err
	}
	var goals []goal
	failed := false
	for _, name := range list {
		next, err := one(name, goals)
		switch {
		case isRefusal(err):
			a.warn("%s", named(name, err))
			failed = true
		case err != nil:
			return a.halfway(goals, err)
		default:
			goals = next
		}
	}
	if err := a.wait(ctx, b, goals); err != nil {
		return err
	}
	if failed {
		return errReported
	}
	return nil
}
