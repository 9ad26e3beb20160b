package agent

import "context"

// Runner executes units on one machine: systemd, or a hollow one for
// simulation. Its methods may be called at once for different units, never
// for the same one, and each is idempotent. Errors are sentences for the user.
type Runner interface {
	// Load puts the unit's file in place so that the next start uses it,
	// replacing an earlier version. A name that the machine has from elsewhere
	// is refused with an error that wraps ErrForeign, untouched. The unit is
	// not running, or runs on with what it had until it is started again.
	Load(ctx context.Context, name, text string) error
	// Start starts a loaded unit and waits for the job's result. A unit that
	// runs already stays as it is. An error that wraps ErrFailed says that the
	// unit could not be started; any other, that the machine could not try.
	Start(ctx context.Context, name string) error
	// Stop stops a unit and waits for the job's result. Stopping one that is
	// not running, not known or not fleet's touches nothing and is success.
	Stop(ctx context.Context, name string) error
	// Unload takes a stopped unit's file away and makes the machine forget it.
	// Unloading one that is not known or not fleet's touches nothing and is
	// success.
	Unload(ctx context.Context, name string) error
	// Observe calls fn first with every unit that fleet has in place on the
	// machine, whoever put it there and also before a restart, and then with
	// those that changed, until ctx ends or the machine can't be observed any
	// more. fn must not wait for a call to return: what fn is told once a call
	// for a unit has returned shows what that call did, and after a start it is
	// told of the unit whether that changed anything or not. A unit whose file is
	// gone is observed once more with Hash empty. Now and then everything is told
	// again (All true).
	Observe(ctx context.Context, fn func(Observation)) error
}

// Observation is what a machine shows of its units.
type Observation struct {
	All   bool // Units is every unit there is
	Units []Observed
}

// Observed is what a machine shows of one unit.
type Observed struct {
	Name         string
	Hash         string // SHA-256 of the file in place, lower-case hex; empty when there is none
	LoadState    string // as systemd says them
	ActiveState  string
	SubState     string
	InvocationID string // of the current or last run, 32 hex digits; empty for none
	Result       string // systemd's Result of the last run: "success", "exit-code", …
	ExitStatus   int    // of the main process, where there is one
}
