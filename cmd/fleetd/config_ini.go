package main

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxConfigSize is far more than any configuration needs; it keeps a wrong
// path (a log, a device) from being taken for one.
const maxConfigSize = 1 << 20

// iniLine is one assignment. Its name is not empty, and neither name nor value
// has blanks around it or control characters in it.
type iniLine struct {
	number int // counted from 1
	name   string
	value  string
}

// parseINI reads the lines of fleet.conf: name=value, blanks around either
// don't count, and lines that begin with # or ; are comments. There are no
// sections and no continuation lines, as in fleet 1.0. An error begins with
// the line it is about; the other lines are returned all the same.
func parseINI(text []byte) ([]iniLine, []error) {
	if len(text) > maxConfigSize {
		return nil, []error{fmt.Errorf("is %d bytes long: no configuration is larger than %d", len(text), maxConfigSize)}
	}
	var lines []iniLine
	var errs []error
	number := 0
	for raw := range strings.SplitSeq(strings.TrimPrefix(string(text), "\ufeff"), "\n") {
		number++
		line, err := parseINILine(strings.TrimSpace(raw))
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("line %d: %w", number, err))
		case line.name != "":
			line.number = number
			lines = append(lines, line)
		}
	}
	return lines, errs
}

// parseINILine reads one line without blanks around it. A line that says
// nothing has no name.
func parseINILine(s string) (iniLine, error) {
	if s == "" || s[0] == '#' || s[0] == ';' {
		return iniLine{}, nil
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, isControl) {
		return iniLine{}, fmt.Errorf("has bytes that are no text")
	}
	if s[0] == '[' {
		return iniLine{}, fmt.Errorf("%s begins a section, and fleet.conf has none: leave the line out", s)
	}
	name, value, found := strings.Cut(s, "=")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if !found || name == "" {
		return iniLine{}, fmt.Errorf("%q is not of the form option=value", s)
	}
	return iniLine{name: name, value: value}, nil
}

func isControl(r rune) bool { return unicode.IsControl(r) && r != '\t' }
