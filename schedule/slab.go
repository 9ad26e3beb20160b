package schedule

// slab hands out small slices from arrays of many, so that each of a million
// decisions doesn't cost allocations of its own. The arrays grow with what is
// asked for, so that a Plan of one decision makes small ones; each lives as long
// as anything in it.
type slab[T any] struct {
	left []T
	last int // the size of the last array
}

// largestSlab bounds what one decision that is kept can keep with it.
const largestSlab = 256

// list returns a slice of n zero elements, which has no room for more.
func (s *slab[T]) list(n int) []T {
	if len(s.left) < n {
		s.last = max(n, min(2*s.last, largestSlab))
		s.left = make([]T, s.last)
	}
	list := s.left[:n:n]
	s.left = s.left[n:]
	return list
}
