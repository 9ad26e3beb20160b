package schedule

import (
	"maps"
	"slices"
)

// order keeps the sorted keys of a map until they change.
type order struct {
	keys  []string
	valid bool
}

func (o *order) changed() { o.valid, o.keys = false, nil }

// sorted returns the keys of m in order. A later change makes a new slice, so
// that one being iterated stays as it is.
func sorted[V any](o *order, m map[string]V) []string {
	if !o.valid {
		o.keys, o.valid = slices.Sorted(maps.Keys(m)), true
	}
	return o.keys
}
