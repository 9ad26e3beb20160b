package systemd

import (
	"context"
	"fmt"

	sd "github.com/coreos/go-systemd/v22/dbus"
)

// inMemory returns what systemd holds in memory under a name. Unlike most
// questions this one doesn't make systemd read the unit's file. A name is a
// pattern that matches nothing else: systemd's know no escapes, and names have
// nothing that globs know but backslashes.
func inMemory(ctx context.Context, conn *sd.Conn, name string) (row sd.UnitStatus, ok bool, err error) {
	rows, err := conn.ListUnitsByPatternsContext(ctx, nil, []string{name})
	if err != nil {
		return row, false, fmt.Errorf("ask systemd about %s: %w", name, err)
	}
	if len(rows) == 0 {
		return row, false, nil
	}
	return rows[0], true, nil
}

// running says that systemd holds something of the unit running, or is about
// to.
func running(row sd.UnitStatus) bool {
	return row.JobId != 0 || row.ActiveState != "inactive" && row.ActiveState != "failed"
}

func fragmentPath(ctx context.Context, conn *sd.Conn, name string) (string, error) {
	return property[string](ctx, conn, name, "Unit", "FragmentPath")
}

// property reads one property of a unit; kind is Unit or its type, as Service.
func property[T any](ctx context.Context, conn *sd.Conn, name, kind, key string) (T, error) {
	var none T
	p, err := conn.GetUnitTypePropertyContext(ctx, name, kind, key)
	if err != nil {
		return none, fmt.Errorf("read %s of %s: %w", key, name, err)
	}
	value, ok := p.Value.Value().(T)
	if !ok {
		return none, fmt.Errorf("read %s of %s: it is of type %s", key, name, p.Value.Signature())
	}
	return value, nil
}
