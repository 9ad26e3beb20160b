package agent_test

import (
	"strings"
	"testing"

	"fleet/agent"
	"fleet/agent/runnertest"
)

func TestHollowConforms(t *testing.T) {
	h := agent.NewHollow(func(name string) agent.Behavior {
		return agent.Behavior{StartHangs: strings.HasPrefix(name, "runnertest-hangs")}
	})
	h.Foreign("foreign.service")
	h.Foreign("foreign@.service")
	runnertest.Run(t, func(*testing.T) agent.Runner { return h }, runnertest.Options{
		Foreign: []string{"foreign.service", "foreign@1.service"},
	})
	if names := h.Running(); len(names) != 0 {
		t.Errorf("%v still run", names)
	}
}
