package unit

import (
	"path"
	"strings"
)

// IsGlob reports whether s is a pattern over unit names and not a name: names
// hold none of the characters *, ? and [.
func IsGlob(s string) bool { return strings.ContainsAny(s, "*?[") }

// Match reports whether the pattern, as path.Match, matches the whole name. A
// pattern that isn't one matches nothing, and \xHH stands for itself, as in
// the names of escaped units.
func Match(pattern, name string) bool {
	ok, err := path.Match(keepEscapes(pattern), name)
	return err == nil && ok
}

// keepEscapes doubles the backslash of each \xHH in a pattern. path.Match would
// read it as an x that needs no escaping, which no one means, and the pattern
// would never match the escaped name that it was copied from.
func keepEscapes(pattern string) string {
	if !strings.Contains(pattern, `\x`) {
		return pattern
	}
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		if c != '\\' || i+1 == len(pattern) {
			b.WriteByte(c)
			continue
		}
		if _, ok := hexEscape(pattern[i:]); ok {
			b.WriteByte('\\')
		}
		b.WriteString(pattern[i : i+2])
		i++
	}
	return b.String()
}

// quoteGlob makes a pattern that matches s alone.
func quoteGlob(s string) string {
	if !strings.ContainsAny(s, `*?[\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if strings.IndexByte(`*?[\`, s[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// literal returns the one text that a pattern without metacharacters matches.
func literal(pattern string) (string, bool) {
	if !strings.ContainsAny(pattern, `*?[\`) {
		return pattern, true
	}
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '*', c == '?', c == '[':
			return "", false
		case c == '\\' && i+1 < len(pattern):
			i++
		}
		b.WriteByte(pattern[i])
	}
	return b.String(), true
}
