package unit_test

import (
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"fleet/unit"
)

// What is expected here is what systemd-escape of systemd 252 answers.

func TestEscape(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"abc", "abc"},
		{"a/b-c.d", `a-b\x2dc.d`},
		{".x", `\x2ex`},
		{"x.", "x."},
		{`a\b`, `a\x5cb`},
		{"a b:_@", `a\x20b:_\x40`},
		{"/dev/sda", "-dev-sda"},
		{"ü", `\xc3\xbc`},
	} {
		if got := unit.Escape(tt.in); got != tt.want {
			t.Errorf("Escape(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestUnescape(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"plain", "plain"},
		{"-a", "/a"},
		{"a--b", "a//b"},
		{`\x2dA\xC3\xBC`, "-Aü"},
	} {
		got, err := unit.Unescape(tt.in)
		if err != nil || got != tt.want {
			t.Errorf("Unescape(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{`\`, `a\q`, `\x`, `\x2`, `\x2g`, `\X2d`, `a\x00b`} {
		if got, err := unit.Unescape(in); err == nil {
			t.Errorf("Unescape(%q) = %q, want an error", in, got)
		}
	}
}

func TestEscapePath(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"/", "-"},
		{"//", "-"},
		{"/.", "-"},
		{"", "-"},
		{"/a//./b/", "a-b"},
		{"a/", "a"},
		{"./a", "a"},
		{"/.a", `\x2ea`},
		{"/a/..b", "a-..b"},
	} {
		got, err := unit.EscapePath(tt.in)
		if err != nil || got != tt.want {
			t.Errorf("EscapePath(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{".", "..", "/a/../b", "x/../y", "/.."} {
		if got, err := unit.EscapePath(in); err == nil {
			t.Errorf("EscapePath(%q) = %q, want an error", in, got)
		}
	}
}

func TestUnescapePath(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"-", "/"},
		{"a-b", "/a/b"},
		{`\x2ea`, "/.a"},
		{"a-..b", "/a/..b"},
	} {
		got, err := unit.UnescapePath(tt.in)
		if err != nil || got != tt.want {
			t.Errorf("UnescapePath(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{"", "--", "-a", "a-", "a--b", `\x2e`, `\x2e\x2e`, `a-\x2e-b`, `a\`} {
		if got, err := unit.UnescapePath(in); err == nil {
			t.Errorf("UnescapePath(%q) = %q, want an error", in, got)
		}
	}
}

func TestEscapeIsUndone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[^\x00]*`).Draw(t, "text")
		escaped := unit.Escape(s)
		got, err := unit.Unescape(escaped)
		if err != nil || got != s {
			t.Fatalf("Unescape(Escape(%q)) = %q, %v", s, got, err)
		}
		if s == "" || !utf8.ValidString(s) || len(escaped) > 200 {
			return
		}
		if _, err := unit.ParseName("a@" + escaped + ".service"); err != nil {
			t.Fatalf("escaped to an instance that isn't one: %v", err)
		}
	})
}
