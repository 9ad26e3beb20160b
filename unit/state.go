package unit

import "errors"

// TargetState is what a user wants of a unit.
type TargetState string

// The target states, lowest first.
const (
	Inactive TargetState = "inactive" // known to the cluster, on no machine
	Loaded   TargetState = "loaded"   // placed, in that machine's systemd, not started
	Launched TargetState = "launched" // placed and started
)

// Valid reports whether t is one of the three target states.
func (t TargetState) Valid() bool { return t == Inactive || t == Loaded || t == Launched }

// AtLeast reports whether t asks for as much as o or more.
func (t TargetState) AtLeast(o TargetState) bool { return t.rank() >= o.rank() }

func (t TargetState) rank() int {
	switch t {
	case Loaded:
		return 1
	case Launched:
		return 2
	}
	return 0
}

// Unit is one systemd unit that the cluster knows. Its JSON form is both the
// record at unit/<name>, without the fields on the wire, and the Unit of the HTTP
// API.
type Unit struct {
	Name         string      `json:"name"`
	Hash         string      `json:"hash,omitempty"` // SHA-256 of the file's text, lower-case hex
	DesiredState TargetState `json:"desiredState"`
	// Managed says that the engine keeps this instance for its template's
	// Instances=. What a user writes is the user's, and not managed.
	Managed bool `json:"managed,omitempty"`
	// Scaled overrides Instances= in a template's file, as fleetctl scale does.
	Scaled *Scale `json:"scaled,omitempty"`

	// On the wire only. Instances is how many of a template are kept.
	Instances    *int        `json:"instances,omitempty"`
	Options      []Option    `json:"options,omitempty"`
	Text         string      `json:"text,omitempty"` // the file, byte for byte
	CurrentState TargetState `json:"currentState,omitempty"`
	MachineID    string      `json:"machineID,omitempty"`
}

// Scale is a number of instances that a user asked for in place of the file's.
// It holds for as long as the file says what it said then.
type Scale struct {
	To   int `json:"to"`
	From int `json:"from"` // what Instances= said
}

// Count is how many instances a template is kept at whose file says from.
func (s *Scale) Count(from int) int {
	if s != nil && s.From == from {
		return s.To
	}
	return from
}

// State is what one machine reports of one unit. Its JSON form is both the
// record at state/<machine>/<unit> and the UnitState of the HTTP API.
type State struct {
	Name        string `json:"name"`
	Hash        string `json:"hash"` // of the file the machine has in place
	MachineID   string `json:"machineID"`
	LoadState   string `json:"systemdLoadState"`
	ActiveState string `json:"systemdActiveState"`
	SubState    string `json:"systemdSubState"`

	// Generation is that of the placement the machine acted on last.
	Generation int64 `json:"generation,omitempty"`
	// Reached is the target state the machine has brought the unit to at
	// Generation: a start job that ended well is "launched", whatever the unit
	// did later. Inactive until the machine is done.
	Reached TargetState `json:"reached,omitempty"`
	// FailedStarts counts how often the unit failed to start there, at
	// Generation, in the ten minutes up to the last time. It is kept for units
	// with Reschedule=, until they have been active for a minute.
	FailedStarts int `json:"failedStarts,omitempty"`
	// Released says that the order to release the unit at Generation has been
	// carried out: it is stopped and its file is gone.
	Released bool `json:"released,omitempty"`
	// Failure says, in a sentence for the user, why the machine could not do
	// what Generation asks. Empty when nothing is wrong.
	Failure string `json:"failure,omitempty"`
	// Orphaned says that the unit runs there without a placement in the store.
	Orphaned bool `json:"orphaned,omitempty"`
}

// Active reports whether systemd holds anything of the unit running: every
// active state but inactive and failed.
func (s *State) Active() bool {
	switch s.ActiveState {
	case "", "inactive", "failed":
		return false
	}
	return true
}

// What can be wrong with a named unit, told by whoever keeps units.
var (
	// ErrNotFound: the cluster knows no unit of that name.
	ErrNotFound = errors.New("unit does not exist")
	// ErrExists: the cluster knows a unit of that name with another file, or
	// another than the one the caller expected to replace.
	ErrExists = errors.New("unit exists with a different file")
	// ErrTooLarge: the file is over the size limit of Parse.
	ErrTooLarge = errors.New("unit file is larger than 1 MiB")
)
