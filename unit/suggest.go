package unit

import "strings"

// suggestion says which option a user may have meant by an unknown name.
func suggestion(name string) string {
	var names []string
	for _, o := range fleetOptions() {
		names = append(names, string(o))
	}
	if best := meantOption(name, names); best != "" {
		return ", did you mean " + best + "?"
	}
	return "; the options are " + strings.Join(names, ", ")
}

// meantOption returns the one of names that was most likely meant: what others
// call it, the only one that has the name in it, or the closest.
func meantOption(name string, names []string) string {
	lower := strings.ToLower(name)
	switch lower {
	case "replicas", "count", "scale":
		return string(instances)
	case "affinity":
		return string(prefer)
	case "antiaffinity":
		return string(conflicts)
	}
	var within []string
	for _, n := range names {
		if strings.Contains(strings.ToLower(n), lower) {
			within = append(within, n)
		}
	}
	if len(name) >= 3 && len(within) == 1 {
		return within[0]
	}
	return Closest(name, names)
}

// Closest returns the one of names that was most likely meant by name, whatever
// the case of its letters, or "" if none is near enough.
func Closest(name string, names []string) string {
	best, distance := "", max(2, len(name)/3)+1
	for _, n := range names {
		if d := editDistance(strings.ToLower(name), strings.ToLower(n), distance); d < distance {
			best, distance = n, d
		}
	}
	return best
}

// editDistance returns how many letters must be added, dropped or changed to
// make b of a, or limit when that many or more.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return min(row[len(b)], limit)
}
