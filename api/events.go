package api

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"fleet/schedule"
	"fleet/unit"
)

// Event is the whole status of one unit, as of a revision.
type Event struct {
	Revision int64      `json:"revision"`
	Name     string     `json:"name"`
	Unit     *unit.Unit `json:"unit"` // as in the API, without its file; null when there is none
	// Placements and States are those of the unit on every machine.
	Placements []schedule.Placement `json:"placements,omitempty"`
	States     []unit.State         `json:"states,omitempty"`
	Machines   []Machine            `json:"machines,omitempty"` // that the above are on
	// Explanation says, in a sentence, why the unit is not where it should be.
	Explanation string `json:"explanation,omitempty"`
	// Stuck says that the unit should go to a machine and none takes it.
	Stuck bool `json:"stuck,omitempty"`
}

// gone reports whether nothing is left of the unit.
func (e *Event) gone() bool {
	return e.Unit == nil && len(e.Placements) == 0 && len(e.States) == 0
}

const (
	heartbeat    = 10 * time.Second       // between signs of life on a quiet stream
	writeTimeout = 10 * time.Second       // after which a slow reader is dropped
	explainEvery = 250 * time.Millisecond // at most this often for units that did not change themselves
)

// events streams the status of units, as server-sent events: first of each as
// it is, then whenever it changes. The parameter unit names those to follow;
// without it all are.
func (s *Server) events(w http.ResponseWriter, r *http.Request) error {
	var only map[string]bool
	if names := r.URL.Query()["unit"]; len(names) > 0 {
		only = make(map[string]bool, len(names))
		for _, n := range names {
			if err := checkName(n); err != nil {
				return err
			}
			only[n] = true
		}
	}
	session, sub, fresh, leave := s.feed.subscribe(only)
	defer leave()
	st := &stream{
		out: w, control: http.NewResponseController(w),
		session: session, sub: sub,
		sent: map[string][sha256.Size]byte{}, unsettled: map[string]bool{},
	}
	if err := st.open(s, r, fresh); err != nil {
		return err
	}
	st.run(r.Context().Done(), s.closing.Done())
	return nil
}

// stream is one client's event stream.
type stream struct {
	out     http.ResponseWriter
	control *http.ResponseController
	session *session
	sub     *subscriber

	since     int64                        // the session counts once it is past this revision
	sent      map[string][sha256.Size]byte // what the client has of each unit
	unsettled map[string]bool              // units whose explanation may change with the cluster
}

// open waits for the session and sends every unit as it is. A session that
// began before the call may lag behind what its caller knows: then the start
// is a snapshot, and the session counts from where it has overtaken that.
func (st *stream) open(s *Server, r *http.Request, fresh bool) error {
	timeout := time.NewTimer(callTimeout)
	defer timeout.Stop()
	select {
	case <-st.session.ready:
	case <-st.session.done:
		return st.session.err
	case <-r.Context().Done():
		return r.Context().Err()
	case <-timeout.C:
		return schedule.ErrUnavailable
	}
	var start []Event
	if fresh {
		st.session.look(func(v *view) { start = st.collect(v, st.all(v)) })
	} else {
		err := s.look(r.Context(), 0, func(v *view) error {
			st.since = v.Revision()
			start = st.collect(v, st.all(v))
			return nil
		})
		if err != nil {
			return err
		}
	}
	st.out.Header().Set("Content-Type", "text/event-stream")
	st.out.Header().Set("Cache-Control", "no-store")
	st.out.WriteHeader(http.StatusOK)
	return st.send(start)
}

// run sends what changes until the client, the server or the store is gone.
func (st *stream) run(gone, closing <-chan struct{}) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	explain := time.NewTimer(explainEvery)
	defer explain.Stop()
	var stirred, waiting bool
	for {
		var err error
		select {
		case <-st.sub.wake:
			err = st.changed(&stirred)
			if stirred && !waiting {
				explain.Reset(explainEvery)
				waiting = true
			}
		case <-explain.C:
			waiting = false
			if stirred {
				stirred = false
				err = st.report(maps.Clone(st.unsettled))
			}
		case <-beat.C:
			err = st.write([]byte(":\n\n"))
		case <-st.session.done:
			_ = st.write(frame("error", mustJSON(failure{Error: asError(st.session.err)})))
			return
		case <-closing:
			return
		case <-gone:
			return
		}
		if err != nil {
			return // a reader that is gone or too slow comes back by itself
		}
	}
}

// changed reports the units that changed; stirred says that others may need
// another explanation.
func (st *stream) changed(stirred *bool) error {
	var behind bool
	st.session.look(func(v *view) { behind = v.Revision() <= st.since })
	if behind {
		return nil // what is marked stays marked, and the next update wakes again
	}
	dirty, stir := st.sub.take()
	*stirred = *stirred || stir && len(st.unsettled) > 0
	return st.report(dirty)
}

func (st *stream) report(names map[string]bool) error {
	var events []Event
	st.session.look(func(v *view) { events = st.collect(v, slices.Sorted(maps.Keys(names))) })
	if len(events) == 0 {
		return nil
	}
	return st.send(events)
}

// all returns the names of the units that the stream begins with.
func (st *stream) all(v *view) []string {
	if st.sub.only != nil {
		return slices.Sorted(maps.Keys(st.sub.only))
	}
	return v.everything()
}

// collect returns the named units' statuses where the client has another one.
func (st *stream) collect(v *view, names []string) []Event {
	var events []Event
	for _, n := range names {
		e := v.event(n)
		delete(st.unsettled, n)
		if e.Explanation != "" {
			st.unsettled[n] = true
		}
		sum := sha256.Sum256(mustJSON(e))
		if st.sent[n] == sum {
			continue
		}
		st.sent[n] = sum
		if e.gone() && st.sub.only == nil {
			delete(st.sent, n)
		}
		e.Revision = v.Revision()
		events = append(events, e)
	}
	return events
}

func (st *stream) send(events []Event) error {
	var b []byte
	for _, e := range events {
		b = append(b, frame("unit", mustJSON(e))...)
	}
	return st.write(b)
}

// write sends b at once, within the time that a reader is given.
func (st *stream) write(b []byte) error {
	// An unsupported deadline leaves the stream to the connection's own.
	_ = st.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := st.out.Write(b); err != nil {
		return err
	}
	return st.control.Flush()
}

func frame(event string, data []byte) []byte {
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", event, data)
}

// mustJSON encodes what holds nothing but strings and numbers.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("api: " + err.Error())
	}
	return b
}
