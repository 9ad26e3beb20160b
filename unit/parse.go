package unit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Parse reads the text of a unit file as systemd.syntax(7) describes. Sections
// that systemd doesn't know are kept, as systemd ignores them; what systemd
// would skip with a warning, such as a line that isn't an assignment, is an
// error, and so is an unknown option in [X-Fleet].
//
// A value is kept as systemd sees it once continued lines are joined: trimmed,
// with its quotes, escapes and specifiers as written.
func Parse(text []byte) (*File, error) {
	if err := checkSize(len(text)); err != nil {
		return nil, err
	}
	s := string(text)
	if err := checkText(s); err != nil {
		return nil, err
	}
	p := parser{reader: reader{rest: strings.TrimPrefix(s, byteOrderMark)}}
	p.parse()
	if !p.inSection && len(p.problems.list) == 0 {
		p.problems.add(0, "the file has no section: a service needs at least [Service]")
	}
	return newFile(s, p.options, p.lines, &p.problems)
}

// byteOrderMark is what some editors put before UTF-8.
const byteOrderMark = "\ufeff"

// whitespace is what systemd trims.
const whitespace = " \t\n\r"

// newFile makes the file of a text and the options in it. Errors in [X-Fleet]
// join what is wrong already.
func newFile(text string, options []Option, lines []int, p *problems) (*File, error) {
	section := compileFleet(options, lines, p)
	if err := p.err(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(text))
	return &File{
		Text:    text,
		Hash:    hex.EncodeToString(sum[:]),
		Options: options,
		lines:   lines,
		fleet:   section,
	}, nil
}

func checkSize(n int) error {
	if n > MaxFileSize {
		return fmt.Errorf("%w: it has %d bytes, the limit is %d", ErrTooLarge, n, MaxFileSize)
	}
	return nil
}

// checkText refuses what isn't text. systemd lets comments be anything, but the
// text must survive JSON unchanged.
func checkText(s string) error {
	if strings.Trim(s, whitespace) == "" {
		return &Error{Msg: "the file is empty"}
	}
	if i := strings.IndexByte(s, 0); i >= 0 {
		return &Error{lineAt(s, i), "has a NUL byte: this is not a text file"}
	}
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)) {
			return &Error{lineAt(s, i), fmt.Sprintf("has the byte 0x%02x, which is not UTF-8 text", s[i])}
		}
	}
	return nil
}

type parser struct {
	reader
	problems  problems
	section   string
	inSection bool
	outside   bool // an assignment before any section was told of
	options   []Option
	lines     []int
}

func (p *parser) parse() {
	for {
		line, number, ok := p.logical()
		if !ok {
			return
		}
		line = strings.Trim(line, whitespace)
		switch {
		case line == "":
		case line[0] == '[':
			p.header(line, number)
		default:
			p.assignment(line, number)
		}
	}
}

func (p *parser) header(line string, number int) {
	p.inSection = true
	if len(line) < 2 || line[len(line)-1] != ']' {
		p.problems.add(number, "section header %.60q does not end with ]", line)
		return
	}
	section := line[1 : len(line)-1]
	if why := badSection(section); why != "" {
		p.problems.add(number, "section header %.60q %s", line, why)
	}
	p.section = section
}

func (p *parser) assignment(line string, number int) {
	if !p.inSection {
		// Once is enough: all that follows has the same cause.
		if !p.outside {
			p.problems.add(number, "%.60q stands before any section such as [Unit]", line)
		}
		p.outside = true
		return
	}
	name, value, ok := strings.Cut(line, "=")
	if !ok {
		p.problems.add(number, "%.60q has no =, a line must be Name=value", line)
		return
	}
	o := Option{p.section, strings.Trim(name, whitespace), strings.Trim(value, whitespace)}
	if why := badName(o.Name); why != "" {
		p.problems.add(number, "%.60q: the option's name %s", line, why)
		return
	}
	p.options = append(p.options, o)
	p.lines = append(p.lines, number)
}

// badSection says what is wrong with a section's name. systemd refuses to load
// a unit for control characters, quotes and backslashes in one.
func badSection(s string) string {
	switch {
	case s == "":
		return "is empty"
	case strings.ContainsAny(s, "[]"):
		return "has a [ or ] in its name"
	case strings.ContainsAny(s, "\"'\\") || strings.ContainsFunc(s, isControl):
		return "has a quote, a backslash or a control character in it"
	case s != FleetSection && strings.EqualFold(strings.TrimSpace(s), FleetSection):
		// systemd would skip it like any X-section, and its constraints would
		// be lost without a word.
		return "is unknown, did you mean [" + FleetSection + "]?"
	}
	return ""
}

// badName says what is wrong with an option's name: whatever would make it
// something else when written to a line of its own.
func badName(s string) string {
	switch {
	case s == "":
		return "is empty"
	case strings.HasPrefix(s, byteOrderMark):
		return "starts with a byte order mark, which belongs at the start of the file"
	case s[0] == '[' || s[0] == '#' || s[0] == ';':
		return fmt.Sprintf("starts with %c", s[0])
	case strings.Contains(s, "="):
		return "has a = in it"
	}
	return ""
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
