package fleetctl

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"fleet/api"
	"fleet/unit"
)

func (a *app) listUnitFiles() *cobra.Command {
	var l listing
	cmd := &cobra.Command{
		Use:   "list-unit-files",
		Short: "List the units that the cluster knows, with their target states",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			units, err := c.Units(cmd.Context())
			if err != nil {
				return err
			}
			machines, err := c.Machines(cmd.Context(), true)
			if err != nil {
				return err
			}
			slices.SortFunc(units, func(a, b unit.Unit) int { return cmp.Compare(a.Name, b.Name) })
			return table(a, l, unitColumns(units, machines, &l), units)
		},
	}
	l.flags(cmd, "unit,hash,dstate,state,target", names(unitColumns(nil, nil, &l)))
	return cmd
}

func unitColumns(units []unit.Unit, machines []api.Machine, l *listing) []column[unit.Unit] {
	target := func(u unit.Unit) string {
		if isGlobal(u) {
			return "global"
		}
		return legend(u.MachineID, machines, l.full)
	}
	hashes := map[string]string{}
	for _, u := range units {
		hashes[u.Name] = u.Hash
	}
	return []column[unit.Unit]{
		{"unit", func(u unit.Unit) string { return u.Name }},
		{"hash", func(u unit.Unit) string { return shortHash(u.Hash, l.full) }},
		{"dstate", func(u unit.Unit) string { return string(u.DesiredState) }},
		{"state", func(u unit.Unit) string { return string(u.CurrentState) }},
		{"target", target},
		{"tmachine", target},
		{"global", func(u unit.Unit) string { return strconv.FormatBool(isGlobal(u)) }},
		{"instances", func(u unit.Unit) string {
			if u.Instances == nil {
				return ""
			}
			return strconv.Itoa(*u.Instances)
		}},
		{"drift", func(u unit.Unit) string { return drift(u, hashes) }},
		{"desc", func(u unit.Unit) string {
			f := unit.File{Options: u.Options}
			return f.Description()
		}},
	}
}

// drift says how an instance stands to its template in the cluster: follows if
// it is kept for that, else whether its file is the same or differs.
func drift(u unit.Unit, hashes map[string]string) string {
	n, err := unit.ParseName(u.Name)
	if err != nil || !n.IsInstance() {
		return ""
	}
	hash, known := hashes[n.Template()]
	switch {
	case !known:
		return ""
	case u.Managed:
		return "follows"
	case u.Hash == hash:
		return "same"
	}
	return "differs"
}

// isGlobal reports whether a unit of the API belongs on every machine.
func isGlobal(u unit.Unit) bool {
	f, err := unit.FromOptions(u.Options)
	if err != nil {
		return false
	}
	req, err := f.Requirements(u.Name)
	return err == nil && req.Global
}
