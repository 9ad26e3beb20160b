package unit

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// expand fills in the specifiers. In a glob what they stand for is text: the
// backslash of an escaped name is no metacharacter. Amounts have none: they are
// the same for all instances of a template.
func (v fleetValue) expand(n Name) (string, error) {
	if v.option.isAmount() {
		return v.text, nil
	}
	if !v.option.holdsGlobs() {
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

func (d *demands) addMetadata(v fleetValue, expression string) error {
	c, err := ParseCondition(expression)
	switch {
	case err != nil:
		return err
	case !d.isNew(machineMetadata, c.String()):
		return nil
	case c.Op != Equals && len(d.Conditions) == maxExpressions:
		return fmt.Errorf("a unit can have at most %d metadata expressions other than key=value", maxExpressions)
	case c.Op != Equals:
		d.Conditions = append(d.Conditions, c)
		d.conditioned = append(d.conditioned, v)
		return nil
	}
	at, ok := d.keys[c.Key]
	if !ok {
		at = len(d.Metadata)
		d.keys[c.Key] = at
		d.Metadata = append(d.Metadata, Metadata{Key: c.Key})
	}
	d.Metadata[at].Values = append(d.Metadata[at].Values, c.Value)
	return nil
}

func (d *demands) addPrefer(expression string) error {
	c, err := ParseCondition(expression)
	switch {
	case err != nil || !d.isNew(prefer, c.String()):
		return err
	case len(d.Prefer) == maxExpressions:
		return fmt.Errorf("a unit can have at most %d preferences", maxExpressions)
	}
	d.Prefer = append(d.Prefer, c)
	return nil
}

func (d *demands) addSpread(text string) error {
	s, err := parseSpread(text)
	switch {
	case err != nil:
		return err
	case d.Spread.Key != "" && d.Spread != s:
		return errors.New("the file has a Spread already, and instances are spread over the values of one key")
	}
	d.Spread = s
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
