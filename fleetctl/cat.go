package fleetctl

import (
	"io"

	"github.com/spf13/cobra"
)

func (a *app) cat() *cobra.Command {
	return &cobra.Command{
		Use:   "cat UNIT...",
		Short: "Print the files of units, as they were submitted",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := a.expand(cmd.Context(), args, anyUnit)
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			for _, name := range list {
				u, err := c.Unit(cmd.Context(), name)
				if err != nil {
					return err
				}
				if _, err := io.WriteString(a.stdout, u.Text); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
