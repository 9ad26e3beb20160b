package registry

import (
	"context"
	"encoding/json"
	"fmt"

	"fleet/schedule"
	"fleet/unit"
)

// PutUnit creates the unit called name or gives it a new version, with the
// target state, in one transaction; created tells which. Without a file only
// the target state changes. expect, where it isn't nil, is the hash of the
// file that the unit must have now, or empty if it must not exist. Writing
// what is there already changes nothing; an instance that the engine keeps for
// its template is the user's own from the first change on.
//
// Errors: unit.ErrNotFound without a file and a unit, unit.ErrExists when
// expect doesn't hold.
func (r *Registry) PutUnit(ctx context.Context, name string, file *unit.File, target unit.TargetState, expect *string) (created bool, err error) {
	for {
		old, rev, err := r.unit(ctx, name)
		if err != nil {
			return false, err
		}
		switch {
		case rev == 0 && file == nil:
			return false, fmt.Errorf("%s: %w", name, unit.ErrNotFound)
		case expect != nil && *expect != old.Hash:
			return false, fmt.Errorf("%s: %w", name, unit.ErrExists)
		}
		next := unit.Unit{Name: name, Hash: old.Hash, DesiredState: target, Scaled: old.Scaled}
		if file != nil {
			next.Hash = file.Hash
		}
		if rev != 0 && next.Hash == old.Hash && next.DesiredState == old.DesiredState {
			return false, nil
		}
		done, err := r.writeUnit(ctx, next, rev, file)
		if err != nil {
			return false, fmt.Errorf("write %s: %w", name, err)
		}
		if done {
			return rev == 0, nil
		}
	}
}

// writeUnit writes the record and, where it brings one, the file, if the
// unit's revision still is rev. The touch key makes a collection of the same
// file fail that began before this.
func (r *Registry) writeUnit(ctx context.Context, u unit.Unit, rev int64, file *unit.File) (done bool, err error) {
	t := Txn{
		If:   []Cond{{Key: r.keys.unit(u.Name), Rel: Equal, Value: rev}},
		Then: []Op{{Put: r.keys.unit(u.Name), Value: encode(u)}},
	}
	if file == nil {
		res, err := r.kv.Txn(ctx, t)
		return res.Succeeded, err
	}
	t.Then = append(t.Then, Op{Put: r.keys.touch(file.Hash), Value: []byte{}})
	known, err := r.kv.Range(ctx, Range{Key: r.keys.file(file.Hash), KeysOnly: true})
	if err != nil {
		return false, err
	}
	there := Cond{Key: r.keys.file(file.Hash), Create: true, Rel: Equal, Value: 0}
	if len(known.Pairs) == 0 {
		t.Then = append(t.Then, Op{Put: r.keys.file(file.Hash), Value: []byte(file.Text)})
	} else {
		there.Rel = Unequal
	}
	t.If = append(t.If, there)
	res, err := r.kv.Txn(ctx, t)
	return res.Succeeded, err
}

func (r *Registry) unit(ctx context.Context, name string) (unit.Unit, int64, error) {
	var u unit.Unit
	res, err := r.kv.Range(ctx, Range{Key: r.keys.unit(name)})
	if err != nil {
		return u, 0, fmt.Errorf("read %s: %w", name, err)
	}
	if len(res.Pairs) == 0 {
		return u, 0, nil
	}
	if err := json.Unmarshal(res.Pairs[0].Value, &u); err != nil {
		return u, 0, fmt.Errorf("read %s: %w", name, err)
	}
	return u, res.Pairs[0].ModRevision, nil
}

// SetScale has a template kept at s.To instances for as long as its file says
// s.From, or with nil at what the file says. Errors: unit.ErrNotFound.
func (r *Registry) SetScale(ctx context.Context, name string, s *unit.Scale) error {
	for {
		u, rev, err := r.unit(ctx, name)
		if err != nil {
			return err
		}
		if rev == 0 {
			return fmt.Errorf("%s: %w", name, unit.ErrNotFound)
		}
		if u.Scaled == s || u.Scaled != nil && s != nil && *u.Scaled == *s {
			return nil
		}
		u.Scaled = s
		done, err := r.writeUnit(ctx, u, rev, nil)
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		if done {
			return nil
		}
	}
}

// DeleteUnit removes the unit's record, and with it that the unit has finished.
// Its placements are not touched: the engine has them released. Errors:
// unit.ErrNotFound.
func (r *Registry) DeleteUnit(ctx context.Context, name string) error {
	key := r.keys.unit(name)
	res, err := r.kv.Txn(ctx, Txn{
		If:   []Cond{{Key: key, Create: true, Rel: Unequal, Value: 0}},
		Then: []Op{{Delete: key}, {Delete: r.keys.done(name)}},
	})
	if err != nil {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	if !res.Succeeded {
		return fmt.Errorf("%s: %w", name, unit.ErrNotFound)
	}
	return nil
}

// EditLabels applies fn to the labels of the named machines, in that order,
// and writes all of them or none. fn may be called again when another writer
// was faster; an error of fn's leaves everything as it is.
func (r *Registry) EditLabels(ctx context.Context, machines []string, fn func([]schedule.Label) error) error {
	for {
		labels, t, err := r.readLabels(ctx, machines)
		if err != nil {
			return err
		}
		if err := fn(labels); err != nil {
			return err
		}
		for i, id := range machines {
			labels[i].MachineID = id
			t.Then = append(t.Then, Op{Put: r.keys.label(id), Value: encode(labels[i])})
		}
		res, err := r.kv.Txn(ctx, t)
		if err != nil {
			return fmt.Errorf("write labels: %w", err)
		}
		if res.Succeeded {
			return nil
		}
	}
}

// readLabels returns the machines' labels and a transaction that holds only
// while they are as read.
func (r *Registry) readLabels(ctx context.Context, machines []string) ([]schedule.Label, Txn, error) {
	var t Txn
	labels := make([]schedule.Label, len(machines))
	for i, id := range machines {
		known, err := r.kv.Range(ctx, Range{Key: r.keys.machine(id), KeysOnly: true})
		if err != nil {
			return nil, t, fmt.Errorf("read machine %s: %w", id, err)
		}
		if len(known.Pairs) == 0 {
			return nil, t, fmt.Errorf("%w: %s", schedule.ErrUnknownMachine, id)
		}
		res, err := r.kv.Range(ctx, Range{Key: r.keys.label(id)})
		if err != nil {
			return nil, t, fmt.Errorf("read label of %s: %w", id, err)
		}
		cond := Cond{Key: r.keys.label(id), Rel: Equal}
		labels[i].MachineID = id
		if len(res.Pairs) == 1 {
			cond.Value = res.Pairs[0].ModRevision
			if err := json.Unmarshal(res.Pairs[0].Value, &labels[i]); err != nil {
				return nil, t, fmt.Errorf("read label of %s: %w", id, err)
			}
		}
		t.If = append(t.If, cond)
	}
	return labels, t, nil
}
