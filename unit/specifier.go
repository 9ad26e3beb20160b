package unit

import (
	"fmt"
	"strings"
)

// specifiers is what may follow a % in the values of [X-Fleet].
const specifiers = "%n %N %p %P %i %I %j %J %f %%"

// expand fills in the specifiers of text with what they stand for in the unit
// called n, each passed through quote. They mean what they mean in
// systemd.unit(5); one that isn't known is an error.
func expand(text string, n Name, quote func(string) string) (string, error) {
	before, rest, found := strings.Cut(text, "%")
	if !found {
		return text, nil
	}
	var b strings.Builder
	for found {
		b.WriteString(before)
		if rest == "" {
			return "", fmt.Errorf("a %% stands alone at the end, write %%%% for a percent sign")
		}
		s, err := n.specifier(rest[0])
		if err != nil {
			return "", err
		}
		b.WriteString(quote(s))
		before, rest, found = strings.Cut(rest[1:], "%")
	}
	b.WriteString(before)
	return b.String(), nil
}

func (n Name) specifier(c byte) (string, error) {
	switch c {
	case '%':
		return "%", nil
	case 'n':
		return n.Full, nil
	case 'N':
		return strings.TrimSuffix(n.Full, n.Suffix), nil
	case 'p':
		return n.Prefix, nil
	case 'P':
		return Unescape(n.Prefix)
	case 'i':
		return n.Instance, nil
	case 'I':
		return Unescape(n.Instance)
	case 'j':
		return n.lastComponent(), nil
	case 'J':
		return Unescape(n.lastComponent())
	case 'f':
		return n.path()
	}
	return "", fmt.Errorf("unknown specifier %q, [X-Fleet] knows %s", "%"+string(rune(c)), specifiers)
}

// lastComponent returns what follows the last - of the prefix, or all of it.
func (n Name) lastComponent() string {
	return n.Prefix[strings.LastIndexByte(n.Prefix, '-')+1:]
}

// path returns the instance, or the prefix where there is none, as a path.
func (n Name) path() (string, error) {
	if n.Instance != "" {
		return UnescapePath(n.Instance)
	}
	return UnescapePath(n.Prefix)
}
