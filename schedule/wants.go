package schedule

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"fleet/unit"
)

// wants is what a unit asks of its machine, made ready for the indexes.
type wants struct {
	unit.Requirements
	needs    []need    // of Requirements.Metadata
	conds    []cond    // of Requirements.Conditions
	avoids   []pattern // of Conflicts and Replaces
	replaced []pattern // of Requirements.Replaces
	wary     []pattern // of Requirements.Avoid
	poolKey  string    // the same for all units whose pool is the same
	err      error     // why nothing of it is known; the rest is empty then
	avoidsMe bool      // its own name matches one of its patterns
}

// need is one metadata requirement.
type need struct {
	unit.Metadata
	text string // for people: region=eu, or region=eu|us
}

// cond is another metadata requirement.
type cond struct {
	unit.Condition
	text string
}

// nothing is what most units ask for.
var nothing = &wants{}

var errNoFile = errors.New("its file can't be read")

// compile returns what the unit asks for, from its file.
func (n *node) compile() *wants {
	switch {
	case n.unit == nil:
		return nothing
	case n.file == nil:
		return &wants{err: errNoFile}
	}
	r, err := n.file.Requirements(n.name)
	if err != nil {
		return &wants{err: err}
	}
	if reflect.ValueOf(r).IsZero() {
		return nothing
	}
	w := &wants{Requirements: r}
	for _, m := range r.Metadata {
		w.needs = append(w.needs, need{m, m.Key + "=" + strings.Join(m.Values, "|")})
	}
	for _, x := range r.Conditions {
		w.conds = append(w.conds, cond{x, x.String()})
	}
	for _, text := range r.Avoid {
		w.wary = append(w.wary, newPattern(text))
	}
	w.poolKey = w.poolFor()
	for _, text := range r.Replaces {
		w.replaced = append(w.replaced, newPattern(text))
	}
	for _, text := range slices.Concat(r.Conflicts, r.Replaces) {
		w.avoids = append(w.avoids, newPattern(text))
		w.avoidsMe = w.avoidsMe || unit.Match(text, n.name)
	}
	return w
}

// poolFor returns what tells apart pools, "" for the machines that take any
// unit. A unit with MachineID needs none.
func (w *wants) poolFor() string {
	if w.MachineID != "" || len(w.needs)+len(w.conds)+len(w.Prefer)+len(w.Avoid) == 0 && w.Spread.Key == "" {
		return ""
	}
	return fmt.Sprintf("%q %q %q %q %q", w.Requirements.Metadata, w.Conditions, w.Prefer, w.Avoid, w.Spread.Key)
}

// avoidsUnit reports whether the unit shares no machine with one of that name.
func (w *wants) avoidsUnit(name string) bool { return anyMatches(w.avoids, name) }

func (w *wants) replacesUnit(name string) bool { return anyMatches(w.replaced, name) }

func anyMatches(patterns []pattern, name string) bool {
	return slices.ContainsFunc(patterns, func(p pattern) bool { return p.matches(name) })
}

func (w *wants) followsUnit(name string) bool { return slices.Contains(w.MachineOf, name) }

// metBy reports whether the metadata value is one that is asked for.
func (n *need) metBy(metadata map[string]string) bool {
	value, ok := metadata[n.Key]
	return ok && slices.Contains(n.Values, value)
}

// pattern is one glob of Conflicts or Replaces. Most are a plain name or all instances of a
// template, and both can be looked up.
type pattern struct {
	text string
	kind patternKind
	key  string // of plain the name, of instances the template
}

type patternKind byte

const (
	glob      patternKind = iota
	plain                 // web.service
	instances             // web@*.service
)

func newPattern(text string) pattern {
	if !unit.IsGlob(text) && unit.Match(text, text) {
		return pattern{text, plain, text}
	}
	if prefix, suffix, ok := strings.Cut(text, "@*."); ok && prefix != "" && suffix != "" &&
		!strings.ContainsAny(prefix, `@*?[\`) && !strings.ContainsAny(suffix, `.@*?[\`) {
		return pattern{text, instances, prefix + "@." + suffix}
	}
	return pattern{text, glob, text}
}

func (p *pattern) matches(name string) bool {
	switch p.kind {
	case plain:
		return p.key == name
	case instances:
		return p.key == templateOf(name)
	}
	return unit.Match(p.text, name)
}

// templateOf returns app@.service for app@1.service, and "" for names without
// an @. It takes any text, since stores hold any.
func templateOf(name string) string {
	at, dot := strings.IndexByte(name, '@'), strings.LastIndexByte(name, '.')
	if at <= 0 || dot < at {
		return ""
	}
	return name[:at+1] + name[dot:]
}
