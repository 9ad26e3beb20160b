package schedule

// key identifies a record of the store.
type key struct {
	kind          kind
	machine, unit string
}

type kind byte

const (
	unitKind kind = iota
	machineKind
	presenceKind
	labelKind
	placementKind
	stateKind
	doneKind
	absenceKind
)

// tombstones remember the revisions at which records were deleted, so that an
// older change of one which comes late brings nothing back. Only the latest
// deletions are kept: between one and two times the limit.
type tombstones struct{ young, old map[key]int64 }

const tombstoneLimit = 16384

func (t *tombstones) add(k key, revision int64) {
	if len(t.young) >= tombstoneLimit {
		t.old, t.young = t.young, nil
	}
	if t.young == nil {
		t.young = make(map[key]int64)
	}
	t.young[k] = revision
}

// revision returns when the record was deleted, 0 if that isn't known.
func (t *tombstones) revision(k key) int64 {
	if r, ok := t.young[k]; ok {
		return r
	}
	return t.old[k]
}

// remove forgets a record that exists again.
func (t *tombstones) remove(k key) {
	delete(t.young, k)
	delete(t.old, k)
}
