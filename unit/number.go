package unit

import (
	"cmp"
	"math"
	"strconv"
	"strings"
)

// sizeSuffixes stand for 1024, 1024² and so on, as in systemd.
const sizeSuffixes = "KMGTPE"

// number reads a decimal number such as 16, 1.5 or -3, with a size suffix or
// without. 2^53 and less is exact.
func number(s string) (float64, bool) {
	exponent := 0
	if last := len(s) - 1; last >= 0 {
		if i := strings.IndexByte(sizeSuffixes, s[last]); i >= 0 {
			s, exponent = s[:last], 10*(i+1)
		}
	}
	if !isDecimal(s) {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	f = math.Ldexp(f, exponent)
	return f, err == nil && !math.IsInf(f, 0)
}

// isDecimal narrows what strconv reads: no exponent, hexadecimal or infinity.
func isDecimal(s string) bool {
	whole, fraction, dot := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	return isDigits(whole) && (!dot || isDigits(fraction))
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// version returns the dotted numbers that s begins with: 20.10.24 of
// 20.10.24+dfsg1.
func version(s string) []string {
	end := len(s) - len(strings.TrimLeft(s, "0123456789."))
	var parts []string
	for _, part := range strings.Split(s[:end], ".") {
		if part == "" {
			break
		}
		parts = append(parts, part)
	}
	return parts
}

// isVersion reports whether s is compared as a version: it begins with at least
// three dotted numbers. With fewer it is a decimal number.
func isVersion(s string) bool { return len(version(s)) >= 3 }

func isComparable(s string) bool {
	_, ok := number(s)
	return ok || isVersion(s)
}

// compare tells whether a is less (-1), as much (0) or more (1) than b: as
// versions, part by part, where either is one, else as numbers. It is not ok
// where they can't be compared.
func compare(a, b string) (order int, ok bool) {
	if isVersion(a) || isVersion(b) {
		return compareVersions(version(a), version(b))
	}
	x, okX := number(a)
	y, okY := number(b)
	return cmp.Compare(x, y), okX && okY
}

func compareVersions(a, b []string) (order int, ok bool) {
	for i := range max(len(a), len(b)) {
		order = cmp.Or(order, compareDigits(part(a, i), part(b, i)))
	}
	return order, len(a) > 0 && len(b) > 0
}

// part returns a version's part i: 20.10 is as good as 20.10.0.
func part(version []string, i int) string {
	if i < len(version) {
		return version[i]
	}
	return "0"
}

// compareDigits compares whole numbers of any length.
func compareDigits(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}
