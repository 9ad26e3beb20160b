package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"fleet/schedule"
	"fleet/unit"
)

// DefaultPrefix is where everything lives unless configured otherwise.
const DefaultPrefix = "/fleet/"

// The key layout, below the prefix. Names hold no slash: unit names can't, and
// machine IDs are hexadecimal.
const (
	keyCluster = "cluster" // the cluster's identity, created once
	keyLeader  = "leader"  // who leads; its creation revision is the term
	keyForgot  = "forgot"  // rewritten whenever a user has a machine forgotten
	dirSeat    = "engine/" // engine/<n>: who may lead
	dirFile    = "file/"   // file/<sha256>: a unit file's text
	dirTouch   = "touch/"  // touch/<sha256>: rewritten by each submission of that file
	dirUnit    = "unit/"
	dirMachine = "machine/"
	dirAlive   = "alive/" // under the machine's lease
	dirLabel   = "label/"
	dirPlace   = "place/"  // place/<machine>/<unit>
	dirState   = "state/"  // state/<machine>/<unit>, under the machine's lease
	dirDone    = "done/"   // done/<unit>: a run-once unit has finished
	dirAbsent  = "absent/" // absent/<machine>: since when it has been lost
	dirReport  = "report/" // report/<machine>: rewritten by each report, under the machine's lease
)

// layout builds and takes apart the keys below one prefix.
type layout struct{ prefix string }

func newLayout(prefix string) layout {
	if prefix == "" {
		prefix = DefaultPrefix
	}
	return layout{"/" + strings.Trim(prefix, "/") + "/"}
}

func (l layout) key(parts ...string) string { return l.prefix + strings.Join(parts, "") }

func (l layout) cluster() string             { return l.key(keyCluster) }
func (l layout) leader() string              { return l.key(keyLeader) }
func (l layout) forgot() string              { return l.key(keyForgot) }
func (l layout) seat(n int) string           { return l.key(dirSeat, fmt.Sprint(n)) }
func (l layout) file(hash string) string     { return l.key(dirFile, hash) }
func (l layout) touch(hash string) string    { return l.key(dirTouch, hash) }
func (l layout) unit(name string) string     { return l.key(dirUnit, name) }
func (l layout) machine(id string) string    { return l.key(dirMachine, id) }
func (l layout) alive(id string) string      { return l.key(dirAlive, id) }
func (l layout) label(id string) string      { return l.key(dirLabel, id) }
func (l layout) place(m, name string) string { return l.key(dirPlace, m, "/", name) }
func (l layout) state(m, name string) string { return l.key(dirState, m, "/", name) }
func (l layout) done(name string) string     { return l.key(dirDone, name) }
func (l layout) absent(id string) string     { return l.key(dirAbsent, id) }
func (l layout) report(m string) string      { return l.key(dirReport, m) }
func (l layout) placesOf(m string) string    { return l.key(dirPlace, m, "/") }
func (l layout) statesOf(m string) string    { return l.key(dirState, m, "/") }

// end is the end of the range of all keys that start with prefix.
func end(prefix string) string {
	b := []byte(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < 0xff {
			b[i]++
			return string(b[:i+1])
		}
	}
	return "\x00"
}

// change turns one key's change into the record's. ok is false for keys that
// are no record of the model: the cluster's identity, files, elections, and
// whatever a newer fleet may keep.
func (l layout) change(kc KeyChange) (c schedule.Change, ok bool, err error) {
	rest, ours := strings.CutPrefix(kc.Key, l.prefix)
	if !ours {
		return c, false, nil
	}
	c.Revision, c.Deleted = kc.ModRevision, kc.Deleted
	var record any
	switch name, below := "", ""; {
	case cut(rest, dirUnit, &name):
		c.Unit = &unit.Unit{Name: name}
		record = c.Unit
	case cut(rest, dirMachine, &name):
		c.Machine = &schedule.Machine{ID: name}
		record = c.Machine
	case cut(rest, dirAlive, &name):
		c.Presence = &schedule.Presence{MachineID: name}
		record = c.Presence
	case cut(rest, dirLabel, &name):
		c.Label = &schedule.Label{MachineID: name}
		record = c.Label
	case cut(rest, dirPlace, &below):
		m, name, _ := strings.Cut(below, "/")
		c.Placement = &schedule.Placement{MachineID: m, Unit: name}
		record = c.Placement
	case cut(rest, dirState, &below):
		m, name, _ := strings.Cut(below, "/")
		c.State = &unit.State{MachineID: m, Name: name}
		record = c.State
	case cut(rest, dirDone, &name):
		c.Done = &schedule.Done{Unit: name}
		record = c.Done
	case cut(rest, dirAbsent, &name):
		c.Absence = &schedule.Absence{MachineID: name}
		record = c.Absence
	default:
		return c, false, nil
	}
	if kc.Deleted {
		return c, true, nil
	}
	if err := json.Unmarshal(kc.Value, record); err != nil {
		return c, false, fmt.Errorf("read %s: %w", kc.Key, err)
	}
	return c, true, nil
}

// decided returns the key and the record of a change that a decision brings
// along with its placements. Presences and states are for their machine to
// write, and placements have their own place in a decision.
func (l layout) decided(c schedule.Change) (key string, record any, err error) {
	switch {
	case c.Unit != nil:
		return l.unit(c.Unit.Name), c.Unit, nil
	case c.Done != nil:
		return l.done(c.Done.Unit), c.Done, nil
	case c.Absence != nil:
		return l.absent(c.Absence.MachineID), c.Absence, nil
	case c.Machine != nil:
		return l.machine(c.Machine.ID), c.Machine, nil
	case c.Label != nil:
		return l.label(c.Label.MachineID), c.Label, nil
	}
	return "", nil, errors.New("a decision may change records of units, done, absences, machines and labels, and no others")
}

func cut(s, prefix string, rest *string) bool {
	r, ok := strings.CutPrefix(s, prefix)
	if ok {
		*rest = r
	}
	return ok
}

// encode is a record's stored form. Records are plain structs, which always
// marshal.
func encode(record any) []byte {
	b, err := json.Marshal(record)
	if err != nil {
		panic(fmt.Sprintf("record %T does not marshal: %v", record, err))
	}
	return b
}
