package fleetctl

import (
	"fmt"

	"github.com/spf13/cobra"

	"fleet/unit"
)

func (a *app) stop() *cobra.Command {
	var b blocking
	cmd := &cobra.Command{
		Use:   "stop UNIT...",
		Short: "Stop units; they stay loaded on their machines",
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
				switch u.DesiredState {
				case unit.Inactive:
					return nil, refusal{fmt.Sprintf("Unable to stop unit %s in state inactive", name)}
				case unit.Launched:
					if err := a.setTarget(cmd.Context(), u, unit.Loaded); err != nil {
						return nil, err
					}
				}
				return a.lowered(cmd.Context(), goals, b, "stop", u, goal{name: name, want: unit.Loaded, stop: true})
			})
		},
	}
	b.flags(cmd)
	return cmd
}
