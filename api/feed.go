package api

import (
	"context"
	"maps"
	"sync"

	"fleet/schedule"
)

// feed follows the store for all event streams together, as long as there is
// one.
type feed struct {
	store  Store
	policy schedule.Policy
	base   context.Context
	stop   context.CancelFunc
	group  sync.WaitGroup

	mu      sync.Mutex
	session *session
}

// session is one following of the store: one snapshot and what came after.
type session struct {
	ready chan struct{} // closed when the first snapshot is in
	done  chan struct{} // closed when the store has failed; err says how
	err   error
	stop  context.CancelFunc

	mu   sync.Mutex
	view *view
	subs map[*subscriber]bool
}

// subscriber is one event stream's share of a session: which units have
// changed since it last looked. It never holds more than their names, however
// slow the stream.
type subscriber struct {
	only map[string]bool // the units followed; nil: all
	wake chan struct{}

	mu    sync.Mutex
	dirty map[string]bool
	stir  bool // something changed that may bear on explanations
}

func newFeed(store Store, policy schedule.Policy) *feed {
	f := &feed{store: store, policy: policy}
	f.base, f.stop = context.WithCancel(context.Background())
	return f
}

// subscribe joins the running session or begins one; fresh says that the
// session is no older than the call. leave is to be called once.
func (f *feed) subscribe(only map[string]bool) (s *session, sub *subscriber, fresh bool, leave func()) {
	sub = &subscriber{only: only, wake: make(chan struct{}, 1), dirty: map[string]bool{}}
	f.mu.Lock()
	defer f.mu.Unlock()
	if s = f.session; s == nil || s.ended() {
		s, fresh = f.begin(), true
		f.session = s
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subs[sub] = true
	return s, sub, fresh, func() { f.leave(s, sub) }
}

func (f *feed) leave(s *session, sub *subscriber) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.subs, sub)
	if len(s.subs) > 0 {
		return
	}
	s.stop()
	if f.session == s {
		f.session = nil
	}
}

func (f *feed) begin() *session {
	ctx, cancel := context.WithCancel(f.base)
	s := &session{
		ready: make(chan struct{}),
		done:  make(chan struct{}),
		stop:  cancel,
		view:  newView(f.policy),
		subs:  map[*subscriber]bool{},
	}
	f.group.Go(func() {
		defer cancel()
		s.err = f.store.Follow(ctx, func(u schedule.Update) error {
			s.apply(u)
			return nil
		})
		if s.err == nil {
			s.err = schedule.ErrUnavailable
		}
		close(s.done)
	})
	return s
}

func (f *feed) close() {
	f.stop()
	f.group.Wait()
}

// apply takes an update in and tells the subscribers.
func (s *session) apply(u schedule.Update) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.view.Revision() == 0
	touched := s.view.apply(u)
	if first {
		close(s.ready)
	}
	for sub := range s.subs {
		sub.mark(touched, len(u.Changes) > 0)
	}
}

func (s *session) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// look calls fn with the session's view, which must not be kept.
func (s *session) look(fn func(*view)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn(s.view)
}

func (sub *subscriber) mark(touched map[string]bool, stir bool) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	for name := range touched {
		if sub.only == nil || sub.only[name] {
			sub.dirty[name] = true
		}
	}
	sub.stir = sub.stir || stir
	sub.poke()
}

func (sub *subscriber) poke() {
	select {
	case sub.wake <- struct{}{}:
	default:
	}
}

// take returns what has changed since the last call.
func (sub *subscriber) take() (dirty map[string]bool, stir bool) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	dirty, stir = maps.Clone(sub.dirty), sub.stir
	clear(sub.dirty)
	sub.stir = false
	return dirty, stir
}
