package main

import "strings"

// parseOSRelease reads the assignments of os-release(5). A line that is none is
// passed over.
func parseOSRelease(text string) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, raw, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		if value, ok := unquoteShell(raw); ok {
			values[name] = value
		}
	}
	return values
}

// unquoteShell reads one word as a shell does, with quotes and backslashes; ok
// is false where it is no single word or a quote is open.
func unquoteShell(s string) (word string, ok bool) {
	var b strings.Builder
	var quote byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == '\\' && quote != '\'':
			i++
			if i == len(s) {
				return "", false
			}
			// Between double quotes most characters don't need one, and keep it.
			if quote == '"' && !strings.ContainsRune("$\"\\`", rune(s[i])) {
				b.WriteByte('\\')
			}
			b.WriteByte(s[i])
		case quote == 0 && (c == ' ' || c == '\t'):
			return "", false
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), quote == 0
}
