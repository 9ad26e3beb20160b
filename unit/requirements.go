package unit

import (
	"errors"
	"fmt"
	"slices"
)

// Requirements returns the [X-Fleet] options of the unit called name, or all
// that is wrong with them. Of a template ask Check instead: its specifiers
// have no meaning yet.
func (f *File) Requirements(name string) (Requirements, error) {
	n, err := ParseName(name)
	if err != nil {
		return Requirements{}, err
	}
	return f.requirements(n)
}

func (f *File) requirements(n Name) (Requirements, error) {
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
	if d == nil {
		d = section.demands(n)
	}
	if err := d.checkSelf(n); err != nil {
		return Requirements{}, err
	}
	return d.Requirements, nil
}

// demands are Requirements in the making.
type demands struct {
	Requirements
	problems problems
	named    []fleetValue        // the units named as such, in any option
	seen     map[fleetValue]bool // to drop what is said twice
	keys     map[string]int      // where a metadata key is in Metadata
	first    map[fleetOption]fleetValue
}

// demands resolves the values for the unit called n, and checks all that
// doesn't depend on that name.
func (s *fleetSection) demands(n Name) *demands {
	d := &demands{
		problems: s.problems.clone(),
		seen:     make(map[fleetValue]bool),
		keys:     make(map[string]int),
		first:    make(map[fleetOption]fleetValue),
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
	d.Replaces = slices.Clip(d.Replaces)
	d.seen, d.keys, d.first = nil, nil, nil
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
	if _, ok := d.first[v.option]; !ok {
		d.first[v.option] = v
	}
	switch v.option {
	case machineID:
		return d.addMachineID(text)
	case machineOf:
		return d.addMachineOf(v, text)
	case machineMetadata:
		return d.addMetadata(text)
	case conflicts:
		return d.addGlob(&d.Conflicts, v, text)
	case replaces:
		return d.addGlob(&d.Replaces, v, text)
	case global:
		d.Global, err = parseBool(text)
	}
	return err
}
