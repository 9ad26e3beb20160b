package fleetctl

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fleet/api"
)

func (a *app) listMachines() *cobra.Command {
	var l listing
	var all bool
	cmd := &cobra.Command{
		Use:   "list-machines",
		Short: "List the machines of the cluster",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			machines, err := c.Machines(cmd.Context(), all)
			if err != nil {
				return err
			}
			return table(a, l, machineColumns(&l), machines)
		},
	}
	l.flags(cmd, "machine,ip,metadata", names(machineColumns(&l)))
	cmd.Flags().BoolVar(&all, "all", false, "also machines that are lost (--fields machine,ip,state tells which)")
	return cmd
}

func machineColumns(l *listing) []column[api.Machine] {
	return []column[api.Machine]{
		{"machine", func(m api.Machine) string { return shortID(m.ID, l.full) }},
		{"ip", func(m api.Machine) string { return m.PrimaryIP }},
		{"metadata", func(m api.Machine) string {
			pairs := make([]string, 0, len(m.Metadata))
			for _, k := range slices.Sorted(maps.Keys(m.Metadata)) {
				pairs = append(pairs, k+"="+m.Metadata[k])
			}
			return strings.Join(pairs, ",")
		}},
		{"hostname", func(m api.Machine) string { return m.Hostname }},
		{"state", machineState},
	}
}

// machineState says in a word or two whether a machine takes units.
func machineState(m api.Machine) string {
	switch {
	case !m.Alive:
		return "lost"
	case m.Draining:
		return "draining"
	case m.Cordoned:
		return "cordoned"
	case !m.Ready:
		return "not ready: " + dash(m.Problem)
	}
	return "ready"
}
