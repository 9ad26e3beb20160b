package fleetctl

import (
	"context"
	"fmt"
	"strings"

	"fleet/api"
)

// machines returns the machines that the arguments name: by their ID, the
// beginning of one as the listings show it, their host name or their address.
// Lost ones count too.
func (a *app) machines(ctx context.Context, args []string) ([]api.Machine, error) {
	c, err := a.client()
	if err != nil {
		return nil, err
	}
	all, err := c.Machines(ctx, true)
	if err != nil {
		return nil, err
	}
	var found []api.Machine
	seen := map[string]bool{}
	for _, arg := range args {
		m, err := findMachine(arg, all)
		if err != nil {
			return nil, err
		}
		if !seen[m.ID] {
			seen[m.ID] = true
			found = append(found, m)
		}
	}
	return found, nil
}

// findMachine returns the one machine that arg names. A whole ID goes before
// everything else, so that no machine can take another one's name.
func findMachine(arg string, all []api.Machine) (api.Machine, error) {
	// As the listings show it: 113f16a7... or 113f16a7.../172.17.8.101.
	name, _, _ := strings.Cut(arg, "/")
	prefix := strings.TrimSuffix(name, "...")
	var matches []api.Machine
	for _, m := range all {
		switch {
		case m.ID == name:
			return m, nil
		case prefix != "" && strings.HasPrefix(m.ID, prefix), m.Hostname == arg, m.PrimaryIP == arg:
			matches = append(matches, m)
		}
	}
	switch {
	case arg == "" || len(matches) == 0:
		return api.Machine{}, fmt.Errorf("the cluster knows no machine %q (fleetctl list-machines --all --fields machine,hostname,ip lists them)", arg)
	case len(matches) > 1:
		names := make([]string, len(matches))
		for i, m := range matches {
			names[i] = called(m)
		}
		return api.Machine{}, fmt.Errorf("%s could be any of %s", arg, strings.Join(names, ", "))
	}
	return matches[0], nil
}

// called names a machine to people: 113f16a7.../172.17.8.101 (web-1).
func called(m api.Machine) string {
	name := legend(m.ID, []api.Machine{m}, false)
	if m.Hostname != "" {
		name += " (" + m.Hostname + ")"
	}
	return name
}
