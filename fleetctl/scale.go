package fleetctl

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"fleet/unit"
)

func (a *app) scale() *cobra.Command {
	var b blocking
	cmd := &cobra.Command{
		Use:   "scale NAME@.service N",
		Short: "Have N instances kept of a template that says Instances=",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := b.check(); err != nil {
				return err
			}
			name, err := mangle(filepath.Base(args[0]))
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(args[1])
			if err != nil {
				return fmt.Errorf("%q is not a number of instances", args[1])
			}
			goals, err := a.rescale(cmd.Context(), name, n)
			if err != nil {
				return err
			}
			a.say("Scaled %s to %s", name, count(n, "instance"))
			if b.noBlock {
				return nil
			}
			return a.wait(cmd.Context(), b, goals)
		},
	}
	b.flags(cmd)
	return cmd
}

// rescale sets how many instances there are to be, and returns the goals of
// those that come and go.
func (a *app) rescale(ctx context.Context, name unit.Name, n int) ([]goal, error) {
	w, err := a.whole(ctx, name)
	if err != nil {
		return nil, err
	}
	c, err := a.client()
	if err != nil {
		return nil, err
	}
	if err := c.Scale(ctx, name.Full, n); err != nil {
		return nil, err
	}
	if n == w.count {
		return nil, nil
	}
	w.count = n
	names, own := w.kept()
	a.leave(own)
	var goals []goal
	for _, o := range names {
		if _, known := w.of[o]; !known {
			goals = append(goals, goal{name: o, want: w.template.DesiredState, template: name.Full, hash: w.template.Hash})
		}
	}
	for _, o := range w.surplus() {
		goals = append(goals, goal{name: o, template: name.Full})
	}
	return goals, nil
}
