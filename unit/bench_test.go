package unit_test

import (
	"fmt"
	"strings"
	"testing"

	"fleet/unit"
)

// The largest files there are, each made to be slow to read: time must stay in
// proportion to their size.
func BenchmarkParse(b *testing.B) {
	fill := func(line string) string { return strings.Repeat(line, (unit.MaxFileSize-1000)/len(line)) }
	for _, bb := range []struct{ name, text string }{
		{"small", "[Unit]\nDescription=web\n\n[Service]\nExecStart=/bin/web\n\n[X-Fleet]\nConflicts=web@*.service\n"},
		{"short-lines", "[Service]\n" + fill("a=b\n")},
		{"continued", "[Service]\na=" + fill("b\\\n")},
		{"sections", fill("[Service]\n")},
		{"resets", "[X-Fleet]\n" + fill("Conflicts=a\nConflicts=\n")},
		{"wrong-lines", "[Service]\n" + fill("a\n")},
		{"wrong-byte", "[Service]\n" + fill("a\n") + "\xff"},
		{"quoted", "[X-Fleet]\nConflicts=" + fill(`"a" `)},
		{"crossed", "[X-Fleet]\n" + crossed()},
	} {
		b.Run("file="+bb.name, func(b *testing.B) {
			b.SetBytes(int64(len(bb.text)))
			text := []byte(bb.text)
			for b.Loop() {
				if f, err := unit.Parse(text); err == nil {
					_, _ = f.Requirements("a@1.service")
				}
			}
		})
	}
}

// crossed has as many pairs of a followed unit and a long glob as there may be.
func crossed() string {
	var s strings.Builder
	for i := range 32 {
		fmt.Fprintf(&s, "MachineOf=%0200d.service\n", i)
	}
	for i := range 900 {
		fmt.Fprintf(&s, "Conflicts=%s%d\n", strings.Repeat("*0", 250), i)
	}
	return s.String()
}
