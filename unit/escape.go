package unit

import (
	"fmt"
	"path"
	"strings"
)

// Escape makes any text fit to be a prefix or an instance, as systemd-escape
// does: / becomes -, and what a name can't hold becomes \xHH.
func Escape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '/':
			b.WriteByte('-')
		case c == '-', c == '\\', c == '.' && i == 0, !isNameByte(c):
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Unescape undoes Escape, as systemd-escape --unescape does.
func Unescape(s string) (string, error) {
	if !strings.ContainsAny(s, `-\`) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '-':
			b.WriteByte('/')
		case '\\':
			c, ok := hexEscape(s[i:])
			// systemd would cut the text off at a NUL.
			if !ok || c == 0 {
				return "", fmt.Errorf(`can't unescape %q: a \ must begin an escape such as \x2d`, s)
			}
			b.WriteByte(c)
			i += len(`\x2d`) - 1
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), nil
}

// hexEscape returns the byte that the \xHH at the start of s stands for.
func hexEscape(s string) (byte, bool) {
	if len(s) < 4 || s[0] != '\\' || s[1] != 'x' {
		return 0, false
	}
	hi, lo := unhex(s[2]), unhex(s[3])
	if hi < 0 || lo < 0 {
		return 0, false
	}
	return byte(hi<<4 | lo), true
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// EscapePath makes a file system path fit to be a prefix or an instance, as
// systemd-escape --path does: /a//b/ becomes a-b, and / becomes -.
func EscapePath(p string) (string, error) {
	for _, part := range strings.Split(p, "/") {
		if part == ".." {
			return "", fmt.Errorf("can't escape the path %q: it has .. in it", p)
		}
	}
	clean := path.Clean("/" + p)
	if clean != "/" {
		return Escape(clean[1:]), nil
	}
	if p != "" && p[0] != '/' {
		return "", fmt.Errorf("can't escape the path %q: it is not absolute", p)
	}
	return "-", nil
}

// UnescapePath undoes EscapePath; what it returns starts with a /.
func UnescapePath(s string) (string, error) {
	if s == "-" {
		return "/", nil
	}
	p, err := Unescape(s)
	if err != nil {
		return "", err
	}
	if p == "" || path.Clean("/"+p) != "/"+p {
		return "", fmt.Errorf("can't unescape %q: it is not an escaped path", s)
	}
	return "/" + p, nil
}
