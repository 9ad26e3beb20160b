package unit

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
	for _, v := range d.typed {
		switch {
		case v.option == runOnce && n.Suffix != ".service":
			p.add(v.line, "RunOnce is for services: a %s doesn't finish by itself, put RunOnce into the .service that it starts", n.Type())
		case v.option != runOnce && !n.hasAt():
			p.add(v.line, "%s is for templates and their instances, as %s@%s would be one, and %s is neither", v.name, n.Prefix, n.Suffix, n.Full)
		}
	}
	return p.err()
}

// checkCombinations refuses options that contradict each other.
func (d *demands) checkCombinations() {
	if d.Global {
		d.checkAgainst("Global", withGlobal())
	}
	if d.MachineID != "" {
		d.checkAgainst(d.first[machineID].name, withMachineID())
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
	for _, option := range []fleetOption{spread, instances, maxUnavailable, runOnce} {
		if v, ok := d.said(option); ok {
			d.typed = append(d.typed, v)
		}
	}
}

// said returns where an option is first said. RunOnce=false is as good as
// nothing.
func (d *demands) said(option fleetOption) (fleetValue, bool) {
	v, ok := d.first[option]
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
				v.name, v.text, d.first[option].name, glob, v.text)
			return
		}
	}
}
