package unit

import "strings"

// reader splits a text into lines.
type reader struct {
	rest string
	line int // the number of the physical line read last
}

// physical returns the next line as it stands in the text. As in systemd a line
// ends with a line feed, a carriage return or both, in either order.
func (r *reader) physical() (string, bool) {
	if r.rest == "" {
		return "", false
	}
	r.line++
	end := strings.IndexAny(r.rest, "\n\r")
	if end < 0 {
		line := r.rest
		r.rest = ""
		return line, true
	}
	line, next := r.rest[:end], end+1
	if next < len(r.rest) && r.rest[next] != r.rest[end] && (r.rest[next] == '\n' || r.rest[next] == '\r') {
		next++
	}
	r.rest = r.rest[next:]
	return line, true
}

// logical returns the next line that isn't a comment, joined with those that
// continue it, and the number of its first. No line is longer than systemd
// would read (1 MiB), since no file is.
func (r *reader) logical() (line string, number int, ok bool) {
	var joined strings.Builder
	continued := false
	for {
		line, ok := r.physical()
		switch {
		case !ok:
			return joined.String(), number, continued
		case isComment(line):
			continue
		case !continued:
			number = r.line
		}
		switch {
		case endsInBackslash(line):
			joined.WriteString(line[:len(line)-1])
			joined.WriteByte(' ')
			continued = true
		case continued:
			joined.WriteString(line)
			return joined.String(), number, true
		default:
			return line, number, true
		}
	}
}

// isComment reports whether systemd skips a physical line, which it also does
// within a continued one.
func isComment(line string) bool {
	line = strings.TrimLeft(line, whitespace)
	return line != "" && (line[0] == '#' || line[0] == ';')
}

// endsInBackslash reports whether a line ends in a backslash that isn't itself
// escaped by another.
func endsInBackslash(line string) bool {
	n := len(line) - len(strings.TrimRight(line, `\`))
	return n%2 == 1
}

// lineAt returns the number of the line that the byte at offset is in.
func lineAt(s string, offset int) int {
	r := reader{rest: s}
	for r.rest != "" && len(s)-len(r.rest) <= offset {
		r.physical()
	}
	return r.line
}
