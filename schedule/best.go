package schedule

import (
	"cmp"
	"slices"
	"strings"
)

// Score is how good a place a machine is for a unit.
type Score struct {
	MachineID string      `json:"machineID"`
	Points    float64     `json:"points"`
	Parts     []ScorePart `json:"parts"` // what makes it up
}

// bestTold is how many machines are told as the best.
const bestTold = 3

// ExplainFully is Explain, and also says which machines are the best that fit,
// by score, what the unit is bound to, where it is on its way, and of a unit that is placed well why it
// is not on others. It costs more: Explain looks at machines only where
// something is wrong.
func (c *Cluster) ExplainFully(name string) Explanation {
	e := c.Explain(name)
	n := c.units[name]
	if n == nil || !n.binds() || n.isTemplate() || n.finished() {
		return e
	}
	group, broken := c.groupOf(n)
	if broken != "" {
		return e
	}
	e.Moving = n.moving()
	e.With = slices.DeleteFunc(nodeNames(group), func(other string) bool { return other == name })
	if !n.placed() {
		q := c.queryFor(n, group)
		e.Best = c.best(q, e.Fits, nil)
		return e
	}
	here := n.running().machine
	q := &query{c: c, part: group, group: group, free: true}
	t := c.tabulate(n, q)
	e.Best = c.best(q, t.fits, here)
	if e.Reasons == nil && here.facts.here {
		e.Reasons = t.reasons()
	}
	return e
}

// moving returns where the unit goes that stops to go there, or nil.
func (n *node) moving() *Move {
	for _, s := range n.slots {
		if p := s.placement(); p != nil && p.Order == Release && p.To != "" {
			return &Move{n.name, s.machine.id, p.To, p.Reason}
		}
	}
	return nil
}

// best returns the scores of the best machines that fit, best first, and after
// them that of the machine where the unit is, if it fits and isn't among them.
func (c *Cluster) best(q *query, fits []string, here *machine) []Score {
	type scored struct {
		m     *machine
		score int64
	}
	all := make([]scored, len(fits))
	for i, id := range fits {
		m := c.machines[id]
		all[i] = scored{m, q.score(m)}
	}
	slices.SortFunc(all, func(a, b scored) int {
		return cmp.Or(cmp.Compare(b.score, a.score), strings.Compare(a.m.id, b.m.id))
	})
	var best []Score
	for i, s := range all {
		if i < bestTold || s.m == here {
			best = append(best, Score{s.m.id, inPoints(s.score), q.scoreParts(s.m)})
		}
	}
	return best
}

// Headline returns the summary without the reasons that it counts.
func (e Explanation) Headline() string {
	counts := counted(e.Reasons)
	if counts == "" {
		return e.Summary
	}
	for _, before := range []string{": ", "; of the others "} {
		if head, ok := strings.CutSuffix(e.Summary, before+counts); ok {
			return head
		}
	}
	return e.Summary
}
