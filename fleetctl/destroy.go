package fleetctl

import (
	"net/http"

	"github.com/spf13/cobra"
)

func (a *app) destroy() *cobra.Command {
	var b blocking
	cmd := &cobra.Command{
		Use:   "destroy UNIT...",
		Short: "Stop units, take them off their machines and forget them",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.change(cmd.Context(), b, args, anyUnit, func(name string, goals []goal) ([]goal, error) {
				c, err := a.client()
				if err != nil {
					return nil, err
				}
				err = c.DestroyUnit(cmd.Context(), name)
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
				return append(goals, goal{name: name}), nil
			})
		},
	}
	b.flags(cmd)
	return cmd
}
