package schedule

// Decision is one atomic change to the placements of a unit, or of several
// bound by MachineOf. It is written whole or not at all, and only if
// everything it was made from still holds.
type Decision struct {
	Writes []Write
	// Units holds the revision of each unit record decided about; 0 means that
	// the unit was not there.
	Units map[string]int64
	// Gone names the machines that were taken for lost: their presence must
	// still be absent.
	Gone []string
	// Reason says, for people, why.
	Reason string
}

// Write puts or deletes one placement.
type Write struct {
	Placement Placement // when Delete is set only Unit and MachineID matter
	Delete    bool
	// Revision is that of the placement being replaced or deleted; 0 means that
	// there was none.
	Revision int64
}
