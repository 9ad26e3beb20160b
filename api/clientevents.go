package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// streamTimeout is how long an event stream may be silent, heartbeats
// included, before it is taken for dead.
const streamTimeout = 3 * heartbeat

// ErrStreamEnded: the server has ended an event stream; its units can be
// followed anew.
var ErrStreamEnded = errors.New("the event stream has ended")

// Events calls fn with the status of each named unit, of all where none is
// named: first as it is, then whenever it changes, until ctx ends, fn returns
// an error or the stream breaks.
func (c *Client) Events(ctx context.Context, names []string, fn func(Event) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(streamTimeout, func() {
		cancel(&UnreachableError{Endpoint: c.endpoint, Err: fmt.Errorf("no sign of life for %s", streamTimeout)})
	})
	defer silence.Stop()
	res, err := c.do(ctx, http.MethodGet, "events?"+url.Values{"unit": names}.Encode(), nil, nil)
	if err != nil {
		return cause(ctx, err)
	}
	defer res.Body.Close()
	frames := bufio.NewReader(res.Body)
	for {
		name, data, err := readFrame(frames)
		silence.Reset(streamTimeout)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return cause(ctx, ErrStreamEnded)
		case err != nil:
			return cause(ctx, &UnreachableError{Endpoint: c.endpoint, Err: err})
		}
		if err := dispatch(name, data, fn); err != nil {
			return err
		}
	}
}

// cause returns why ctx ended, or err if it has not.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func dispatch(name string, data []byte, fn func(Event) error) error {
	switch name {
	case "unit":
		var e Event
		if err := json.Unmarshal(data, &e); err != nil {
			return fmt.Errorf("read an event: %w", err)
		}
		return fn(e)
	case "error":
		var f failure
		if err := json.Unmarshal(data, &f); err != nil || f.Error == nil {
			return ErrStreamEnded
		}
		return f.Error
	}
	return nil // a heartbeat, or what a later server has to say
}

// readFrame reads up to an empty line: one event, or comments alone.
func readFrame(r *bufio.Reader) (event string, data []byte, err error) {
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return "", nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return event, data, nil
		}
		if v, ok := bytes.CutPrefix(line, []byte("event: ")); ok {
			event = string(v)
		}
		if v, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
			data = append(data, v...)
		}
	}
}
