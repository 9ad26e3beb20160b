package fleetctl

import "github.com/spf13/cobra"

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			a.say("fleetctl version %s", version())
			return nil
		},
	}
}
