//go:build machine

package sandbox

import (
	"sync"
	"testing"
)

// TestCoexist brings two sandboxes up at the same time. They get different
// subnets, and taking one down leaves the other alone.
func TestCoexist(t *testing.T) {
	var wg sync.WaitGroup
	var clusters [2]*Cluster
	for i, name := range []string{"sbone", "sbtwo"} {
		cfg := Config{Dir: t.TempDir(), Name: name, Machines: 1, NoDocker: true}
		wg.Go(func() { clusters[i] = tryUp(t, cfg) })
	}
	wg.Wait()
	one, two := clusters[0], clusters[1]
	if one == nil || two == nil {
		t.FailNow()
	}
	if one.Subnet().Overlaps(two.Subnet()) {
		t.Errorf("the subnets %s and %s overlap", one.Subnet(), two.Subnet())
	}
	do(t, one.Down)
	output(t, two.Machines()[0], "ip", "addr", "show", "host0")
	if m := two.Machines()[0]; !m.Connected() {
		t.Error("taking one sandbox down pulled the other's cable")
	}
}
