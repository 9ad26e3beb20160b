package unit

import (
	"strings"
	"unicode/utf8"
)

// Print returns the text of a unit file with the options, the sections in the
// order of their first appearance. Parsed again it has the same options in
// each section, given that FromOptions accepts them.
func Print(options []Option) string {
	var b strings.Builder
	section := ""
	for _, o := range groupSections(options) {
		if o.Section != section || b.Len() == 0 {
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			b.WriteString("[" + o.Section + "]\n")
			section = o.Section
		}
		b.WriteString(o.Name + "=" + o.Value)
		if endsInBackslash(o.Value) {
			// A space, which systemd trims, keeps the next line apart.
			b.WriteByte(' ')
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// FromOptions makes the file of options, which is the one that Parse reads from
// what Print writes. It refuses options that would be read as something else.
func FromOptions(options []Option) (*File, error) {
	if len(options) == 0 {
		return nil, &Error{Msg: "the file is empty: it has no options"}
	}
	var p problems
	trimmed := make([]Option, len(options))
	for i, o := range options {
		o.Name = strings.Trim(o.Name, " \t")
		o.Value = strings.Trim(o.Value, " \t")
		if why := badOption(o); why != "" {
			p.add(0, "option %d, %.60q in [%.60s]: %s", i+1, o.Name, o.Section, why)
		}
		trimmed[i] = o
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	text := Print(trimmed)
	if err := checkSize(len(text)); err != nil {
		return nil, err
	}
	return newFile(text, groupSections(trimmed), nil, &p)
}

// badOption says why an option can't be written to a line.
func badOption(o Option) string {
	for _, part := range []struct{ what, text string }{
		{"section", o.Section}, {"name", o.Name}, {"value", o.Value},
	} {
		switch {
		case strings.ContainsAny(part.text, "\n\r"):
			return "the " + part.what + " has a line break in it, which would begin another line of the file"
		case strings.Contains(part.text, "\x00"):
			return "the " + part.what + " has a NUL byte in it"
		case !utf8.ValidString(part.text):
			return "the " + part.what + " is not UTF-8 text"
		}
	}
	if why := badSection(o.Section); why != "" {
		return "the section " + why
	}
	if why := badName(o.Name); why != "" {
		return "the name " + why
	}
	return ""
}

// groupSections orders options by the first appearance of their sections.
func groupSections(options []Option) []Option {
	var order []string
	groups := make(map[string][]Option)
	for _, o := range options {
		if _, seen := groups[o.Section]; !seen {
			order = append(order, o.Section)
		}
		groups[o.Section] = append(groups[o.Section], o)
	}
	grouped := make([]Option, 0, len(options))
	for _, section := range order {
		grouped = append(grouped, groups[section]...)
	}
	return grouped
}
