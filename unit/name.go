package unit

import (
	"fmt"
	"strings"
)

// MaxNameSize is the length of the longest unit name, in bytes.
const MaxNameSize = 255

// Name is a valid unit name, taken apart: app.service has only a prefix and a
// suffix, the template app@.service and its instance app@1.service an @ too.
type Name struct {
	Full     string // app@1.service
	Prefix   string // app: what precedes the first @, or the suffix
	Instance string // 1: what is between the first @ and the suffix
	Suffix   string // .service: the unit's type, with the dot
}

// ParseName takes s apart. Its rules are those of systemd.unit(5), narrowed to
// the types that fleet knows as templates.
func ParseName(s string) (Name, error) {
	if err := checkNameText(s); err != nil {
		return Name{}, err
	}
	dot := strings.LastIndexByte(s, '.')
	if dot < 0 {
		return Name{}, fmt.Errorf("unit name %q has no suffix such as .service", s)
	}
	n := Name{Full: s, Prefix: s[:dot], Suffix: s[dot:]}
	if !isSuffix(n.Suffix) {
		return Name{}, fmt.Errorf("unit name %q ends in %s, which is no unit type: "+
			"automount, busname, device, mount, path, scope, service, slice, snapshot, socket, swap, target or timer", s, n.Suffix)
	}
	if n.Prefix == "" {
		return Name{}, fmt.Errorf("unit name %q has nothing before %s", s, n.Suffix)
	}
	if prefix, instance, ok := strings.Cut(n.Prefix, "@"); ok {
		n.Prefix, n.Instance = prefix, instance
		if !canBeTemplate(n.Suffix) {
			return Name{}, fmt.Errorf("unit name %q has an @, but a template or an instance must be a path, service, socket, target or timer", s)
		}
	}
	return n, nil
}

func checkNameText(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("unit name is empty")
	case len(s) > MaxNameSize:
		return fmt.Errorf("unit name %.40q... is %d bytes long, the limit is %d", s, len(s), MaxNameSize)
	case s[0] == '@':
		return fmt.Errorf("unit name %q starts with @: it needs a name before it", s)
	}
	for _, r := range s {
		if r > 0x7f || r != '@' && !isNameByte(byte(r)) {
			return fmt.Errorf(`unit name %q has %q in it: only letters, digits and :-_.\@ are allowed`, s, r)
		}
	}
	return nil
}

// isNameByte reports whether c may stand in a prefix or an instance as itself.
func isNameByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c == ':' || c == '-' || c == '_' || c == '.' || c == '\\'
}

func isSuffix(s string) bool {
	switch s {
	case ".automount", ".busname", ".device", ".mount", ".path", ".scope", ".service",
		".slice", ".snapshot", ".socket", ".swap", ".target", ".timer":
		return true
	}
	return false
}

func canBeTemplate(suffix string) bool {
	switch suffix {
	case ".path", ".service", ".socket", ".target", ".timer":
		return true
	}
	return false
}

// String returns the full name.
func (n Name) String() string { return n.Full }

// Type returns the suffix without its dot.
func (n Name) Type() string { return strings.TrimPrefix(n.Suffix, ".") }

// IsTemplate reports whether n is a template, such as app@.service.
func (n Name) IsTemplate() bool { return n.hasAt() && n.Instance == "" }

// IsInstance reports whether n is an instance, such as app@1.service.
func (n Name) IsInstance() bool { return n.Instance != "" }

// hasAt is true of templates and instances: a prefix has no @ of its own.
func (n Name) hasAt() bool { return len(n.Full) > len(n.Prefix)+len(n.Suffix) }

// Template returns the name of the template that n is an instance of, n's own
// if n is a template, and "" otherwise.
func (n Name) Template() string {
	if !n.hasAt() {
		return ""
	}
	return n.Prefix + "@" + n.Suffix
}

// InstanceOf reports whether n is an instance of the template t.
func (n Name) InstanceOf(t Name) bool { return n.IsInstance() && n.Template() == t.Full }

// WithInstance returns the name of the instance i of the template n, or of the
// template of the instance n.
func (n Name) WithInstance(i string) (Name, error) {
	switch {
	case !n.hasAt():
		return Name{}, fmt.Errorf("%s is not a template", n.Full)
	case i == "":
		return Name{}, fmt.Errorf("the instance of %s has an empty name", n.Template())
	}
	return ParseName(n.Prefix + "@" + i + n.Suffix)
}
