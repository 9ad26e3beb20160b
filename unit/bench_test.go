package unit_test

import (
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
		{"conditions", "[X-Fleet]\n" + many("MachineMetadata=k=%0200d", 960) + many("MachineMetadata=k>=9%0200d", 32)},
		{"kept", "[X-Fleet]\nInstances=10000\n" + many("Replaces="+strings.Repeat("*0", 250)+"%d", 990)},
		{"crossed", "[X-Fleet]\n" + crossed()},
	} {
		b.Run("file="+bb.name, func(b *testing.B) {
			b.SetBytes(int64(len(bb.text)))
			text := []byte(bb.text)
			for b.Loop() {
				if f, err := unit.Parse(text); err == nil {
					_, _ = f.Requirements("a@.service")
				}
			}
		})
	}
}

func many(format string, n int) string {
	return strings.Join(numbered(format, n), "\n") + "\n"
}

// crossed has as many pairs of a followed unit and a long glob as there may be.
func crossed() string {
	return many("MachineOf=%0200d.service", 32) + many("Conflicts="+strings.Repeat("*0", 250)+"%d", 900)
}
