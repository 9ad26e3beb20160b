package fleetctl

import (
	"github.com/spf13/cobra"

	"fleet/unit"
)

func (a *app) start() *cobra.Command {
	return a.bring("start", "Place units on machines and start them", unit.Launched)
}
