package registry_test

import (
	"testing"
	"testing/synctest"

	"fleet/registry"
	"fleet/registry/kvtest"
)

func TestMemoryConforms(t *testing.T) {
	for _, c := range kvtest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.Test(t, registry.NewMemory()) })
		})
	}
}

// Outside a bubble the clock is real.
func TestMemoryConformsInRealTime(t *testing.T) {
	for _, c := range kvtest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			c.Test(t, registry.NewMemory())
		})
	}
}
