package unit

import (
	"slices"
	"strings"
)

// FleetSection is the section of a unit file that speaks to fleet. systemd
// skips it, as it does every section that starts with X-.
const FleetSection = "X-Fleet"

// fleetOption is one of the options of [X-Fleet], under its present name.
type fleetOption string

const (
	machineID       fleetOption = "MachineID"
	machineOf       fleetOption = "MachineOf"
	machineMetadata fleetOption = "MachineMetadata"
	conflicts       fleetOption = "Conflicts"
	replaces        fleetOption = "Replaces"
	global          fleetOption = "Global"

	// Beyond fleet 1.0.
	memoryReservation fleetOption = "MemoryReservation"
	cpuReservation    fleetOption = "CPUReservation"
	prefer            fleetOption = "Prefer"
	avoid             fleetOption = "Avoid"
	spread            fleetOption = "Spread"
	priority          fleetOption = "Priority"
	instances         fleetOption = "Instances"
	maxUnavailable    fleetOption = "MaxUnavailable"
	reschedule        fleetOption = "Reschedule"
	runOnce           fleetOption = "RunOnce"

	bootID fleetOption = "X-ConditionMachineBootID" // obsolete, known in order to be refused well
)

// fleetOptions lists the options that a user may write.
func fleetOptions() []fleetOption {
	return []fleetOption{
		machineID, machineOf, machineMetadata, conflicts, replaces, global,
		memoryReservation, cpuReservation, prefer, avoid, spread, priority,
		instances, maxUnavailable, reschedule, runOnce,
	}
}

// fleetOptionNamed knows the options by their present and their old names.
func fleetOptionNamed(name string) (fleetOption, bool) {
	switch name {
	case "X-ConditionMachineID":
		return machineID, true
	case "X-ConditionMachineOf":
		return machineOf, true
	case "X-ConditionMachineMetadata":
		return machineMetadata, true
	case "X-Conflicts":
		return conflicts, true
	}
	o := fleetOption(name)
	return o, o == bootID || slices.Contains(fleetOptions(), o)
}

// holdsGlobs reports whether the option's values are globs of unit names.
func (o fleetOption) holdsGlobs() bool { return o == conflicts || o == replaces || o == avoid }

// isAmount reports whether the option's value is made of numbers.
func (o fleetOption) isAmount() bool {
	switch o {
	case memoryReservation, cpuReservation, priority, instances, maxUnavailable, reschedule:
		return true
	}
	return false
}

// holdsExpressions reports whether the option's values are metadata expressions.
func (o fleetOption) holdsExpressions() bool { return o == machineMetadata || o == prefer }

// Limits of [X-Fleet], so that checking a file takes a time that no one
// notices, whatever is in it.
const (
	maxFleetValues    = 1000
	maxFleetValueSize = 512
	maxFollowed       = 32 // units in MachineOf, each compared with every glob
	maxExpressions    = 32 // beside key=value, each compared with every machine
)

// fleetValue is one value of one option, specifiers still in it.
type fleetValue struct {
	option fleetOption
	name   string // the option's name as the user wrote it
	text   string
	line   int
}

// fleetSection is a file's [X-Fleet], read once when the file is parsed.
type fleetSection struct {
	values   []fleetValue
	problems problems // with the values; told when they are asked for
	fixed    *demands // when no specifier makes them depend on the unit
}

// compileFleet reads the options of [X-Fleet]. Unknown ones are added to
// unknown, what is wrong with values is kept.
func compileFleet(options []Option, lines []int, unknown *problems) *fleetSection {
	s := &fleetSection{values: assignments(options, lines, unknown)}
	s.values = s.split(s.values)
	if !slices.ContainsFunc(s.values, fleetValue.hasSpecifier) {
		s.fixed = s.demands(Name{})
	}
	return s
}

// hasSpecifier reports whether the value differs from unit to unit.
func (v fleetValue) hasSpecifier() bool {
	return strings.Contains(strings.ReplaceAll(v.text, "%%", ""), "%")
}

// common returns the section without the values that differ from unit to unit.
func (s *fleetSection) common() *fleetSection {
	return &fleetSection{values: slices.DeleteFunc(slices.Clone(s.values), fleetValue.hasSpecifier)}
}

// assignments returns what [X-Fleet] assigns, without what an empty assignment
// forgets.
func assignments(options []Option, lines []int, unknown *problems) []fleetValue {
	var values []fleetValue
	forgotten := make(map[fleetOption]int) // how many of values came before the reset
	for i, o := range options {
		if o.Section != FleetSection {
			continue
		}
		line := 0
		if lines != nil {
			line = lines[i]
		}
		option, known := fleetOptionNamed(o.Name)
		switch {
		case !known:
			unknown.add(line, "unknown option %.60s in [X-Fleet]%s", o.Name, suggestion(o.Name))
		case o.Value == "":
			forgotten[option] = len(values)
		default:
			values = append(values, fleetValue{option, o.Name, o.Value, line})
		}
	}
	kept := values[:0]
	for i, v := range values {
		if i >= forgotten[v.option] {
			kept = append(kept, v)
		}
	}
	return kept
}

// split takes the quoted values of each line apart.
func (s *fleetSection) split(lines []fleetValue) []fleetValue {
	var values []fleetValue
	for _, v := range lines {
		words, why := splitQuoted(v.text)
		if v.option.holdsExpressions() && severalWithoutQuotes(v.text) {
			words, why = nil, `several expressions on a line must each be in double quotes, as in "a=b" "c=d"`
		}
		if why != "" {
			s.problems.add(v.line, "%s=%.60s: %s", v.name, v.text, why)
		}
		if len(values)+len(words) > maxFleetValues {
			s.problems.add(v.line, "[X-Fleet] has more than %d values", maxFleetValues)
			return nil
		}
		for _, word := range words {
			values = append(values, fleetValue{v.option, v.name, word, v.line})
		}
	}
	return values
}

// severalWithoutQuotes reports whether a line looks like a=b c=d, which would be
// the one pair of a and "b c=d". The spaces of a = b and a= =b are no such sign.
func severalWithoutQuotes(s string) bool {
	words := strings.Fields(s)
	if s[0] == '"' || len(words) < 2 {
		return false
	}
	first, last := words[0], words[len(words)-1]
	return looksLikeExpression(first) && looksLikeExpression(last)
}

// looksLikeExpression reports whether a word has an operator, and something
// after it.
func looksLikeExpression(word string) bool {
	at := strings.LastIndexAny(word, "=<>")
	return at > 0 && at < len(word)-1 || word[0] == '!' && len(word) > 1
}

// splitQuoted returns the values of a line: "several" "in double quotes", or
// the line as it stands when it has no quotes.
func splitQuoted(s string) (words []string, why string) {
	if !strings.HasPrefix(s, `"`) {
		if strings.Contains(s, `"`) {
			return nil, `double quotes must be around the whole of each value, as in "a=b" "c=d"`
		}
		return []string{s}, ""
	}
	for s != "" {
		if s[0] != '"' {
			return nil, `double quotes must be around the whole of each value, as in "a=b" "c=d"`
		}
		word, rest, closed := strings.Cut(s[1:], `"`)
		switch trimmed := strings.TrimLeft(rest, whitespace); {
		case !closed:
			return nil, "a quote is not closed"
		case rest != "" && trimmed == rest:
			return nil, "a space must follow a closing quote"
		default:
			words, s = append(words, strings.Trim(word, whitespace)), trimmed
		}
	}
	return words, ""
}
