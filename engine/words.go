package engine

import (
	"fleet/schedule"
)

// changes says what a decision does, in an operator's words.
func changes(d schedule.Decision) []string {
	var out []string
	for _, w := range d.Writes {
		verb := string(w.Placement.Order)
		if w.Delete {
			verb = "delete"
		}
		out = append(out, verb+" "+w.Placement.Unit+" on "+w.Placement.MachineID)
	}
	for _, c := range d.Others {
		if s := other(c); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// other is the like for a record that is no placement. A label goes with its
// machine without being told apart.
func other(c schedule.Change) string {
	switch {
	case c.Unit != nil && c.Deleted:
		return "remove " + c.Unit.Name
	case c.Unit != nil && c.Revision == 0:
		return "create " + c.Unit.Name + ", " + string(c.Unit.DesiredState)
	case c.Unit != nil:
		return "update " + c.Unit.Name + ", " + string(c.Unit.DesiredState)
	case c.Done != nil && c.Deleted:
		return "forget that " + c.Done.Unit + " has finished"
	case c.Done != nil:
		return c.Done.Unit + " has finished on " + c.Done.MachineID
	case c.Absence != nil && c.Deleted:
		return "end the absence of machine " + c.Absence.MachineID
	case c.Absence != nil:
		return "machine " + c.Absence.MachineID + " is absent"
	case c.Machine != nil && c.Deleted:
		return "forget machine " + c.Machine.ID
	}
	return ""
}
