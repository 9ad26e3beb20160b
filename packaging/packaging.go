// Package packaging holds the files that a package of fleet installs beside
// the binaries, so that programs which set up machines install the same ones.
package packaging

import _ "embed"

var (
	//go:embed fleet.service
	service string
	//go:embed fleet.socket
	socket string
	//go:embed fleet-units.target
	units string
)

// Units returns the texts of fleet's own systemd units by their names, as they
// belong into /usr/lib/systemd/system. They expect fleetd at /usr/bin/fleetd.
func Units() map[string]string {
	return map[string]string{
		"fleet.service":      service,
		"fleet.socket":       socket,
		"fleet-units.target": units,
	}
}
