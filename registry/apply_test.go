package registry_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fleet/registry"
	"fleet/schedule"
	"fleet/unit"
)

// lead runs fn under a term.
func lead(t *testing.T, r *registry.Registry, fn func(ctx context.Context, term int64)) {
	t.Helper()
	must(t, r.Lead(t.Context(), "one", time.Minute, func(ctx context.Context, term int64) error {
		fn(ctx, term)
		return nil
	}))
}

// stored returns every record but files, by kind and name, as JSON would
// compare them.
func stored(t *testing.T, r *registry.Registry) map[string]any {
	t.Helper()
	u, err := r.Snapshot(t.Context(), 0)
	must(t, err)
	records := map[string]any{}
	for _, c := range u.Changes {
		switch {
		case c.Unit != nil:
			records["unit "+c.Unit.Name] = *c.Unit
		case c.Machine != nil:
			records["machine "+c.Machine.ID] = *c.Machine
		case c.Label != nil:
			records["label "+c.Label.MachineID] = *c.Label
		case c.Placement != nil:
			records["place "+c.Placement.MachineID+" "+c.Placement.Unit] = *c.Placement
		case c.Done != nil:
			records["done "+c.Done.Unit] = *c.Done
		case c.Absence != nil:
			records["absent "+c.Absence.MachineID] = *c.Absence
		}
	}
	return records
}

