package unit_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"fleet/unit"
)

// TestFleet1Options: unit files as fleet 1.0's users have them mean what they
// meant.
func TestFleet1Options(t *testing.T) {
	const id = "148a18ff6e954cd892da9de9bb90d5a5"
	meta := func(key string, values ...string) unit.Metadata { return unit.Metadata{Key: key, Values: values} }
	for _, c := range []struct {
		name, options string
		want          unit.Requirements
	}{
		{"web.service", "MachineID=" + id, unit.Requirements{MachineID: id}},
		{"web.service", "X-ConditionMachineID=" + id, unit.Requirements{MachineID: id}},
		{"web.service", "MachineMetadata=region=us-east-1", unit.Requirements{Metadata: []unit.Metadata{meta("region", "us-east-1")}}},
		{"web.service", `MachineMetadata="region=us-east-1" "diskType=SSD"`,
			unit.Requirements{Metadata: []unit.Metadata{meta("region", "us-east-1"), meta("diskType", "SSD")}}},
		{"web.service", "MachineMetadata=region=us-east-1\nMachineMetadata=diskType=SSD\nMachineMetadata=region=us-west-1",
			unit.Requirements{Metadata: []unit.Metadata{meta("region", "us-east-1", "us-west-1"), meta("diskType", "SSD")}}},
		{"web.service", `X-ConditionMachineMetadata="region=us-east-1" "region=us-west-1"`,
			unit.Requirements{Metadata: []unit.Metadata{meta("region", "us-east-1", "us-west-1")}}},
		{"web.service", "MachineMetadata=url=a=b", unit.Requirements{Metadata: []unit.Metadata{meta("url", "a=b")}}},
		{"foo@1.service", "MachineOf=%p.socket", unit.Requirements{MachineOf: []string{"foo.socket"}}},
		{"foo.service", "MachineOf=%N.socket\nMachineOf=bar.service", unit.Requirements{MachineOf: []string{"foo.socket", "bar.service"}}},
		{"lb@2.service", "X-ConditionMachineOf=web@%i.service", unit.Requirements{MachineOf: []string{"web@2.service"}}},
		{"apache@1.service", "Conflicts=apache@*.service\nX-Conflicts=monitor*", unit.Requirements{Conflicts: []string{"apache@*.service", "monitor*"}}},
		{"apache@1.service", "Conflicts=%p@*.service", unit.Requirements{Conflicts: []string{"apache@*.service"}}},
		{"agent.service", "Global=true\nMachineMetadata=role=node\nConflicts=web.*.service",
			unit.Requirements{Global: true, Metadata: []unit.Metadata{meta("role", "node")}, Conflicts: []string{"web.*.service"}}},
		{"agent.service", "Global=false", unit.Requirements{}},
		{"new.service", "Replaces=old.*.service", unit.Requirements{Replaces: []string{"old.*.service"}}},
	} {
		f, err := unit.Parse([]byte("[Unit]\nDescription=d\n[Service]\nExecStart=/bin/true\n[X-Fleet]\n" + c.options + "\n"))
		if err != nil {
			t.Errorf("%s: %v", c.options, err)
			continue
		}
		got, err := f.Requirements(c.name)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s in %s: %v (-want +got)\n%s", c.options, c.name, err, diff)
		}
	}
}
