package unit

import (
	"slices"
	"strconv"
	"strings"
)

// checkName tells all that is wrong, with what is wrong only for the unit
// called n; of a template what is wrong for its instances. A glob that matches
// the unit itself is not: instances that say Conflicts=web@*.service spread
// that way.
func (d *demands) checkName(n Name) error {
	p := d.problems.clone() // d may be shared
	self := n.Full
	if n.IsTemplate() {
		self = n.sample().Full
	}
	for _, v := range d.named {
		if v.text == self {
			p.add(v.line, "%s names %s itself", v.name, self)
		}
	}
	for _, v := range d.typed {
		switch {
		case v.option == runOnce && n.Suffix != ".service":
			p.add(v.line, "RunOnce is for services, and %s is a %s: put it into the service that does the work", n.Full, n.Type())
		case v.option != runOnce && !n.hasAt():
			p.add(v.line, "%s is for templates such as app@.service and their instances, and %s is neither", v.name, n.Full)
		case v.option == instances && n.IsTemplate():
			d.checkKept(n, v, &p)
		}
	}
	return p.err()
}

// checkKept refuses what would keep one of the instances from being placed that
// the option v of their template asks for.
func (d *demands) checkKept(template Name, v fleetValue, p *problems) {
	kept := *d.Instances
	last, err := template.WithInstance(strconv.Itoa(kept))
	if err != nil {
		p.add(v.line, "%s=%d: %v", v.name, kept, err)
	}
	for _, other := range d.named {
		if n, err := ParseName(other.text); err == nil && n.InstanceOf(template) && isNumberUpTo(n.Instance, kept) {
			p.add(other.line, "%s names %s, which with %s=%d has this file itself", other.name, n.Full, v.name, kept)
		}
	}
	first, _ := template.WithInstance("1")
	for _, glob := range d.Replaces {
		if kept > 1 && Match(glob, first.Full) && Match(glob, last.Full) {
			p.add(v.line, "%s=%d can't be combined with Replaces=%.60s: the instances would replace each other", v.name, kept, glob)
		}
	}
}

// isNumberUpTo reports whether s is the name of one of n instances.
func isNumberUpTo(s string, n int) bool {
	i, err := strconv.Atoi(s)
	return err == nil && 1 <= i && i <= n && strconv.Itoa(i) == s
}

// checkCombinations refuses options that contradict each other.
func (d *demands) checkCombinations() {
	if d.Global {
		d.checkAgainst("Global", withGlobal())
	}
	if d.MachineID != "" {
		d.checkAgainst(d.from[machineID].name, withMachineID())
	}
	if v, ok := d.from[replaces]; ok && len(d.Conflicts) > 0 {
		d.problems.add(v.line, "Replaces can't be combined with %s: the one moves other units away, the other avoids them", d.from[conflicts].name)
	}
	for _, v := range d.named {
		if v.option != machineOf {
			continue
		}
		d.checkFollowed(v, conflicts, d.Conflicts)
		d.checkFollowed(v, replaces, d.Replaces)
		if slices.ContainsFunc(d.named, func(o fleetValue) bool { return o.option == avoid && o.text == v.text }) {
			d.problems.add(v.line, "%s=%s is named by Avoid too: the unit can't both follow %s and avoid it", v.name, v.text, v.text)
		}
	}
	d.checkConditions()
	for _, option := range []fleetOption{spread, instances, maxUnavailable, runOnce} {
		if v, ok := d.said(option); ok {
			d.typed = append(d.typed, v)
		}
	}
}

// said returns where an option is said. RunOnce=false is as good as nothing.
func (d *demands) said(option fleetOption) (fleetValue, bool) {
	v, ok := d.from[option]
	return v, ok && (option != runOnce || d.RunOnce)
}

// clash is an option that doesn't go with another, and why.
type clash struct {
	option fleetOption
	why    string
}

const everywhere = "a global unit runs on every machine that fits"

func withGlobal() []clash {
	return []clash{
		{machineID, everywhere + ", leave out one of the two"},
		{replaces, everywhere + ", beside whatever is there"},
		{prefer, everywhere + ": say which fit with MachineMetadata"},
		{avoid, everywhere + ": keep it off others with Conflicts"},
		{spread, everywhere + ", once on each"},
		{instances, everywhere + ", once on each"},
		{maxUnavailable, everywhere + ", and has no instances to take turns"},
		{reschedule, everywhere + ", so there is no other to try it on"},
		{runOnce, everywhere + ", and one that has finished has finished for the whole cluster"},
	}
}

func withMachineID() []clash {
	return []clash{
		{spread, "on the one machine there is nothing to spread over"},
		{reschedule, "there is no other machine to try the unit on"},
	}
}

// checkAgainst refuses the options that don't go with the one called name.
func (d *demands) checkAgainst(name string, clashes []clash) {
	for _, c := range clashes {
		if v, ok := d.said(c.option); ok {
			d.problems.add(v.line, "%s can't be combined with %s: %s", v.name, name, c.why)
		}
	}
}

// checkFollowed refuses a MachineOf whose unit the globs of option keep off the
// machine.
func (d *demands) checkFollowed(v fleetValue, option fleetOption, globs []string) {
	for _, glob := range globs {
		if Match(glob, v.text) {
			d.problems.add(v.line, "%s=%s is matched by %s=%.60s: the unit can't both follow %s and keep off its machine",
				v.name, v.text, d.from[option].name, glob, v.text)
			return
		}
	}
}

// checkConditions refuses what no metadata can meet as a whole.
func (d *demands) checkConditions() {
	present := make(map[string]Condition) // by key, what only a machine that has it meets
	for _, m := range d.Metadata {
		present[m.Key] = Condition{m.Key, Equals, strings.Join(m.Values, "|")}
	}
	for _, c := range d.Conditions {
		if _, ok := present[c.Key]; !ok && c.Op != Absent && c.Op != Differs {
			present[c.Key] = c
		}
	}
	for i, c := range d.Conditions {
		v := d.conditioned[i]
		if other, ok := present[c.Key]; ok && c.Op == Absent {
			d.problems.add(v.line, "%s=%.60s contradicts %.60s: a machine has the key %.60s or it hasn't", v.name, c, other, c.Key)
			continue
		}
		at, ok := d.keys[c.Key]
		if ok && !slices.ContainsFunc(d.Metadata[at].Values, c.heldBy) {
			d.problems.add(v.line, "%s=%.60s contradicts %.60s: no machine meets both", v.name, c, present[c.Key])
		}
	}
}
