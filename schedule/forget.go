package schedule

import (
	"fmt"
	"strings"
	"time"
)

// keepAbsence decides about a machine itself: it is noted since when one has
// been lost, that is taken back when the machine returns, and what has been
// lost for as long as the policy says is forgotten.
func (p *planner) keepAbsence(m *machine) {
	k := key{kind: absenceKind, machine: m.id}
	if p.machines[m.id] != m {
		return // nothing mentions it any more
	}
	p.timers.clear(k)
	if p.promised(k) {
		return
	}
	switch a := m.absence; {
	case m.facts.here || !m.facts.known:
		if a != nil {
			p.make(Decision{
				Others: []Change{{Deleted: true, Revision: m.absenceRev, Absence: &Absence{MachineID: m.id}}},
				Reason: m.id + " is back",
			})
		}
	case !m.lost:
	case a == nil:
		p.make(Decision{
			Others: []Change{{Absence: &Absence{MachineID: m.id, Since: p.now}}},
			Gone:   []string{m.id},
			Reason: m.id + " is lost",
		})
	case p.policy.ForgetAfter > 0:
		if due := a.Since.Add(p.policy.ForgetAfter); p.now.Before(due) {
			p.timers.set(k, due)
		} else {
			p.forget(m)
		}
	}
}

// forget deletes what the store holds of a machine that is gone for good, its
// placements with its record, all at once: a machine that came back to half of
// its placements couldn't tell that from a store that has gone back.
func (p *planner) forget(m *machine) {
	d := Decision{
		Gone:   []string{m.id},
		Reason: fmt.Sprintf("%s has been lost for %s and is forgotten", m.id, durationText(p.now.Sub(m.absence.Since))),
	}
	d.Others = append(d.Others,
		Change{Deleted: true, Revision: m.recordRev, Machine: &Machine{ID: m.id}},
		Change{Deleted: true, Revision: m.absenceRev, Absence: &Absence{MachineID: m.id}})
	if m.label != nil {
		d.Others = append(d.Others, Change{Deleted: true, Revision: m.labelRev, Label: &Label{MachineID: m.id}})
	}
	p.make(d)
}

// durationText writes a duration for people, as 24h or 1h30m.
func durationText(d time.Duration) string {
	text := d.Round(time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
