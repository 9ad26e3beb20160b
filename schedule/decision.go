package schedule

// Decision is one atomic change to the placements of a unit, or of several
// bound to each other, and to what belongs to that. It is written whole or not
// at all, and only if everything it was made from still holds.
type Decision struct {
	Writes []Write // not to be changed: the model counts with them
	// Others are further records to be written or deleted: units that the engine
	// keeps for a template, what is done, machines that are forgotten. Revision
	// is that of the record being replaced or deleted; 0 means that there was
	// none. A machine's record goes with all of its placements.
	Others []Change
	// Units are the unit records that were decided about.
	Units []UnitAt
	// Gone names the machines that were taken for lost: their presence must
	// still be absent.
	Gone []string
	// Reason says, for people, why.
	Reason string
}

// UnitAt is a unit's record as it was at a revision; 0 means that it was not
// there.
type UnitAt struct {
	Name     string
	Revision int64
}

// Write puts or deletes one placement.
type Write struct {
	Placement Placement // when Delete is set only Unit and MachineID matter
	Delete    bool
	// Revision is that of the placement being replaced or deleted; 0 means that
	// there was none.
	Revision int64
}
