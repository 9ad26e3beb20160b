package registry_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fleet/registry"
	"fleet/schedule"
	"fleet/unit"
)

// TestWhatAUserWritesIsTheUsers: an instance that the engine keeps becomes the
// user's own with the first change, and only then.
func TestWhatAUserWritesIsTheUsers(t *testing.T) {
	kv := registry.NewMemory()
	r, ctx := open(kv), t.Context()
	f := parse(t, text)
	_, err := r.PutUnit(ctx, "app@.service", f, unit.Launched, nil)
	must(t, err)
	kept := unit.Unit{Name: "app@1.service", Hash: f.Hash, DesiredState: unit.Launched, Managed: true}
	lead(t, r, func(ctx context.Context, term int64) {
		_, err := r.Apply(ctx, term, []schedule.Decision{{
			Units:  []schedule.UnitAt{{Name: "app@.service", Revision: unitRevision(t, kv, "app@.service")}},
			Others: []schedule.Change{{Unit: &kept}},
		}})
		must(t, err)
	})
	for _, file := range []*unit.File{nil, f} {
		_, err = r.PutUnit(ctx, kept.Name, file, unit.Launched, nil)
		must(t, err)
	}
	if diff := cmp.Diff(kept, stored(t, r)["unit app@1.service"]); diff != "" {
		t.Errorf("what was there already changed it (-want +got)\n%s", diff)
	}
	_, err = r.PutUnit(ctx, kept.Name, nil, unit.Inactive, nil)
	must(t, err)
	kept.Managed, kept.DesiredState = false, unit.Inactive
	if diff := cmp.Diff(kept, stored(t, r)["unit app@1.service"]); diff != "" {
		t.Errorf("stopped by the user (-want +got)\n%s", diff)
	}
}

func TestSetScale(t *testing.T) {
	kv := registry.NewMemory()
	r, ctx := open(kv), t.Context()
	five := &unit.Scale{To: 5, From: 3}
	if err := r.SetScale(ctx, "app@.service", five); !errors.Is(err, unit.ErrNotFound) {
		t.Errorf("an unknown template: %v", err)
	}
	_, err := r.PutUnit(ctx, "app@.service", parse(t, text), unit.Inactive, nil)
	must(t, err)
	must(t, r.SetScale(ctx, "app@.service", five))
	rev := unitRevision(t, kv, "app@.service")
	must(t, r.SetScale(ctx, "app@.service", &unit.Scale{To: 5, From: 3}))
	if unitRevision(t, kv, "app@.service") != rev {
		t.Error("the same again was written")
	}

	// It stays through new targets and files, and what it is void for is told
	// by its From alone.
	newer := parse(t, text+"#2\n")
	_, err = r.PutUnit(ctx, "app@.service", nil, unit.Launched, nil)
	must(t, err)
	_, err = r.PutUnit(ctx, "app@.service", newer, unit.Launched, nil)
	must(t, err)
	want := unit.Unit{Name: "app@.service", Hash: newer.Hash, DesiredState: unit.Launched, Scaled: five}
	if diff := cmp.Diff(want, stored(t, r)["unit app@.service"]); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	must(t, r.SetScale(ctx, "app@.service", nil))
	want.Scaled = nil
	if diff := cmp.Diff(want, stored(t, r)["unit app@.service"]); diff != "" {
		t.Errorf("as the file says again (-want +got)\n%s", diff)
	}
}

func TestDeletingAUnitForgetsThatItFinished(t *testing.T) {
	r, ctx := open(registry.NewMemory()), t.Context()
	_, err := r.PutUnit(ctx, "once.service", parse(t, text), unit.Launched, nil)
	must(t, err)
	lead(t, r, func(ctx context.Context, term int64) {
		_, err := r.Apply(ctx, term, []schedule.Decision{{Others: []schedule.Change{
			{Done: &schedule.Done{Unit: "once.service"}}, {Done: &schedule.Done{Unit: "once.service.other.service"}},
		}}})
		must(t, err)
	})
	must(t, r.DeleteUnit(ctx, "once.service"))
	want := map[string]any{"done once.service.other.service": schedule.Done{Unit: "once.service.other.service"}}
	if diff := cmp.Diff(want, stored(t, r)); diff != "" {
		t.Errorf("left (-want +got)\n%s", diff)
	}
}
