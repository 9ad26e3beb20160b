package schedule

import (
	"fmt"
	"slices"
	"time"

	"fleet/unit"
)

// A unit with Reschedule= that failed to start as often as that says is tried
// on another machine, together with what is bound to it: at once the first
// time, and then later and later. Where it failed is remembered, so that other
// machines come first, until it has been up for a while or its record changes.
const (
	firstBackOff   = 10 * time.Second
	longestBackOff = 10 * time.Minute
	troubleOver    = 10 * time.Minute // after which a unit that is up has recovered
	troublesKept   = 8                // machines that are remembered
)

// after is what is remembered once the unit has failed on one more machine.
func (t *Trouble) after(machine string, now time.Time) *Trouble {
	next := &Trouble{}
	if t != nil {
		*next = *t
	}
	wait := longestBackOff
	if next.Moves < 6 {
		wait = min(firstBackOff<<next.Moves, longestBackOff)
	}
	machines := slices.DeleteFunc(slices.Clone(next.Machines), func(id string) bool { return id == machine })
	machines = append(machines, machine)
	next.Machines = machines[max(0, len(machines)-troublesKept):]
	next.Moves, next.Until = next.Moves+1, now.Add(wait)
	return next
}

// trouble returns what is remembered of the unit as its record is now, or nil.
func (n *node) trouble() *Trouble {
	var latest *Placement
	for _, s := range n.slots {
		if p := s.placement(); p != nil && (latest == nil || p.Generation > latest.Generation) {
			latest = p
		}
	}
	if latest == nil || n.unit == nil || latest.Hash != n.unit.Hash || latest.Target != n.unit.DesiredState {
		return nil
	}
	return latest.Trouble
}

// shunned reports whether the unit failed on the machine before.
func (n *node) shunned(m *machine) bool {
	if len(n.slots) == 0 {
		return false
	}
	t := n.trouble()
	return t != nil && slices.Contains(t.Machines, m.id)
}

// failing returns where the unit has failed to start so often that it is to be
// tried elsewhere, or nil.
func (n *node) failing() *slot {
	s := n.running()
	if s == nil || s.planned != nil || !s.machine.facts.here || s.state == nil || s.place.Target != unit.Launched {
		return nil
	}
	if s.place.Attempts == 0 || s.state.Generation != s.place.Generation || s.state.FailedStarts < s.place.Attempts {
		return nil
	}
	return s
}

// reschedule moves the group if one of it fails where it is and another machine
// takes the whole. It reports whether the group has to stay because none does.
func (p *planner) reschedule(group []*node) (waits bool) {
	var failing *node
	for _, n := range group {
		if !n.placed() || !n.running().machine.facts.here {
			return false
		}
		if failing == nil && n.failing() != nil {
			failing = n
		}
	}
	if failing == nil || p.backsOff(failing) {
		return false
	}
	if p.overdrawn(group) != nil {
		p.queue(group)
		return false
	}
	q := query{c: p.Cluster, part: group, group: group, free: true, away: true}
	m := q.best()
	if m == nil {
		return true
	}
	reason := failing.failure()
	var writes []Write
	for _, n := range group {
		writes = append(writes, p.moving(n.running(), m, reason))
	}
	p.decide(listed(nodeNames(group))+" to go to "+m.id+": "+reason, nil, writes, p.decidedFrom(group, group)...)
	return false
}

// failure says that the unit fails where it is.
func (n *node) failure() string {
	s := n.running()
	times := "once"
	if s.state.FailedStarts > 1 {
		times = fmt.Sprintf("%d times", s.state.FailedStarts)
	}
	return n.name + " failed to start " + times + " on " + s.machine.id
}

// backsOff reports whether it is too early to move the unit again, and has it
// looked at in time.
func (p *planner) backsOff(n *node) bool {
	t := n.running().place.Trouble
	if t == nil || !p.now.Before(t.Until) {
		return false
	}
	p.timers.set(key{kind: unitKind, unit: n.name}, t.Until)
	return true
}

// recover has forgotten what went wrong with a unit that has been up for a
// while since it was tried elsewhere.
func (p *planner) recover(n *node) {
	s := n.running()
	if s == nil || s.planned != nil || s.place.Trouble == nil || n.failing() != nil {
		return
	}
	k := key{kind: unitKind, unit: n.name}
	switch due := s.place.Trouble.Until.Add(troubleOver); {
	case p.now.Before(due):
		p.timers.set(k, due)
	case !s.settled() || !s.up():
		p.timers.set(k, p.now.Add(troubleOver))
	default:
		pl := *s.place
		pl.Trouble, pl.Reason = nil, "it has been up for a while since it failed elsewhere"
		p.decide(n.name+" has recovered on "+s.machine.id, nil, []Write{s.put(pl)}, n)
	}
}

// explainFailing says what becomes of a unit that fails where it is, "" if it
// doesn't.
func (c *Cluster) explainFailing(e *Explanation, n *node, group []*node) string {
	i := slices.IndexFunc(group, func(o *node) bool { return o.failing() != nil })
	if i < 0 {
		return ""
	}
	text := ", but " + group[i].failure()
	if t := group[i].running().place.Trouble; t != nil && c.now.Before(t.Until) {
		return text + fmt.Sprintf("; it is not tried elsewhere again before %s", t.Until.UTC().Format(time.RFC3339))
	}
	if o := c.overdrawn(group); o != nil {
		return text + "; " + c.overdrawnText(n, o)
	}
	t := c.tabulate(n, &query{c: c, part: group, group: group, free: true, away: true})
	e.Fits, e.Reasons = t.fits, t.reasons()
	return text + "; " + t.sentence()
}
