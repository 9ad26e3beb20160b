package fleetctl

import (
	"cmp"
	"slices"

	"github.com/spf13/cobra"

	"fleet/api"
	"fleet/unit"
)

func (a *app) listUnits() *cobra.Command {
	var l listing
	cmd := &cobra.Command{
		Use:   "list-units",
		Short: "List the units that machines hold, with their states there",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			states, err := c.States(cmd.Context())
			if err != nil {
				return err
			}
			machines, err := c.Machines(cmd.Context(), true)
			if err != nil {
				return err
			}
			slices.SortFunc(states, func(a, b unit.State) int {
				return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.MachineID, b.MachineID))
			})
			return table(a, l, stateColumns(machines, &l), states)
		},
	}
	l.flags(cmd, "unit,machine,active,sub", names(stateColumns(nil, &l)))
	return cmd
}

func stateColumns(machines []api.Machine, l *listing) []column[unit.State] {
	return []column[unit.State]{
		{"unit", func(s unit.State) string { return s.Name }},
		{"machine", func(s unit.State) string { return legend(s.MachineID, machines, l.full) }},
		{"load", func(s unit.State) string { return s.LoadState }},
		{"active", func(s unit.State) string { return s.ActiveState }},
		{"sub", func(s unit.State) string { return s.SubState }},
		{"hash", func(s unit.State) string { return shortHash(s.Hash, l.full) }},
		{"orphaned", func(s unit.State) string {
			if s.Orphaned {
				return "orphaned"
			}
			return ""
		}},
	}
}
