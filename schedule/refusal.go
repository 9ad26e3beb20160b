package schedule

// refusal says why a unit does not fit a machine. It is made on the way to
// every placement, so it is put in words only when someone asks.
type refusal struct {
	kind refusalKind
	what string
	whom string // the unit of the group that does not fit, if not the one asked about
	// amount is how much is not free, or how many there are already.
	amount int64
	spread *node // the unit that has to be spread evenly
}

type refusalKind byte

const (
	fits refusalKind = iota
	lost
	missing
	unregistered
	otherMachine
	lacksMetadata
	unwantedMetadata
	lacksUnit
	cordoned
	draining
	notReady
	unknownMemory
	unknownCPU
	lacksMemory
	lacksCPU
	hasMore
	conflicts
	replaced
	immovable
	leaving
	runsElsewhere
	stopping
	failsThere
)

// phrase puts the refusal in words for so many machines, their number left
// out: "lacks metadata region=eu", "lack metadata region=eu".
func (r refusal) phrase(machines int) string {
	text := r.predicate(machines == 1)
	if r.whom != "" {
		text += " (" + r.whom + ")"
	}
	return text
}

func (r refusal) predicate(one bool) string {
	is, have, lack, hold, conflict, do, they := "are", "have", "lack", "hold", "conflict", "do", "they have"
	if one {
		is, have, lack, hold, conflict, do, they = "is", "has", "lacks", "holds", "conflicts", "does", "it has"
	}
	switch r.kind {
	case lost:
		return is + " lost"
	case missing:
		return is + " missing and not yet taken for lost"
	case unregistered:
		return is + " not registered yet"
	case otherMachine:
		return is + " not machine " + r.what
	case lacksMetadata:
		return lack + " metadata " + r.what
	case unwantedMetadata:
		return have + " metadata " + r.what
	case hasMore:
		return is + " in " + spreadText(r.spread, r.what, r.amount)
	case lacksUnit:
		return do + " not hold " + r.what
	case cordoned:
		return is + " cordoned"
	case draining:
		return is + " being drained"
	case notReady:
		if r.what != "" {
			return is + " not ready (" + r.what + ")"
		}
		return is + " not ready"
	case unknownMemory:
		return do + " not say how much memory " + they
	case unknownCPU:
		return do + " not say how many CPUs " + they
	case lacksMemory:
		return have + " less than " + sizeText(r.amount) + " of memory free"
	case lacksCPU:
		return have + " less than " + cpuText(r.amount) + " of a CPU free"
	case conflicts:
		return conflict + " with " + r.what
	case replaced:
		return hold + " " + r.what + ", which replaces it"
	case immovable:
		return hold + " " + r.what + ", which fits nowhere else"
	case leaving:
		return hold + " " + r.what + ", which has yet to stop"
	case runsElsewhere:
		return do + " not come into question while it is on " + r.what
	case failsThere:
		return is + " where it is now"
	case stopping:
		return is + " still stopping it"
	}
	return "fits"
}
