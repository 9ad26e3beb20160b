package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"fleet/schedule"
	"fleet/unit"
)

// maxBody bounds a request's body: a unit file of the largest size, given
// twice and with every byte escaped, still fits.
const maxBody = 8 << 20

// Error is a call's failure as the API tells it.
type Error struct {
	Code    int    `json:"code"` // the HTTP status
	Message string `json:"message"`
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// failure is the JSON body of an answer that is an error.
type failure struct {
	Error *Error `json:"error"`
}

func refuse(code int, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// asError says with which status a failure is answered.
func asError(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, unit.ErrNotFound), errors.Is(err, schedule.ErrUnknownMachine):
		return refuse(http.StatusNotFound, "%v", err)
	case errors.Is(err, schedule.ErrAlive):
		return refuse(http.StatusConflict, "%v", err)
	case errors.Is(err, unit.ErrTooLarge):
		return refuse(http.StatusRequestEntityTooLarge, "%v", err)
	case errors.Is(err, schedule.ErrCompacted):
		return refuse(http.StatusGone, "this page is too old: %v; list again from the start", err)
	case errors.Is(err, schedule.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return refuse(http.StatusServiceUnavailable, "%v", err)
	}
	return refuse(http.StatusInternalServerError, "%v", err)
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := asError(err)
	if e.Code >= 500 && r.Context().Err() == nil {
		s.log.Warn("call failed", "method", r.Method, "path", r.URL.Path, "code", e.Code, "err", err)
	}
	// An answer that can't be written has no reader.
	_ = writeJSON(w, e.Code, failure{Error: e})
}

func writeJSON(w http.ResponseWriter, code int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(body) // the client is gone, and nobody is left to be told
	return nil
}

// readJSON decodes the request's body into v.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return refuse(http.StatusUnsupportedMediaType, "the body must be application/json, as its Content-Type says, not %q", r.Header.Get("Content-Type"))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return refuse(http.StatusRequestEntityTooLarge, "the body is larger than %d MiB", maxBody>>20)
	case err != nil:
		return refuse(http.StatusBadRequest, "can't read the body: %v", err)
	case !utf8.Valid(body):
		// The decoder would replace what is invalid without a word.
		return refuse(http.StatusBadRequest, "the body is not valid UTF-8")
	}
	if err := json.Unmarshal(body, v); err != nil {
		return refuse(http.StatusBadRequest, "can't decode the body: %v", err)
	}
	return nil
}

func (m methods) allowed() string {
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}
