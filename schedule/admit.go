package schedule

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"fleet/unit"
)

// maxChain is how many units may follow each other with MachineOf.
const maxChain = 32

// Admit tells why the unit called name could never be placed with the file, as
// far as the units and machines of c show: nil where it could, or where a unit
// that it names isn't known yet. Of a template it is told what an instance of
// it would meet. Placements don't matter, and neither do target states.
func Admit(c *Cluster, name string, file *unit.File) error {
	a, err := newAdmission(name, file)
	if err != nil {
		return err
	}
	a.c = c
	if _, err := a.follow(a.name); err != nil {
		return err
	}
	if err := a.group(a.kept()); err != nil {
		return err
	}
	if err := a.oneMachine(); err != nil {
		return err
	}
	return a.replaces()
}

// Alone reports whether Admit looks at nothing but the file: it follows and
// replaces nobody, and reserves nothing.
func Alone(name string, file *unit.File) bool {
	a, err := newAdmission(name, file)
	if err != nil {
		return false
	}
	r, err := file.Requirements(a.name)
	return err == nil && len(r.MachineOf) == 0 && len(r.Replaces) == 0 && r.Memory == 0 && r.CPU == 0
}

// newAdmission takes the first instance for a template.
func newAdmission(name string, file *unit.File) (*admission, error) {
	a := &admission{name: name, file: file, heights: make(map[string]int)}
	n, err := unit.ParseName(name)
	if err != nil {
		return nil, err
	}
	if n.IsTemplate() {
		if n, err = n.WithInstance("1"); err != nil {
			return nil, err
		}
		a.name, a.template = n.Full, name
	}
	_, err = file.Requirements(a.name)
	return a, err
}

// admission is the question whether a unit could be placed.
type admission struct {
	c        *Cluster
	name     string
	template string // the file's own name, where name is made up
	file     *unit.File

	path    []string       // from the unit to the one being looked at
	heights map[string]int // how long the longest chain from a unit is
	follows []string       // the unit and all that it follows
}

// asks returns what a unit asks for: with the file in question, with that of
// its record, or with its template's. ok is false where it isn't known.
func (a *admission) asks(name string) (r unit.Requirements, ok bool) {
	f := a.c.File(name)
	switch template := templateOf(name); {
	case name == a.name, f == nil && template != "" && template == a.template:
		f = a.file
	case f == nil:
		f = a.c.File(template)
	}
	if f == nil {
		return r, false
	}
	r, err := f.Requirements(name)
	return r, err == nil
}

// follow walks along MachineOf and returns how long the longest chain is.
func (a *admission) follow(name string) (int, error) {
	if at := slices.Index(a.path, name); at >= 0 {
		cycle := slices.Clone(a.path[at:])
		slices.Sort(cycle)
		return 0, errors.New(cycleText(cycle))
	}
	if h, ok := a.heights[name]; ok && len(a.path)+h <= maxChain {
		return h, nil
	}
	if len(a.path) >= maxChain {
		return 0, fmt.Errorf("more than %d units follow each other with MachineOf: %s and so on", maxChain, strings.Join(a.path[:3], ", "))
	}
	r, known := a.asks(name)
	if !known {
		return 0, nil
	}
	a.path = append(a.path, name)
	height := 1
	for _, target := range r.MachineOf {
		h, err := a.follow(target)
		if err != nil {
			return 0, err
		}
		height = max(height, 1+h)
	}
	a.path = a.path[:len(a.path)-1]
	if _, again := a.heights[name]; !again {
		a.follows = append(a.follows, name)
	}
	a.heights[name] = height
	return height, nil
}

// oneMachine refuses what no machine can hold together: the unit and all that
// it follows.
func (a *admission) oneMachine() error {
	id, by := "", ""
	for _, name := range a.follows {
		r, _ := a.asks(name)
		switch {
		case r.MachineID == "" || r.MachineID == id:
		case id == "":
			id, by = r.MachineID, name
		default:
			return fmt.Errorf("%s asks for MachineID=%s and %s for MachineID=%s, but MachineOf puts them on one machine", name, r.MachineID, by, id)
		}
	}
	return a.reserves(id)
}

// reserves refuses what is more than any machine has for units, or the machine
// id where that isn't "". Machines that don't say what they have don't count.
func (a *admission) reserves(id string) error {
	var need, largest amounts
	for _, name := range a.follows {
		r, _ := a.asks(name)
		if !r.Global || name == a.name {
			need = need.plus(amounts{r.Memory, r.CPU})
		}
	}
	machines := 0
	for _, m := range a.c.machines {
		has := m.facts.capacity
		switch {
		case id != "" && m.id != id, need.memory > 0 && has.memory == 0, need.cpu > 0 && has.cpu == 0:
			continue
		case !need.exceeds(has):
			return nil
		}
		machines++
		largest = largest.most(has)
	}
	if machines == 0 {
		return nil
	}
	who := "it reserves "
	if len(a.follows) > 1 {
		who = "together with what it follows (MachineOf) it reserves "
	}
	which := ", and no machine has more than "
	if id != "" {
		which = ", and machine " + id + " has "
	}
	switch {
	case need.memory > largest.memory:
		return errors.New(who + sizeText(need.memory) + " of memory" + which + sizeText(largest.memory) + " for units")
	case need.cpu > largest.cpu:
		return errors.New(who + cpuText(need.cpu) + " CPUs" + which + cpuText(largest.cpu) + " for units")
	}
	return errors.New(who + sizeText(need.memory) + " of memory and " + cpuText(need.cpu) + " CPUs, and no machine has both for units")
}

// replaces refuses a unit that is replaced, directly or not, by a unit that it
// replaces.
func (a *admission) replaces() error {
	if r, _ := a.asks(a.name); len(r.Replaces) == 0 {
		return nil
	}
	others := a.replacers()
	from := map[string]string{a.name: ""}
	for queue := []string{a.name}; len(queue) > 0; queue = queue[1:] {
		name := queue[0]
		r, _ := a.asks(name)
		for _, victim := range a.victims(r.Replaces, others) {
			if victim == name {
				continue
			}
			if victim == a.name {
				return errors.New(replacesText(chain(from, name)))
			}
			if _, seen := from[victim]; !seen {
				from[victim] = name
				queue = append(queue, victim)
			}
		}
	}
	return nil
}

// replacers names the units that replace others, and the one in question.
func (a *admission) replacers() []string {
	names := []string{a.name}
	for name, n := range a.c.units {
		if len(n.wants.Replaces) > 0 && templateOf(name) != name && name != a.name {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// victims names those that the globs match and that may replace others in turn.
func (a *admission) victims(globs, replacers []string) []string {
	var names []string
	for _, glob := range globs {
		if p := newPattern(glob); p.kind == plain {
			names = append(names, p.key)
			continue
		}
		for _, name := range replacers {
			if unit.Match(glob, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// chain returns the way back to the first unit, sorted.
func chain(from map[string]string, name string) []string {
	var names []string
	for ; name != ""; name = from[name] {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func replacesText(names []string) string {
	return listed(names) + " replace each other (Replaces circle)"
}
