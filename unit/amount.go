package unit

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// MaxInstances is the largest number of instances that a template can have the
// engine keep.
const MaxInstances = 10_000

// Limits of what a unit may ask for: wide enough for any cluster, and narrow
// enough that a slip of the hand is noticed and that sums stay in range.
const (
	maxMemory   = 1 << 60   // bytes: 1 EiB
	maxCPUs     = 100_000   // whole ones
	maxPriority = 1_000_000 // above and below 0
	maxAttempts = 100       // to start within ten minutes
)

// wholeNumber reads a number within limits.
func wholeNumber(s string, least, most int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("must be a whole number from %d to %d", least, most)
	}
	return n, nil
}

// ParseMemory reads a size with systemd's suffixes: bytes, more than 0, rounded
// up to whole ones.
func ParseMemory(s string) (int64, error) {
	n, ok := number(s)
	switch {
	case !ok:
		return 0, fmt.Errorf("must be a size such as 512M or 1.5G, with K, M, G, T, P or E for powers of 1024%s", meantSize(s))
	case n <= 0:
		return 0, errors.New("must be more than 0: leave the option out to reserve nothing")
	case n > maxMemory:
		return 0, errors.New("no machine has more than 1E of memory")
	}
	return int64(math.Ceil(n)), nil
}

// meantSize says how fleet writes the size that others write 512MB, 512MiB,
// 512Mi or 512m.
func meantSize(s string) string {
	meant := strings.TrimRight(s, "kmgtpeKMGTPEibB ")
	suffix := strings.ToUpper(strings.Trim(s[len(meant):], " "))
	if suffix == "" || !isDecimal(meant) {
		return ""
	}
	if suffix != "B" {
		meant += suffix[:1]
	}
	if n, ok := number(meant); !ok || n <= 0 || n > maxMemory {
		return ""
	}
	return ", did you mean " + meant + "?"
}

// ParseCPU reads a number of CPUs, more than 0, into thousandths.
func ParseCPU(s string) (int64, error) {
	_, fraction, _ := strings.Cut(s, ".")
	n, ok := number(s)
	switch {
	case !isDecimal(s) || !ok:
		return 0, fmt.Errorf("must be a number of CPUs such as 2, 1.5 or 0.25%s", meantCPU(s))
	case n <= 0:
		return 0, errors.New("must be more than 0: leave the option out to reserve nothing")
	case n > maxCPUs:
		return 0, fmt.Errorf("no machine has more than %d CPUs", maxCPUs)
	case len(strings.TrimRight(fraction, "0")) > 3:
		return 0, errors.New("CPUs are counted in steps of 0.001")
	}
	return int64(math.Round(n * 1000)), nil
}

// meantCPU says how fleet writes the thousandths that others write 500m.
func meantCPU(s string) string {
	n, err := strconv.Atoi(strings.TrimSuffix(s, "m"))
	if err != nil || !strings.HasSuffix(s, "m") || n <= 0 || n > maxCPUs*1000 {
		return ""
	}
	return ", did you mean " + strconv.FormatFloat(float64(n)/1000, 'f', -1, 64) + "?"
}

// onFailure is the one word that Reschedule knows.
const onFailure = "on-failure"

// parseReschedule reads on-failure:N.
func parseReschedule(s string) (int, error) {
	word, attempts, ok := strings.Cut(s, ":")
	if !ok || word != onFailure {
		return 0, fmt.Errorf("must be %s:N, such as %s:3 to try the unit elsewhere after 3 failed starts", onFailure, onFailure)
	}
	n, err := wholeNumber(attempts, 1, maxAttempts)
	if err != nil {
		return 0, fmt.Errorf("what follows %s: %w", onFailure, err)
	}
	return n, nil
}

// parseSpread reads KEY or KEY hard.
func parseSpread(s string) (Spread, error) {
	words := strings.Fields(s)
	hard := len(words) == 2 && words[1] == "hard"
	switch {
	case len(words) != 1 && !hard:
		return Spread{}, errors.New("must be a metadata key, which hard may follow, such as az or az hard")
	case strings.ContainsAny(words[0], operatorBytes):
		return Spread{}, errors.New("must be a metadata key alone, such as az: it is the values of the key that instances are spread over")
	}
	return Spread{words[0], hard}, nil
}
