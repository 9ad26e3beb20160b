package registry

import (
	"iter"
	"slices"
	"sort"
)

// keyHistory is every version of one key that the store still has, oldest
// first. Versions are appended and never changed, so that a backup may share
// them.
type keyHistory struct {
	key      string
	versions []KeyChange
}

// at returns the key as of a revision.
func (h *keyHistory) at(rev int64) (Pair, bool) {
	n := len(h.versions)
	if n > 0 && h.versions[n-1].ModRevision > rev {
		n = sort.Search(n, func(i int) bool { return h.versions[i].ModRevision > rev })
	}
	if n == 0 || h.versions[n-1].Deleted {
		return Pair{}, false
	}
	return h.versions[n-1].Pair, true
}

// chunkSize bounds what an insertion moves.
const chunkSize = 512

// keyIndex holds key histories in the keys' order: a list of sorted chunks,
// none of them empty.
type keyIndex struct {
	chunks [][]*keyHistory
	byKey  map[string]*keyHistory
}

func newKeyIndex() keyIndex { return keyIndex{byKey: make(map[string]*keyHistory)} }

// seek returns where the first key not below key is, or would be.
func (x *keyIndex) seek(key string) (chunk, i int) {
	chunk = sort.Search(len(x.chunks), func(c int) bool { return x.chunks[c][0].key > key })
	if chunk > 0 {
		chunk--
	}
	if chunk < len(x.chunks) {
		entries := x.chunks[chunk]
		i = sort.Search(len(entries), func(i int) bool { return entries[i].key >= key })
	}
	return chunk, i
}

// obtain returns the key's history, an empty new one if there is none.
func (x *keyIndex) obtain(key string) *keyHistory {
	if h := x.byKey[key]; h != nil {
		return h
	}
	h := &keyHistory{key: key}
	x.insert(h)
	return h
}

func (x *keyIndex) insert(h *keyHistory) {
	x.byKey[h.key] = h
	if len(x.chunks) == 0 {
		x.chunks = [][]*keyHistory{{h}}
		return
	}
	c, i := x.seek(h.key)
	entries := slices.Insert(x.chunks[c], i, h)
	x.chunks[c] = entries
	if len(entries) > chunkSize {
		half := len(entries) / 2
		x.chunks[c] = slices.Clone(entries[:half])
		x.chunks = slices.Insert(x.chunks, c+1, slices.Clone(entries[half:]))
	}
}

// each yields the histories of the keys in [key, end); see inRange.
func (x *keyIndex) each(key, end string) iter.Seq[*keyHistory] {
	return func(yield func(*keyHistory) bool) {
		if end == "" {
			if h := x.byKey[key]; h != nil {
				yield(h)
			}
			return
		}
		chunk, i := x.seek(key)
		for ; chunk < len(x.chunks); chunk, i = chunk+1, 0 {
			for _, h := range x.chunks[chunk][i:] {
				if !inRange(h.key, key, end) || !yield(h) {
					return
				}
			}
		}
	}
}

// all yields every history, in the keys' order.
func (x *keyIndex) all() iter.Seq[*keyHistory] {
	return func(yield func(*keyHistory) bool) {
		for _, entries := range x.chunks {
			for _, h := range entries {
				if !yield(h) {
					return
				}
			}
		}
	}
}

// inRange reports whether k is in [key, end). An empty end means key alone,
// and as in etcd an end of one zero byte means everything from key on.
func inRange(k, key, end string) bool {
	switch end {
	case "":
		return k == key
	case "\x00":
		return k >= key
	}
	return key <= k && k < end
}
