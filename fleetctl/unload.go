package fleetctl

import (
	"github.com/spf13/cobra"

	"fleet/unit"
)

func (a *app) unload() *cobra.Command {
	var b blocking
	cmd := &cobra.Command{
		Use:   "unload UNIT...",
		Short: "Stop units and take them off their machines",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.change(cmd.Context(), b, args, runnable, func(name string, goals []goal) ([]goal, error) {
				c, err := a.client()
				if err != nil {
					return nil, err
				}
				u, err := c.Unit(cmd.Context(), name)
				if err != nil {
					return nil, err
				}
				if u.DesiredState != unit.Inactive {
					if err := a.setTarget(cmd.Context(), u, unit.Inactive); err != nil {
						return nil, err
					}
				}
				return a.lowered(cmd.Context(), goals, b, "unload", u, goal{name: name, want: unit.Inactive})
			})
		},
	}
	b.flags(cmd)
	return cmd
}
