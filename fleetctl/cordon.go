package fleetctl

import "github.com/spf13/cobra"

func (a *app) cordon() *cobra.Command {
	return &cobra.Command{
		Use:   "cordon MACHINE...",
		Short: "Place no new units on machines; what they have stays",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.maintain(cmd, args, true, "Machine %s cordoned")
		},
	}
}

func (a *app) uncordon() *cobra.Command {
	return &cobra.Command{
		Use:   "uncordon MACHINE...",
		Short: "Let machines that were cordoned or drained take units again",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.maintain(cmd, args, false, "Machine %s takes units again")
		},
	}
}

// maintain cordons the machines, or ends that and any drain.
func (a *app) maintain(cmd *cobra.Command, args []string, cordoned bool, done string) error {
	machines, err := a.machines(cmd.Context(), args)
	if err != nil {
		return err
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	for _, m := range machines {
		// To cordon a machine that is being drained doesn't stop the drain.
		if err := c.SetMaintenance(cmd.Context(), m.ID, cordoned, cordoned && m.Draining); err != nil {
			return err
		}
		a.say(done, called(m))
	}
	return nil
}
