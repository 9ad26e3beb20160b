package engine

import (
	"testing"
	"time"
)

// TestAbsenceIsProvenByUnbrokenContact goes through answers at these seconds,
// with a TTL of 8 s: a gap of more than 2 s breaks the contact.
func TestAbsenceIsProvenByUnbrokenContact(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	for _, c := range []struct {
		name    string
		answers []float64
		now     float64
		want    float64
	}{
		{"never answered", nil, 5, 13},
		{"answered once", []float64{1}, 1, 9},
		{"answered all along", []float64{1, 2, 3, 5, 7, 8, 10}, 10, 9},
		{"a gap, then answers", []float64{1, 2, 5, 6}, 6, 13},
		{"in a gap", []float64{1, 2, 3}, 6, 14},
		{"as long between two answers as is allowed", []float64{1, 3, 5, 7, 9}, 10, 9},
	} {
		k := contact{ttl: 8 * time.Second}
		for _, s := range c.answers {
			k.answered(at(s))
		}
		if got := k.proven(at(c.now)); !got.Equal(at(c.want)) {
			t.Errorf("%s: proven from %v, want %v", c.name, got.Sub(start), at(c.want).Sub(start))
		}
	}
}
