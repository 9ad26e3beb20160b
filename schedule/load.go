package schedule

import "math/bits"

// Scores are counted in thousandths of a point, whole numbers, so that every
// engine comes to the same. These are all the weights there are.
const (
	point = 1000

	unitLoad  = 1 * point    // of each unit that has a place on a machine
	fullLoad  = 100 * point  // of a machine whose memory or CPUs are all reserved
	preferred = 50 * point   // for each Prefer that holds
	avoided   = 50 * point   // off for each unit there that Avoid matches
	failed    = 1000 * point // off where the unit failed to start before, and was tried elsewhere
	uneven    = 100 * point  // off for each instance that a value of Spread's key has more than the least
)

// weigh returns the load of a machine: the largest of what its units weigh, and
// of the shares of its memory and CPUs that are reserved.
func (m *machine) weigh() int64 {
	has := m.facts.capacity
	return max(unitLoad*int64(m.load), share(m.used.memory, has.memory), share(m.used.cpu, has.cpu))
}

// share returns what part of the whole is used, where fullLoad is all of it. Of
// what isn't known nothing is.
func share(used, whole int64) int64 {
	if used <= 0 || whole <= 0 {
		return 0
	}
	high, low := bits.Mul64(uint64(used), fullLoad)
	if high >= uint64(whole) {
		return 1 << 62
	}
	quotient, _ := bits.Div64(high, low, uint64(whole))
	return int64(min(quotient, 1<<62))
}

// standing is the score of a machine for a unit without wishes.
func (s Strategy) standing(load int64) int64 {
	if s == BinPack && load < fullLoad {
		return load
	}
	return -load
}

// better says which of two machines that both fit a unit without wishes is
// taken.
func better(a, b *machine) bool {
	if a.standing != b.standing {
		return a.standing > b.standing
	}
	return a.id < b.id
}

// score returns how good a place the machine is for the query's units. What
// the pools keep are its parts.
func (q *query) score(m *machine) int64 {
	score := m.standing
	for _, n := range q.part {
		w := n.wants
		score += preferred*w.preferredOn(m) - avoided*w.avoidedOn(n, m) - n.unevenness(m)
		if n.shunned(m) {
			score -= failed
		}
	}
	return score
}

// ScorePart is one reason for a score.
type ScorePart struct {
	Text   string  `json:"text"`   // "load", "Prefer=disk=ssd"
	Points float64 `json:"points"` // what it adds, or with a minus takes off
}

// scoreParts tells what makes up the score.
func (q *query) scoreParts(m *machine) []ScorePart {
	parts := []ScorePart{{"load", inPoints(m.standing)}}
	add := func(text string, by int64) {
		if by != 0 {
			parts = append(parts, ScorePart{text, inPoints(by)})
		}
	}
	for _, n := range q.part {
		w := n.wants
		for i := range w.Prefer {
			if w.Prefer[i].Holds(m.metadata) {
				add("Prefer="+w.Prefer[i].String(), preferred)
			}
		}
		add("Avoid", -avoided*w.avoidedOn(n, m))
		add("Spread="+w.Spread.Key, -n.unevenness(m))
		if n.shunned(m) {
			add("failed there", -failed)
		}
	}
	return parts
}

func inPoints(score int64) float64 { return float64(score) / point }

// wishes reports whether anything but load makes a machine better or worse for
// the unit.
func (n *node) wishes() bool {
	w := n.wants
	return len(w.Prefer)+len(w.Avoid) > 0 || w.Spread.Key != ""
}

// preferredOn counts what the unit prefers and the machine meets.
func (w *wants) preferredOn(m *machine) int64 {
	var met int64
	for i := range w.Prefer {
		if w.Prefer[i].Holds(m.metadata) {
			met++
		}
	}
	return met
}

// avoidedOn counts the units on the machine that are to be avoided, n itself
// aside.
func (w *wants) avoidedOn(n *node, m *machine) int64 {
	if len(w.wary) == 0 {
		return 0
	}
	var there int64
	for _, s := range m.slots {
		if s.node != n && s.occupied() && w.waryOf(s.node.name) {
			there++
		}
	}
	return there
}

// waryOf reports whether a pattern of Avoid matches the name.
func (w *wants) waryOf(name string) bool {
	for i := range w.wary {
		if w.wary[i].matches(name) {
			return true
		}
	}
	return false
}
