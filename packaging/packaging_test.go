package packaging_test

import (
	"slices"
	"strings"
	"testing"

	"fleet/packaging"
	"fleet/unit"
)

// What the rest of fleet relies on in its own units.
func TestUnits(t *testing.T) {
	units := packaging.Units()
	for _, want := range []struct{ unit, section, option, value, why string }{
		{"fleet.socket", "Socket", "ListenStream", "/run/fleet.sock", "fleetctl looks for it there"},
		{"fleet.service", "Service", "Type", "notify", "units are ordered after a fleetd that is ready"},
		{"fleet.service", "Service", "ExecReload", "/bin/kill -HUP $MAINPID", "a reload keeps the sockets"},
		{"fleet.service", "Service", "Restart", "always", "nobody else starts fleetd again"},
		{"fleet-units.target", "Unit", "After", "fleet.service", "at shutdown the units stop before fleetd"},
		{"fleet.service", "Unit", "StartLimitIntervalSec", "0", "it is started again however often it fails"},
	} {
		file, err := unit.Parse([]byte(units[want.unit]))
		if err != nil {
			t.Fatalf("%s: %v", want.unit, err)
		}
		if got := file.Values(want.section, want.option); !slices.Equal(got, []string{want.value}) {
			t.Errorf("%s: %s is %q, want %q: %s", want.unit, want.option, got, want.value, want.why)
		}
	}
	// Whatever requires fleet.service, or is part of it, stops with it.
	for _, tie := range []string{"Requires=", "BindsTo=", "PartOf=", "PropagatesStopTo="} {
		for name, text := range units {
			if strings.Contains(text, tie) {
				t.Errorf("%s has %s", name, tie)
			}
		}
	}
}
