package schedule

import (
	"errors"
	"time"

	"fleet/unit"
)

// Machine is a host that runs fleetd. Its JSON form is both the record at
// machine/<id>, which outlives the machine's presence, and the Machine of the
// HTTP API.
type Machine struct {
	ID        string            `json:"id"` // as in /etc/machine-id
	PrimaryIP string            `json:"primaryIP"`
	Metadata  map[string]string `json:"metadata"` // as configured on the machine
	Hostname  string            `json:"hostname,omitempty"`
	CPUs      int               `json:"cpus,omitempty"`
	Memory    int64             `json:"memory,omitempty"` // bytes
	TTL       int               `json:"ttl,omitempty"`    // of its lease, seconds
	Version   string            `json:"version,omitempty"`

	// Found is metadata that fleetd found by itself. Its keys begin with
	// FoundPrefix, which those of Metadata and of labels can't.
	Found map[string]string `json:"found,omitempty"`
	// What of CPUs and Memory is kept from units: thousandths of a CPU, bytes.
	ReservedCPU    int64 `json:"reservedCPU,omitempty"`
	ReservedMemory int64 `json:"reservedMemory,omitempty"`
}

// FoundPrefix begins the keys of the metadata that fleetd finds by itself, and
// of no other.
const FoundPrefix = "fleet."

// Presence says that a machine is there: the record at alive/<id>, which
// vanishes with the machine's lease.
type Presence struct {
	MachineID string `json:"machineID"`
	BootID    string `json:"bootID"`
	Nonce     string `json:"nonce"`             // tells the machine's earlier self from a clone
	Ready     bool   `json:"ready"`             // takes new units
	Problem   string `json:"problem,omitempty"` // why it is not ready
}

// Label is what operators have set on a machine: the record at label/<id>. It
// is kept across the machine's leaving and returning.
type Label struct {
	MachineID string            `json:"machineID"`
	Set       map[string]string `json:"set,omitempty"`     // metadata added or changed
	Removed   []string          `json:"removed,omitempty"` // metadata keys taken away
	Cordoned  bool              `json:"cordoned,omitempty"`
	Draining  bool              `json:"draining,omitempty"`
}

// Order is what a placement asks of its machine.
type Order string

// The orders.
const (
	Run     Order = "run"     // hold the unit at its target state
	Held    Order = "held"    // the machine was lost: run it on until it is replaced
	Release Order = "release" // stop it, remove it, and report that
)

// Placement is the decision that one unit belongs on one machine: the record
// at place/<machine>/<unit>.
type Placement struct {
	Unit      string           `json:"unit"`
	MachineID string           `json:"machineID"`
	Hash      string           `json:"hash"`   // of the unit file to run
	Target    unit.TargetState `json:"target"` // loaded or launched
	Order     Order            `json:"order"`
	// Generation grows with everything the machine has to act on: it is the
	// store revision the decision was planned from, so that a later decision
	// about the unit always has a larger one, on whichever machine.
	Generation int64 `json:"generation"`
	// Reason says, for people, why the placement is as it is.
	Reason string `json:"reason,omitempty"`

	// Memory (bytes) and CPU (thousandths) are what the unit reserves there, so
	// that they count until it has stopped, whatever its file says by then.
	Memory int64 `json:"memory,omitempty"`
	CPU    int64 `json:"cpu,omitempty"`
	// To, with a release, is the machine that the unit moves to: room is kept
	// for it there.
	To string `json:"to,omitempty"`
	// For, with a release, is the unit with Replaces= that comes in its place.
	For string `json:"for,omitempty"`
	// Attempts is how many failed starts there are to be before the unit is
	// tried elsewhere; 0 leaves a unit that failed to its Restart=.
	Attempts int `json:"attempts,omitempty"`
	// Trouble is what is remembered of a unit that was tried elsewhere.
	Trouble *Trouble `json:"trouble,omitempty"`
	// Finished says that a unit with RunOnce= has done its work: it is not to be
	// started again.
	Finished bool `json:"finished,omitempty"`
}

// Trouble is what is remembered of a unit that failed and was tried elsewhere,
// until it succeeds, its file changes or the user starts it anew.
type Trouble struct {
	Moves    int       `json:"moves"`    // how often it was tried elsewhere
	Machines []string  `json:"machines"` // where it failed, the latest last
	Until    time.Time `json:"until"`    // not to be moved again before
}

// Done is that a unit with RunOnce= has finished successfully: the record at
// done/<unit>, which outlives the machine.
type Done struct {
	Unit string `json:"unit"`
	// Revision is that of the unit's record that was run: a later one, as of a
	// new version or of a stop and start, is yet to run.
	Revision  int64     `json:"revision"`
	Hash      string    `json:"hash"`
	MachineID string    `json:"machineID"` // where it ran
	At        time.Time `json:"at"`
}

// Absence is since when a machine has been lost: the record at absent/<id>,
// by which one that is gone for good is forgotten in time.
type Absence struct {
	MachineID string    `json:"machineID"`
	Since     time.Time `json:"since"`
}

// Change is one record of the store that was written or deleted. Exactly one
// of the pointers is set; of a deleted record only the names that identify it.
type Change struct {
	Revision int64 // the store revision of the write or deletion
	Deleted  bool

	Unit      *unit.Unit
	File      *unit.File // the unit's file, beside Unit; nil if it can't be read
	Machine   *Machine
	Presence  *Presence
	Label     *Label
	Placement *Placement
	State     *unit.State
	Done      *Done
	Absence   *Absence
}

// Update brings a reader of the store from one revision to a later one.
type Update struct {
	// Snapshot says that Changes is everything there is: whatever the reader
	// knew before is void.
	Snapshot bool
	Revision int64
	Changes  []Change
}

// ErrCompacted: the store no longer has the revision that was asked for.
var ErrCompacted = errors.New("the store has compacted that revision away")

// ErrUnavailable: the store could not be reached, or did not answer in time.
// Nothing is known about what it holds.
var ErrUnavailable = errors.New("the store does not answer")

// ErrClaimed: another machine with the same machine ID is in the cluster.
var ErrClaimed = errors.New("another machine with this machine ID is in the cluster")

// ErrLeaseGone: the store says that the machine's lease has ended.
var ErrLeaseGone = errors.New("the machine's lease has ended")

// ErrUnknownMachine: no machine of that ID has ever joined.
var ErrUnknownMachine = errors.New("machine is not known")

// ErrAlive: the machine is there, so that it can't be forgotten.
var ErrAlive = errors.New("the machine is there")

// ErrForgotten: the store holds no cluster although the caller has known one.
var ErrForgotten = errors.New("the store is empty although this machine has known a cluster in it")
