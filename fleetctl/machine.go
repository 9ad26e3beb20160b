package fleetctl

import (
	"errors"
	"net/http"

	"github.com/spf13/cobra"

	"fleet/api"
)

func (a *app) machine() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "machine",
		Short: "Say what becomes of machines (machine forget)",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.forget())
	return cmd
}

func (a *app) forget() *cobra.Command {
	return &cobra.Command{
		Use:   "forget MACHINE...",
		Short: "Forget lost machines that won't come back, with all that the cluster knows of them",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			machines, err := a.machines(cmd.Context(), args)
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			failed := false
			for _, m := range machines {
				err := c.ForgetMachine(cmd.Context(), m.ID)
				var refused *api.Error
				switch {
				case isCode(err, http.StatusConflict) && errors.As(err, &refused):
					a.warn("fleetctl: %s", refused.Message)
					failed = true
				case err != nil && !isCode(err, http.StatusNotFound):
					return err
				default:
					a.say("Machine %s forgotten", called(m))
				}
			}
			if failed {
				return errReported
			}
			return nil
		},
	}
}
