package agent

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// unhealthy is how many units must have failed to start within healthWindow
	// for the machine to be at fault, rather than the units.
	unhealthy    = 3
	healthWindow = 5 * time.Minute
	// namedUnits is how many of them are named.
	namedUnits = 10
)

// health tells a machine that fails at its work: different units that failed to
// start there lately and have not started since. It is not kept on disk: with
// another fleetd it begins anew.
type health map[string]time.Time // unit → when it failed to start last

func (h health) failed(name string, now time.Time) { h[name] = now }

func (h health) started(name string) { delete(h, name) }

// problem says why the machine should take no new units, empty if it should,
// and until when that holds if nothing happens.
func (h health) problem(now time.Time) (problem string, until time.Time) {
	var names []string
	var times []time.Time
	for name, at := range h {
		if now.Sub(at) >= healthWindow {
			delete(h, name)
			continue
		}
		names, times = append(names, name), append(times, at)
	}
	n := len(names)
	if n < unhealthy {
		return "", time.Time{}
	}
	slices.Sort(names)
	more := ""
	if n > namedUnits {
		names, more = names[:namedUnits], fmt.Sprintf(" and %d more", n-namedUnits)
	}
	slices.SortFunc(times, time.Time.Compare)
	return fmt.Sprintf("%d units failed to start here within %d minutes: %s%s",
		n, int(healthWindow.Minutes()), strings.Join(names, ", "), more), times[0].Add(healthWindow)
}
