package fleetctl

import (
	"errors"
	"net/http"

	"fleet/api"
	"fleet/unit"
)

// refusal is what keeps one unit from being changed, and no other.
type refusal struct{ why string }

func (r refusal) Error() string { return r.why }

// isRefusal reports whether err concerns the one unit that it came from.
func isRefusal(err error) bool {
	var r refusal
	var e *api.Error
	return errors.As(err, &r) || errors.As(err, &e) && e.Code < http.StatusInternalServerError
}

// orGone names a target state, also that of a unit that is destroyed.
func orGone(t unit.TargetState) string {
	if t == "" {
		return "gone"
	}
	return string(t)
}
