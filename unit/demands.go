package unit

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// expand fills in the specifiers. In a glob what they stand for is text: the
// backslash of an escaped name is no metacharacter.
func (v fleetValue) expand(n Name) (string, error) {
	if v.option != conflicts && v.option != replaces {
		return expand(v.text, n, func(s string) string { return s })
	}
	return expand(keepEscapes(v.text), n, quoteGlob)
}

func (d *demands) addMachineID(id string) error {
	if d.MachineID != "" && d.MachineID != id {
		return fmt.Errorf("the file names machine %.40s already, and a unit runs on only one", d.MachineID)
	}
	if strings.ContainsAny(id, whitespace) {
		return errors.New("a machine ID has no spaces")
	}
	d.MachineID = id
	return nil
}

func (d *demands) addMachineOf(v fleetValue, name string) error {
	n, err := ParseName(name)
	switch {
	case IsGlob(name):
		return errors.New("must be the name of one unit, not a glob")
	case err != nil:
		return err
	case n.IsTemplate():
		return fmt.Errorf("%s is a template, which runs nowhere: name an instance of it", name)
	}
	if d.isNew(machineOf, name) {
		if len(d.MachineOf) == maxFollowed {
			return fmt.Errorf("a unit can follow at most %d others", maxFollowed)
		}
		d.MachineOf = append(d.MachineOf, name)
		d.name(v, name)
	}
	return nil
}

func (d *demands) addMetadata(pair string) error {
	key, value, ok := strings.Cut(pair, "=")
	key, value = strings.Trim(key, whitespace), strings.Trim(value, whitespace)
	switch {
	case !ok, key == "", value == "":
		return errors.New("must be key=value")
	case !d.isNew(machineMetadata, key+"="+value):
		return nil
	}
	at, ok := d.keys[key]
	if !ok {
		at = len(d.Metadata)
		d.keys[key] = at
		d.Metadata = append(d.Metadata, Metadata{Key: key})
	}
	d.Metadata[at].Values = append(d.Metadata[at].Values, value)
	return nil
}

func (d *demands) addGlob(list *[]string, v fleetValue, pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil {
		return errors.New("not a glob: a [ needs its ], and a \\ something to follow it")
	}
	if strings.ContainsAny(pattern, whitespace) {
		return errors.New(`names have no spaces: several globs on a line must each be in double quotes`)
	}
	if d.isNew(v.option, pattern) {
		*list = append(*list, pattern)
		if name, ok := literal(pattern); ok {
			d.name(v, name)
		}
	}
	return nil
}

// isNew reports whether the value is said for the first time.
func (d *demands) isNew(option fleetOption, text string) bool {
	key := fleetValue{option: option, text: text}
	if d.seen[key] {
		return false
	}
	d.seen[key] = true
	return true
}

// name remembers that v names a unit, which must not be the unit itself.
func (d *demands) name(v fleetValue, name string) {
	v.text = name
	d.named = append(d.named, v)
}

// checkSelf tells all that is wrong, with what is wrong only for the unit
// called n. A glob that matches the unit itself is not: instances that say
// Conflicts=web@*.service spread that way.
func (d *demands) checkSelf(n Name) error {
	p := d.problems.clone() // d may be shared
	for _, v := range d.named {
		if v.text == n.Full {
			p.add(v.line, "%s names %s itself", v.name, n.Full)
		}
	}
	return p.err()
}

// checkCombinations refuses options that contradict each other.
func (d *demands) checkCombinations() {
	if d.Global {
		for _, option := range []fleetOption{machineID, machineOf, replaces} {
			if v, ok := d.first[option]; ok {
				d.problems.add(v.line, "%s can't be combined with Global: a global unit runs on every machine that fits", v.name)
			}
		}
	}
	if v, ok := d.first[replaces]; ok && len(d.Conflicts) > 0 {
		d.problems.add(v.line, "Replaces can't be combined with %s: the one moves other units away, the other avoids them", d.first[conflicts].name)
	}
	for _, v := range d.named {
		if v.option != machineOf {
			continue
		}
		d.checkFollowed(v, conflicts, d.Conflicts)
		d.checkFollowed(v, replaces, d.Replaces)
	}
}

// checkFollowed refuses a MachineOf whose unit the globs of option keep off the
// machine.
func (d *demands) checkFollowed(v fleetValue, option fleetOption, globs []string) {
	for _, glob := range globs {
		if Match(glob, v.text) {
			d.problems.add(v.line, "%s=%s is matched by %s=%.60s: the unit can't both follow %s and keep off its machine",
				v.name, v.text, d.first[option].name, glob, v.text)
			return
		}
	}
}

// parseBool reads a boolean as systemd does.
func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "1", "yes", "y", "true", "t", "on":
		return true, nil
	case "0", "no", "n", "false", "f", "off":
		return false, nil
	}
	return false, errors.New("must be true or false")
}
