//go:build machine

package sandbox

import (
	"context"
	"testing"
)

// TestExternalStore runs the host's etcd beside a machine.
func TestExternalStore(t *testing.T) {
	c := upForTest(t, Config{Dir: t.TempDir(), Name: "sbstore", Machines: 1, NoDocker: true, Store: StoreExternal})
	m, s := c.Machines()[0], c.Store()
	etcdctl := []string{"env", "ETCDCTL_API=3", "etcdctl", "--command-timeout=1s", "--endpoints=" + c.Endpoints()[0]}
	output(t, m, append(etcdctl, "put", "key", "value")...)
	for _, fault := range []struct {
		name string
		do   func(context.Context) error
		undo func(context.Context) error
	}{{Frozen, s.Freeze, s.Thaw}, {Off, s.Kill, s.Start}} {
		do(t, fault.do)
		if s.State() != fault.name {
			t.Errorf("the store is %s, not %s", s.State(), fault.name)
		}
		if out, err := m.Output(t.Context(), append(etcdctl, "get", "key")...); err == nil {
			t.Errorf("%s: the store still answers: %s", fault.name, out)
		}
		do(t, fault.undo)
		eventually(t, "the store that was "+fault.name+" answers", func() error {
			out, err := m.Output(t.Context(), append(etcdctl, "get", "key", "--print-value-only")...)
			if err == nil && out != "value\n" {
				t.Errorf("it has %q", out)
			}
			return err
		})
	}
}
