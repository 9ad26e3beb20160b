package registry_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fleet/registry"
	"fleet/schedule"
	"fleet/unit"
)

// join makes a machine one of the cluster's, with a label, an absence and a
// placement, and returns its lease.
func join(t *testing.T, r *registry.Registry, id string) int64 {
	t.Helper()
	ctx := t.Context()
	lease, err := r.Claim(ctx, id, []string{"n"}, 0, time.Minute)
	must(t, err)
	must(t, r.Report(ctx, lease, []schedule.Change{
		{Machine: &schedule.Machine{ID: id}},
		{State: &unit.State{Name: "a.service", MachineID: id}},
	}))
	must(t, r.EditLabels(ctx, []string{id}, func(l []schedule.Label) error {
		l[0].Cordoned = true
		return nil
	}))
	must(t, r.Present(ctx, lease, schedule.Presence{MachineID: id, Nonce: "n"}, []string{"n"}))
	lead(t, r, func(ctx context.Context, term int64) {
		refused, err := r.Apply(ctx, term, []schedule.Decision{{
			Writes: []schedule.Write{{Placement: schedule.Placement{Unit: "a.service", MachineID: id}}},
			Others: []schedule.Change{{Absence: &schedule.Absence{MachineID: id}}},
		}})
		if err != nil || len(refused) > 0 {
			t.Fatalf("refused %d, %v", len(refused), err)
		}
	})
	return lease
}

func TestForget(t *testing.T) {
	r, ctx := open(registry.NewMemory()), t.Context()
	lease := join(t, r, "m1")
	join(t, r, "m10")
	if err := r.Forget(ctx, "m1"); !errors.Is(err, schedule.ErrAlive) {
		t.Errorf("a machine that is there: %v, want ErrAlive", err)
	}
	if n := len(stored(t, r)); n != 8 {
		t.Errorf("%d records are left of 8", n)
	}
	must(t, r.End(ctx, lease))
	must(t, r.Forget(ctx, "m1"))
	want := map[string]any{
		"machine m10": schedule.Machine{ID: "m10"}, "label m10": schedule.Label{MachineID: "m10", Cordoned: true},
		"absent m10": schedule.Absence{MachineID: "m10"}, "place m10 a.service": schedule.Placement{Unit: "a.service", MachineID: "m10"},
	}
	if diff := cmp.Diff(want, stored(t, r)); diff != "" {
		t.Errorf("left (-want +got)\n%s", diff)
	}
	for _, id := range []string{"m1", "never-seen"} {
		if err := r.Forget(ctx, id); !errors.Is(err, schedule.ErrUnknownMachine) {
			t.Errorf("%s: %v, want ErrUnknownMachine", id, err)
		}
	}
}

// TestNothingIsPlacedOnAMachineForgottenMeanwhile: the engine may have planned
// just before the machine was lost, and its write come after all is forgotten.
func TestNothingIsPlacedOnAMachineForgottenMeanwhile(t *testing.T) {
	r, ctx := open(registry.NewMemory()), t.Context()
	must(t, r.End(ctx, join(t, r, "m1")))
	before, err := r.Snapshot(ctx, 0)
	must(t, err)
	must(t, r.Forget(ctx, "m1"))
	after, err := r.Snapshot(ctx, 0)
	must(t, err)
	place := func(machine string, generation int64) []schedule.Decision {
		return []schedule.Decision{{Writes: []schedule.Write{{Placement: schedule.Placement{Unit: "b.service", MachineID: machine, Generation: generation}}}}}
	}
	lead(t, r, func(ctx context.Context, term int64) {
		refused, err := r.Apply(ctx, term, place("m1", before.Revision))
		if err != nil || len(refused) != 1 {
			t.Errorf("planned before: refused %d, %v", len(refused), err)
		}
		refused, err = r.Apply(ctx, term, place("m2", after.Revision))
		if err != nil || len(refused) != 0 {
			t.Errorf("planned afterwards: refused %d, %v", len(refused), err)
		}
	})
}

