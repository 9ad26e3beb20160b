package fleetctl

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

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
		{"metadata", func(m api.Machine) string { return pairs(m.Metadata) }},
		{"hostname", func(m api.Machine) string { return m.Hostname }},
		{"state", machineState},
		{"units", func(m api.Machine) string { return strconv.Itoa(m.Use.Units) }},
		{"memory", freeMemory},
		{"cpu", freeCPU},
		{"version", func(m api.Machine) string { return m.Version }},
		{"found", func(m api.Machine) string { return pairs(m.Found) }},
	}
}

// pairs writes metadata as k=v,k=v, in the order of the keys.
func pairs(metadata map[string]string) string {
	all := make([]string, 0, len(metadata))
	for _, k := range slices.Sorted(maps.Keys(metadata)) {
		all = append(all, k+"="+metadata[k])
	}
	return strings.Join(all, ",")
}

// machineState says in a few words whether a machine is there and takes units,
// and if not, all that is in the way.
func machineState(m api.Machine) string {
	var is []string
	switch {
	case m.AbsentSince != nil:
		is = append(is, "lost since "+m.AbsentSince.Local().Format(time.DateTime))
	case !m.Alive:
		is = append(is, "lost")
	case !m.Ready:
		is = append(is, "not ready: "+dash(m.Problem))
	}
	switch {
	case m.Draining && m.Movable == 0:
		is = append(is, "drained")
	case m.Draining:
		is = append(is, "draining")
	case m.Cordoned:
		is = append(is, "cordoned")
	}
	if len(is) == 0 {
		return "ready"
	}
	return strings.Join(is, ", ")
}

// freeMemory says how much of the memory that units may reserve is free.
func freeMemory(m api.Machine) string {
	if m.Memory == 0 {
		return ""
	}
	all := m.Memory - m.ReservedMemory
	return size(all-m.Use.Memory) + " free of " + size(all)
}

// freeCPU says how many of the CPUs that units may reserve are free.
func freeCPU(m api.Machine) string {
	if m.CPUs == 0 {
		return ""
	}
	all := int64(m.CPUs)*1000 - m.ReservedCPU
	return cpus(all-m.Use.CPU) + " free of " + cpus(all)
}

// size writes bytes for people, rounded down to a tenth of the largest unit
// that there is one of.
func size(bytes int64) string {
	if bytes < 0 {
		return "-" + size(-bytes) // units kept from before the machine had less
	}
	const suffixes = "KMGTPE"
	text := strconv.FormatInt(bytes, 10)
	for i := range suffixes {
		unit := int64(1) << (10 * (i + 1))
		if bytes < unit {
			break
		}
		tenths := bytes / (unit / 1024) * 10 / 1024
		text = strconv.FormatFloat(float64(tenths)/10, 'f', -1, 64) + suffixes[i:i+1]
	}
	return text
}

// cpus writes thousandths of a CPU as in a unit file: 1.5.
func cpus(thousandths int64) string {
	return strconv.FormatFloat(float64(thousandths)/1000, 'f', -1, 64)
}
