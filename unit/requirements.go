package unit

import (
	"errors"
	"fmt"
	"slices"
)

// Requirements returns the [X-Fleet] options of the unit called name, or all
// that is wrong with them. Of a template it returns what its instances have in
// common: a value with a specifier in it is left out, though checked as that of
// an instance would be.
func (f *File) Requirements(name string) (Requirements, error) {
	n, err := ParseName(name)
	if err != nil {
		return Requirements{}, err
	}
	section := f.fleet
	if section == nil {
		// The file was not made by Parse or FromOptions.
		var unknown problems
		section = compileFleet(f.Options, f.lines, &unknown)
		if err := unknown.err(); err != nil {
			return Requirements{}, err
		}
	}
	d := section.fixed
	switch {
	case d != nil:
	case n.IsTemplate():
		d = section.demands(n.sample())
	default:
		d = section.demands(n)
	}
	if err := d.checkName(n); err != nil {
		return Requirements{}, err
	}
	if section.fixed == nil && n.IsTemplate() {
		d = section.common().demands(n)
	}
	return d.Requirements, nil
}

// sample returns a made-up instance of the template n. It may be too long for
// a name of its own, and no one would name it in a file.
func (n Name) sample() Name {
	n.Instance = "any\\x2dinstance"
	n.Full = n.Prefix + "@" + n.Instance + n.Suffix
	return n
}

// demands are Requirements in the making.
type demands struct {
	Requirements
	problems problems
	named    []fleetValue // the units named as such, in any option
	typed    []fleetValue // the options that not every unit may have

	// For the making only.
	seen        map[fleetValue]bool        // to drop what is said twice
	keys        map[string]int             // where a metadata key is in Metadata
	conditioned []fleetValue               // where Conditions are from
	from        map[fleetOption]fleetValue // where an option is said first, or the amount that counts
}

// demands resolves the values for the unit called n, and checks all that
// doesn't depend on that name.
func (s *fleetSection) demands(n Name) *demands {
	d := &demands{
		problems: s.problems.clone(),
		seen:     make(map[fleetValue]bool),
		keys:     make(map[string]int),
		from:     make(map[fleetOption]fleetValue),
	}
	for _, v := range s.values {
		if err := d.add(v, n); err != nil {
			d.problems.add(v.line, "%s=%.60s: %v", v.name, v.text, err)
		}
	}
	d.checkCombinations()
	d.share()
	return d
}

// share makes an append to one unit's slices leave the others' alone, and lets
// go of what was needed only to build them.
func (d *demands) share() {
	d.MachineOf = slices.Clip(d.MachineOf)
	d.Metadata = slices.Clip(d.Metadata)
	for i, m := range d.Metadata {
		d.Metadata[i].Values = slices.Clip(m.Values)
	}
	d.Conflicts = slices.Clip(d.Conflicts)
	d.Conditions = slices.Clip(d.Conditions)
	d.Replaces = slices.Clip(d.Replaces)
	d.Prefer = slices.Clip(d.Prefer)
	d.Avoid = slices.Clip(d.Avoid)
	d.seen, d.keys, d.conditioned, d.from = nil, nil, nil, nil
}

func (d *demands) add(v fleetValue, n Name) error {
	if v.option == bootID {
		return errors.New("obsolete, because a machine has another boot ID after each boot: use MachineID")
	}
	if len(v.text) > maxFleetValueSize {
		return fmt.Errorf("%d bytes are too many, the limit is %d", len(v.text), maxFleetValueSize)
	}
	text, err := v.expand(n)
	if err != nil {
		return err
	}
	if text == "" {
		return errors.New("the value is empty")
	}
	if _, ok := d.from[v.option]; !ok || v.option.isAmount() {
		d.from[v.option] = v
	}
	return d.set(v, text)
}

// set takes the value of v, specifiers resolved, over into the requirements.
func (d *demands) set(v fleetValue, text string) (err error) {
	switch v.option {
	case machineID:
		return d.addMachineID(text)
	case machineOf:
		return d.addMachineOf(v, text)
	case machineMetadata:
		return d.addMetadata(v, text)
	case conflicts:
		return d.addGlob(&d.Conflicts, v, text)
	case replaces:
		return d.addGlob(&d.Replaces, v, text)
	case avoid:
		return d.addGlob(&d.Avoid, v, text)
	case prefer:
		return d.addPrefer(text)
	case spread:
		return d.addSpread(text)
	case instances:
		var n int
		n, err = wholeNumber(text, 0, MaxInstances)
		d.Instances = &n
	case maxUnavailable:
		d.MaxUnavailable, err = wholeNumber(text, 1, MaxInstances)
	case priority:
		d.Priority, err = wholeNumber(text, -maxPriority, maxPriority)
	case memoryReservation:
		d.Memory, err = ParseMemory(text)
	case cpuReservation:
		d.CPU, err = ParseCPU(text)
	case reschedule:
		d.Reschedule, err = parseReschedule(text)
	case global:
		d.Global, err = parseBool(text)
	case runOnce:
		d.RunOnce, err = parseBool(text)
	}
	return err
}
