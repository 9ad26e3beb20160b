package fleetctl

import (
	"github.com/spf13/cobra"

	"fleet/unit"
)

func (a *app) load() *cobra.Command {
	return a.bring("load", "Place units on machines, without starting them", unit.Loaded)
}
