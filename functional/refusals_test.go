package functional

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleet/registry"
	"fleet/unit"
)

// refusals counts the log's lines of decisions that were refused.
type refusals struct {
	slog.Handler
	n atomic.Int64
}

func (h *refusals) Enabled(context.Context, slog.Level) bool { return true }
func (h *refusals) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *refusals) Handle(_ context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "refused") {
		h.n.Add(1)
	}
	return nil
}

// TestWhatCanNeverBeWrittenIsNoBusyLoop: a record that nobody can read is in the
// way of one unit's placement. It is tried again now and then, nobody else
// waits, and the unit runs soon after the record is gone.
func TestWhatCanNeverBeWrittenIsNoBusyLoop(t *testing.T) {
	simulate(t, 1, func(s *simulation) {
		m, count := s.machines[0], &refusals{}
		m.stopFleetd()
		s.log = slog.New(count)
		key := "/fleet/place/" + m.id + "/a.service"
		store := func(op registry.Op) {
			if _, err := s.store.Txn(context.Background(), registry.Txn{Then: []registry.Op{op}}); err != nil {
				t.Fatal(err)
			}
		}
		store(registry.Op{Put: key, Value: []byte("no JSON")})
		s.put("a.service", service, unit.Launched)
		m.startFleetd()
		s.within(simTTL, "it is refused", func() bool { return count.n.Load() > 0 })
		s.put("b.service", service, unit.Launched)
		s.within(time.Second, "another unit runs", func() bool { return len(s.running("b.service")) == 1 })
		s.pass(time.Minute)
		if n := count.n.Load(); n < 5 || n > 20 {
			t.Errorf("tried %d times within a minute", n)
		}
		store(registry.Op{Delete: key})
		s.within(11*time.Second, "it runs once there is room for its placement", func() bool { return len(s.running("a.service")) == 1 })
	})
}
