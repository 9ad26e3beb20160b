package unit_test

import (
	"testing"

	"fleet/unit"
)

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"web@*.service", "web@1.service", true},
		{"web@*.service", "web@1.timer", false},
		{"*", "web.service", true},
		{"web", "web.service", false},
		{"web@[12].service", "web@2.service", true},
		{"web@?.service", "web@10.service", false},
		{"[", "[", false},
		{`a\x2db.service`, `a\x2db.service`, true},
		{`a\\x2db.service`, `a\x2db.service`, true},
		{`a\x2d*.service`, `a\x2db.service`, true},
		{`a\*.service`, `ab.service`, false},
	} {
		if got := unit.Match(tt.pattern, tt.name); got != tt.want {
			t.Errorf("Match(%q, %q) = %v", tt.pattern, tt.name, got)
		}
	}
}

func TestIsGlob(t *testing.T) {
	for s, want := range map[string]bool{
		"web.service": false, `a\x2db.service`: false, "web*": true, "web?": true, "web[1]": true,
	} {
		if unit.IsGlob(s) != want {
			t.Errorf("IsGlob(%q) = %v", s, !want)
		}
	}
}