// TestADecisionsOtherRecords: they are written and deleted with the
// placements or not at all, and come back in snapshots.
func TestADecisionsOtherRecords(t *testing.T) {
	kv := registry.NewMemory()
	r := open(kv)
	f := parse(t, text)
	for _, n := range []string{"app@.service", "app@2.service"} {
		_, err := r.PutUnit(t.Context(), n, f, unit.Launched, nil)
		must(t, err)
	}
	template := schedule.UnitAt{Name: "app@.service", Revision: unitRevision(t, kv, "app@.service")}
	instance := unit.Unit{Name: "app@1.service", Hash: f.Hash, DesiredState: unit.Launched, Managed: true}
	done := schedule.Done{Unit: "once.service", Revision: 3, Hash: "h", MachineID: "m1", At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	absence := schedule.Absence{MachineID: "m1", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	place := schedule.Placement{Unit: "once.service", MachineID: "m1", Finished: true}

	lead(t, r, func(ctx context.Context, term int64) {
		d := schedule.Decision{
			Units:  []schedule.UnitAt{template},
			Writes: []schedule.Write{{Placement: place}},
			Others: []schedule.Change{
				{Unit: &instance},
				{Unit: &unit.Unit{Name: "app@2.service"}, Deleted: true, Revision: unitRevision(t, kv, "app@2.service")},
				{Done: &done},
				{Absence: &absence},
			},
		}
		refused, err := r.Apply(ctx, term, []schedule.Decision{d})
		must(t, err)
		if len(refused) > 0 {
			t.Fatalf("refused: %+v", refused)
		}
		template := unit.Unit{Name: "app@.service", Hash: f.Hash, DesiredState: unit.Launched}
		want := map[string]any{
			"unit app@.service": template, "unit app@1.service": instance,
			"done once.service": done, "absent m1": absence, "place m1 once.service": place,
		}
		if diff := cmp.Diff(want, stored(t, r)); diff != "" {
			t.Errorf("stored (-want +got)\n%s", diff)
		}

		// All of it is there now: nothing more may be written, neither of these.
		again := schedule.Decision{
			Writes: []schedule.Write{{Placement: schedule.Placement{Unit: "x.service", MachineID: "m1"}}},
			Others: []schedule.Change{{Absence: &absence}},
		}
		refused, err = r.Apply(ctx, term, []schedule.Decision{d, again})
		must(t, err)
		if len(refused) != 2 {
			t.Errorf("%d refused, want 2", len(refused))
		}
		if diff := cmp.Diff(want, stored(t, r)); diff != "" {
			t.Errorf("stored after what was refused (-want +got)\n%s", diff)
		}
	})
}

// TestAMachineIsForgottenByDecision: its records go together, and only while
// it is away.
func TestAMachineIsForgottenByDecision(t *testing.T) {
	r, ctx := open(registry.NewMemory()), t.Context()
	lease, err := r.Claim(ctx, "m1", []string{"n"}, 0, time.Minute)
	must(t, err)
	must(t, r.Report(ctx, lease, []schedule.Change{{Machine: &schedule.Machine{ID: "m1"}}}))
	must(t, r.EditLabels(ctx, []string{"m1"}, func(l []schedule.Label) error {
		l[0].Cordoned = true
		return nil
	}))
	must(t, r.Present(ctx, lease, schedule.Presence{MachineID: "m1", Nonce: "n"}, []string{"n"}))
	u, err := r.Snapshot(ctx, 0)
	must(t, err)
	forget := schedule.Decision{Gone: []string{"m1"}}
	for _, c := range u.Changes {
		if c.Machine != nil || c.Label != nil {
			c.Deleted = true
			forget.Others = append(forget.Others, c)
		}
	}
	lead(t, r, func(ctx context.Context, term int64) {
		refused, err := r.Apply(ctx, term, []schedule.Decision{forget})
		if err != nil || len(refused) != 1 {
			t.Errorf("of a machine that is there: refused %d, %v", len(refused), err)
		}
		must(t, r.End(ctx, lease))
		refused, err = r.Apply(ctx, term, []schedule.Decision{forget})
		if err != nil || len(refused) != 0 {
			t.Errorf("of a machine that is away: refused %d, %v", len(refused), err)
		}
		if left := stored(t, r); len(left) > 0 {
			t.Errorf("left of it: %v", left)
		}
	})
}

// TestWhatCantBeWrittenIsRefusedAlone: a decision that no transaction could
// hold, or that makes no sense, is refused and said; the term goes on, and so do
// the others.
func TestWhatCantBeWrittenIsRefusedAlone(t *testing.T) {
	good := schedule.Decision{Writes: []schedule.Write{{Placement: schedule.Placement{Unit: "good.service", MachineID: "m1"}}}}
	large := schedule.Decision{}
	for i := range registry.MaxOps {
		large.Writes = append(large.Writes, schedule.Write{Placement: schedule.Placement{Unit: fmt.Sprintf("u%d.service", i), MachineID: "m1"}})
	}
	managed := &unit.Unit{Name: "app@1.service", Hash: "h", Managed: true}
	for _, c := range []struct {
		name string
		bad  schedule.Decision
		want string
	}{
		{"too large", large, "transaction: 130 operations or conditions, the limit is 128"},
		{"a presence", schedule.Decision{Others: []schedule.Change{{Presence: &schedule.Presence{MachineID: "m1"}}}},
			"a decision may change records of units, done, absences, machines and labels, and no others"},
		{"a placement beside the placements", schedule.Decision{Others: []schedule.Change{{Placement: &schedule.Placement{Unit: "a.service", MachineID: "m1"}}}},
			"a decision may change records of units, done, absences, machines and labels, and no others"},
		{"the same record twice", schedule.Decision{Others: []schedule.Change{{Absence: &schedule.Absence{MachineID: "m1"}}, {Absence: &schedule.Absence{MachineID: "m1"}}}},
			"is put twice"},
		{"an instance without its template", schedule.Decision{Others: []schedule.Change{{Unit: managed}}},
			"app@1.service is to be written for its template, and whatever becomes of that"},
		{"an instance whose template is gone", schedule.Decision{Units: []schedule.UnitAt{{Name: "app@.service"}}, Others: []schedule.Change{{Unit: managed}}},
			"app@1.service is to be written for its template, and whatever becomes of that"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			r := registry.New(registry.NewMemory(), "", slog.New(slog.NewTextHandler(&log, nil)))
			lead(t, r, func(ctx context.Context, term int64) {
				c.bad.Reason = "because"
				refused, err := r.Apply(ctx, term, []schedule.Decision{good, c.bad})
				must(t, err)
				if diff := cmp.Diff([]schedule.Decision{c.bad}, refused); diff != "" {
					t.Errorf("refused (-want +got)\n%s", diff)
				}
				if len(stored(t, r)) != 1 {
					t.Errorf("stored %v, want the good one alone", stored(t, r))
				}
			})
			if !strings.Contains(log.String(), c.want) || !strings.Contains(log.String(), "reason=because") {
				t.Errorf("logged %q, want %q", log.String(), c.want)
			}
		})
	}
}

// between is a store in which something happens just before the first
// transaction that deletes a unit file.
type between struct {
	registry.KV
	happens func()
}

func (b *between) Txn(ctx context.Context, t registry.Txn) (registry.TxnResult, error) {
	if fn := b.happens; fn != nil && len(t.Then) > 0 && strings.HasPrefix(t.Then[0].Delete, "/fleet/file/") {
		b.happens = nil
		fn()
	}
	return b.KV.Txn(ctx, t)
}

// TestCollectionLeavesTheFilesOfKeptInstances: an instance that is written for
// its template refers to the template's file without submitting it. Neither a
// collection that began before the template had the file may delete it, nor
// may a decision that is older than the collection bring back a reference to a
// file that is gone.
func TestCollectionLeavesTheFilesOfKeptInstances(t *testing.T) {
	for _, c := range []struct {
		name  string
		after string // what the template has in the end
	}{
		{"the template goes on to another file", text + "#2\n"},
		{"the template is deleted", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			memory := registry.NewMemory()
			kv := &between{KV: memory}
			r, outside := open(kv), open(memory)
			f := parse(t, text)
			put := func(text string) {
				_, err := outside.PutUnit(t.Context(), "app@.service", parse(t, text), unit.Launched, nil)
				must(t, err)
			}
			instance := func() schedule.Decision {
				return schedule.Decision{
					Units:  []schedule.UnitAt{{Name: "app@.service", Revision: unitRevision(t, memory, "app@.service")}},
					Others: []schedule.Change{{Unit: &unit.Unit{Name: "app@1.service", Hash: f.Hash, DesiredState: unit.Launched, Managed: true}}},
				}
			}
			put(text)
			early := instance()
			put(text + "#1\n") // the first file is unused from here on
			lead(t, r, func(ctx context.Context, term int64) {
				kv.happens = func() {
					put(text)
					refused, err := outside.Apply(ctx, term, []schedule.Decision{instance()})
					if err != nil || len(refused) > 0 {
						t.Errorf("refused %d, %v", len(refused), err)
					}
					if c.after == "" {
						must(t, outside.DeleteUnit(ctx, "app@.service"))
					} else {
						put(c.after)
					}
				}
				if n, err := r.CollectFiles(ctx, term); err != nil || n != 0 {
					t.Errorf("collected %d, %v; the file was taken up again meanwhile", n, err)
				}
				if _, err := open(memory).File(ctx, f.Hash); err != nil {
					t.Errorf("the instance's file: %v", err)
				}

				// And the other way round: the decision comes after the collection.
				must(t, outside.DeleteUnit(ctx, "app@1.service"))
				put(text + "#3\n")
				if n, err := r.CollectFiles(ctx, term); err != nil || n == 0 {
					t.Errorf("collected %d, %v; nothing uses the file any more", n, err)
				}
				refused, err := outside.Apply(ctx, term, []schedule.Decision{early})
				if err != nil || len(refused) != 1 {
					t.Errorf("a decision from before: refused %d, %v", len(refused), err)
				}
			})
		})
	}
}
