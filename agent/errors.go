package agent

import "errors"

// ErrForeign: the machine has a unit of that name which is not fleet's.
var ErrForeign = errors.New("the machine has a unit of this name that is not fleet's")