// TestTheEngineForgetsAMachineWithItsPlacements, and with no other's.
func TestTheEngineForgetsAMachineWithItsPlacements(t *testing.T) {
	r, ctx := open(registry.NewMemory()), t.Context()
	lease := join(t, r, "m1")
	join(t, r, "m10")
	forget := func(want int) {
		t.Helper()
		d := schedule.Decision{Gone: []string{"m1"}}
		u, err := r.Snapshot(ctx, 0)
		must(t, err)
		for _, c := range u.Changes {
			gone := schedule.Change{Deleted: true, Revision: c.Revision}
			switch {
			case c.Machine != nil && c.Machine.ID == "m1":
				gone.Machine = c.Machine
			case c.Absence != nil && c.Absence.MachineID == "m1":
				gone.Absence = c.Absence
			case c.Label != nil && c.Label.MachineID == "m1":
				gone.Label = c.Label
			default:
				continue
			}
			d.Others = append(d.Others, gone)
		}
		lead(t, r, func(ctx context.Context, term int64) {
			refused, err := r.Apply(ctx, term, []schedule.Decision{d})
			if err != nil || len(refused) != want {
				t.Errorf("refused %d, want %d: %v", len(refused), want, err)
			}
		})
	}
	forget(1) // it is there
	if n := len(stored(t, r)); n != 8 {
		t.Errorf("%d records are left of 8", n)
	}
	must(t, r.End(ctx, lease))
	forget(0)
	want := map[string]any{
		"machine m10": schedule.Machine{ID: "m10"}, "label m10": schedule.Label{MachineID: "m10", Cordoned: true},
		"absent m10": schedule.Absence{MachineID: "m10"}, "place m10 a.service": schedule.Placement{Unit: "a.service", MachineID: "m10"},
	}
	if diff := cmp.Diff(want, stored(t, r)); diff != "" {
		t.Errorf("left (-want +got)\n%s", diff)
	}
}

var errEnough = errors.New("enough")

// firstUpdate is what an agent is told first.
func firstUpdate(t *testing.T, r *registry.Registry, id string) schedule.Update {
	t.Helper()
	var first schedule.Update
	err := r.Placements(t.Context(), id, func(u schedule.Update) error {
		first = u
		return errEnough
	})
	if !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	return first
}

// TestAnAgentIsToldOfItsOwnRecord: whether the cluster still knows the machine
// comes with its placements and as of the same revision.
func TestAnAgentIsToldOfItsOwnRecord(t *testing.T) {
	r, ctx := open(registry.NewMemory()), t.Context()
	lease := join(t, r, "m1")
	u := firstUpdate(t, r, "m1")
	counts := func(u schedule.Update) (machines, placements, states int) {
		for _, c := range u.Changes {
			switch {
			case c.Machine != nil && c.Machine.ID == "m1":
				machines++
			case c.Placement != nil:
				placements++
			case c.State != nil:
				states++
			}
		}
		return
	}
	if m, p, s := counts(u); m != 1 || p != 1 || s != 1 || len(u.Changes) != 3 {
		t.Errorf("%d machines, %d placements, %d states of %d changes, want one each", m, p, s, len(u.Changes))
	}
	joined := func(u schedule.Update) int64 {
		i := slices.IndexFunc(u.Changes, func(c schedule.Change) bool { return c.Machine != nil })
		return u.Changes[i].Revision
	}
	must(t, r.Report(ctx, lease, []schedule.Change{{Machine: &schedule.Machine{ID: "m1", Hostname: "renamed"}}}))
	if now := firstUpdate(t, r, "m1"); joined(now) != joined(u) {
		t.Error("a machine that reports anew seems to have been let in anew")
	}
	must(t, r.End(ctx, lease))
	must(t, r.Forget(ctx, "m1"))
	if u := firstUpdate(t, r, "m1"); len(u.Changes) != 0 || !u.Snapshot || u.Revision == 0 {
		t.Errorf("a forgotten machine is told %+v", u)
	}
}
