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

const digits = "0123456789"

func isDigits(s string) bool { return s != "" && strings.Trim(s, digits) == "" }

// isComparable reports whether s can be what another value is compared with.
func isComparable(s string) bool {
	_, ok := number(s)
	return ok || isVersion(s)
}

// compare tells whether a is less (-1), as much (0) or more (1) than b: as
// versions where either is one, else as numbers. It is not ok where they can't
// be compared.
func compare(a, b string) (order int, ok bool) {
	if isVersion(a) || isVersion(b) {
		return compareVersions(a, b), canBeVersion(a) && canBeVersion(b)
	}
	x, okX := number(a)
	y, okY := number(b)
	return cmp.Compare(x, y), okX && okY
}

// isVersion reports whether s is to be compared as a version: it begins with
// three dotted numbers at least. With fewer it is a decimal number.
func isVersion(s string) bool {
	for range 3 {
		var part string
		if part, s = versionPart(s); part == "" {
			return false
		}
	}
	return true
}

// canBeVersion reports whether s can be compared with a version: 20 and 20.10
// can, the size 20G can't.
func canBeVersion(s string) bool {
	part, _ := versionPart(s)
	_, isNumber := number(s)
	return part != "" && !(isNumber && strings.IndexByte(sizeSuffixes, s[len(s)-1]) >= 0)
}

// compareVersions compares the dotted numbers that a and b begin with, part by
// part; parts that one of them lacks are 0.
func compareVersions(a, b string) (order int) {
	for order == 0 && (a != "" || b != "") {
		var x, y string
		x, a = versionPart(a)
		y, b = versionPart(b)
		order = compareDigits(x, y)
	}
	return order
}

// versionPart returns the first of the dotted numbers that s begins with, and
// what follows its dot: 20 and 10.24+dfsg1 of 20.10.24+dfsg1. The last one has
// nothing that follows it.
func versionPart(s string) (part, rest string) {
	tail := strings.TrimLeft(s, digits)
	part = s[:len(s)-len(tail)]
	if rest, dot := strings.CutPrefix(tail, "."); dot && part != "" {
		return part, rest
	}
	return part, ""
}

// compareDigits compares whole numbers of any length; none is 0.
func compareDigits(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}
