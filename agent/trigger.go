package agent

import (
	"path"
	"strings"

	"fleet/schedule"
)

// triggers are the suffixes of units whose whole work is to start another one,
// by default the service of the same name.
var triggers = map[string]bool{".socket": true, ".timer": true, ".path": true}

// isTrigger reports whether the unit starts another one.
func isTrigger(name string) bool { return triggers[path.Ext(name)] }

// awaits reports whether the unit is to wait for the one that it triggers:
// systemd refuses to start a trigger without it, and both were placed here.
func (a *Agent) awaits(name string) bool {
	if !isTrigger(name) {
		return false
	}
	w := a.units[strings.TrimSuffix(name, path.Ext(name))+".service"]
	return w != nil && w.place != nil && w.place.Order == schedule.Run && w.seen.Hash != w.place.Hash
}

// loaded has whatever triggers the unit looked at anew, also what failed
// because the unit was not there.
func (a *Agent) loaded(name string) {
	for suffix := range triggers {
		trigger := strings.TrimSuffix(name, path.Ext(name)) + suffix
		if w := a.units[trigger]; w != nil && trigger != name {
			w.after = w.after.Add(-backoff(w.tries))
			a.dirty[trigger] = true
		}
	}
}
