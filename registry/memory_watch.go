package registry

import (
	"context"
	"errors"
	"time"

	"fleet/schedule"
)

// memoryWatch is one watch of a Memory. The Memory's lock guards everything
// that is not said to be otherwise.
type memoryWatch struct {
	client   *memoryClient
	key, end string
	next     int64 // the first revision that it has not seen
	joined   bool  // in the index, so that pending is fed
	pending  []memoryRevision
	err      error
	wake     chan struct{}
	out      chan WatchEvent

	// The watch's goroutine alone uses these.
	heard time.Time // when the store was last heard from
	begun bool      // something was delivered
}

// kick makes the watch look at its state again.
func (w *memoryWatch) kick() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// fail ends the watch. The lock is held.
func (w *memoryWatch) fail(err error) {
	if w.err == nil {
		w.err = err
		w.kick()
	}
}

// run delivers until ctx ends or the watch has failed.
func (w *memoryWatch) run(ctx context.Context) {
	defer close(w.out)
	defer w.leave()
	timer := time.NewTimer(progressInterval)
	defer timer.Stop()
	for {
		event, due, again := w.take()
		if due {
			select {
			case w.out <- event:
			case <-ctx.Done():
				return
			}
			if event.Err != nil {
				return
			}
			w.heard, w.begun = time.Now(), true
			continue
		}
		timer.Reset(again)
		select {
		case <-w.wake:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// take returns what is to be delivered now, or else when to look again.
func (w *memoryWatch) take() (event WatchEvent, due bool, again time.Duration) {
	m := w.client.m
	m.mu.Lock()
	defer m.mu.Unlock()
	quiet := time.Since(w.heard)
	open := w.client.open()
	if open && !w.joined && w.err == nil {
		m.join(w)
	}
	switch {
	case w.err != nil:
		return WatchEvent{Revision: w.next - 1, Err: w.err}, true, 0
	case open && len(w.pending) > 0:
		return w.drain(), true, 0
	case open && m.state.revision >= w.next-1 && (quiet >= progressInterval || !w.begun):
		w.next = m.state.revision + 1
		return WatchEvent{Revision: m.state.revision}, true, 0
	case open && m.state.revision >= w.next-1:
		return WatchEvent{}, false, progressInterval - quiet
	case quiet >= silenceLimit:
		return WatchEvent{Revision: w.next - 1, Err: unavailable(errSilent)}, true, 0
	}
	return WatchEvent{}, false, silenceLimit - quiet
}

var errSilent = errors.New("the watch has fallen silent")

// drain turns everything pending into one event. The lock is held.
func (w *memoryWatch) drain() WatchEvent {
	var event WatchEvent
	for _, r := range w.pending {
		event.Revision = r.revision
		for _, change := range r.changes {
			if inRange(change.Key, w.key, w.end) {
				event.Changes = append(event.Changes, change)
			}
		}
	}
	w.pending = nil
	return event
}

// touches reports whether a revision has a change for this watch.
func (w *memoryWatch) touches(r memoryRevision) bool {
	for _, change := range r.changes {
		if inRange(change.Key, w.key, w.end) {
			return true
		}
	}
	return false
}

// leave takes the watch out of the store.
func (w *memoryWatch) leave() {
	m := w.client.m
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(w.client.watches, w)
	m.watches.remove(w)
}

// join starts a watch: its history is queued and what follows will be. The
// lock is held.
func (m *Memory) join(w *memoryWatch) {
	if w.next == 0 {
		w.next = m.state.revision + 1
	}
	if m.replay(w) {
		w.joined = true
		m.watches.add(w)
	}
}

// replay queues the history that the watch has not seen, or fails it where
// that is gone. The lock is held.
func (m *Memory) replay(w *memoryWatch) bool {
	if w.next < m.state.compacted {
		w.fail(schedule.ErrCompacted)
		return false
	}
	for _, r := range m.state.since(w.next) {
		if w.touches(r) {
			w.pending = append(w.pending, r)
			w.next = r.revision + 1
		}
	}
	if len(w.pending) > 0 {
		w.kick()
	}
	return true
}

// watchIndex finds the watches that a key concerns: those of that key alone,
// those of a prefix, which nearly all are, and the rest.
type watchIndex struct {
	byKey    map[string]watchSet
	byPrefix map[string]watchSet
	lengths  map[int]int // how many watched prefixes have a length
	other    watchSet
}

type watchSet map[*memoryWatch]struct{}

func newWatchIndex() watchIndex {
	return watchIndex{
		byKey: make(map[string]watchSet), byPrefix: make(map[string]watchSet),
		lengths: make(map[int]int), other: make(watchSet),
	}
}

func (x *watchIndex) add(w *memoryWatch) {
	switch {
	case w.end == "":
		addTo(x.byKey, w.key, w)
	case isPrefix(w.key, w.end):
		addTo(x.byPrefix, w.key, w)
		x.lengths[len(w.key)]++
	default:
		x.other[w] = struct{}{}
	}
}

func addTo(sets map[string]watchSet, key string, w *memoryWatch) {
	if sets[key] == nil {
		sets[key] = make(watchSet)
	}
	sets[key][w] = struct{}{}
}

func (x *watchIndex) remove(w *memoryWatch) {
	if !w.joined {
		return
	}
	w.joined = false
	switch {
	case w.end == "":
		removeFrom(x.byKey, w.key, w)
	case isPrefix(w.key, w.end):
		removeFrom(x.byPrefix, w.key, w)
		if x.lengths[len(w.key)]--; x.lengths[len(w.key)] == 0 {
			delete(x.lengths, len(w.key))
		}
	default:
		delete(x.other, w)
	}
}

func removeFrom(sets map[string]watchSet, key string, w *memoryWatch) {
	if delete(sets[key], w); len(sets[key]) == 0 {
		delete(sets, key)
	}
}

// isPrefix reports whether [key, end) is exactly the keys that begin with key.
func isPrefix(key, end string) bool {
	n := len(end)
	return n > 0 && len(key) == n && key[:n-1] == end[:n-1] && key[n-1] < 0xff && key[n-1]+1 == end[n-1]
}

// deliver queues a revision with every watch that it concerns and wakes it.
func (x *watchIndex) deliver(r memoryRevision) {
	for _, change := range r.changes {
		queue(x.byKey[change.Key], r)
		for n := range x.lengths {
			if n <= len(change.Key) {
				queue(x.byPrefix[change.Key[:n]], r)
			}
		}
	}
	for w := range x.other {
		if w.touches(r) {
			queue(watchSet{w: {}}, r)
		}
	}
}

// queue adds a revision to watches that have not seen it, once.
func queue(watches watchSet, r memoryRevision) {
	for w := range watches {
		if r.revision >= w.next {
			w.pending = append(w.pending, r)
			w.next = r.revision + 1
			w.kick()
		}
	}
}
