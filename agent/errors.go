package agent

import "errors"

// ErrForeign: the machine has a unit of that name which is not fleet's.
var ErrForeign = errors.New("the machine has a unit of this name that is not fleet's")

// ErrFailed: the unit itself could not be started: its job ran and failed, or
// systemd refuses its file. Starting it again is not fleet's to decide.
var ErrFailed = errors.New("failed to start")
