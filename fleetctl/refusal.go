package fleetctl

import (
	"errors"
	"net/http"
	"strings"

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

// named is what err says, with the unit's name unless it says that itself.
func named(name string, err error) string {
	if strings.Contains(err.Error(), name) {
		return err.Error()
	}
	return name + ": " + err.Error()
}

// orGone names a target state, also that of a unit that is destroyed.
func orGone(t unit.TargetState) string {
	if t == "" {
		return "gone"
	}
	return string(t)
}
