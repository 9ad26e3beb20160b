package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"fleet/schedule"
)

// snapshotType is the media type of a cluster written down: JSON, one value a
// line.
const snapshotType = "application/x-ndjson"

// stallTimeout is how long the reader or the writer of a snapshot may take over
// one piece of it. The whole may take as long as it takes.
const stallTimeout = 30 * time.Second

// snapshot answers with the whole cluster, as schedule.ReadDump reads it.
func (s *Server) snapshot(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
	defer cancel()
	u, err := s.cfg.Store.Snapshot(ctx, 0)
	if err != nil {
		return fmt.Errorf("read the cluster: %w", err)
	}
	w.Header().Set("Content-Type", snapshotType)
	d := schedule.Dump{Taken: time.Now(), Version: s.cfg.Version, Policy: s.cfg.Policy, Update: u}
	if err := d.Write(patientWriter{w, http.NewResponseController(w)}); err != nil {
		// The reader sees that the end is missing.
		s.log.Debug("snapshot not sent whole", "err", err)
	}
	return nil
}

// patientWriter gives each write its own time.
type patientWriter struct {
	out     io.Writer
	control *http.ResponseController
}

// Write writes, within stallTimeout.
func (p patientWriter) Write(b []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(stallTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return p.out.Write(b)
}

// Snapshot copies the whole cluster, as schedule.ReadDump reads it, to w.
func (c *Client) Snapshot(ctx context.Context, w io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(callTimeout+stallTimeout, func() {
		cancel(&UnreachableError{Endpoint: c.endpoint, Silent: true, Err: errors.New("the snapshot doesn't go on")})
	})
	defer silence.Stop()
	res, err := c.do(ctx, http.MethodGet, "snapshot", nil, nil)
	if err != nil {
		return cause(ctx, err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(w, &wakefulReader{res.Body, silence}); err != nil {
		return cause(ctx, fmt.Errorf("take the snapshot: %w", err))
	}
	return nil
}

// wakefulReader puts an alarm off whenever something comes.
type wakefulReader struct {
	in    io.Reader
	alarm *time.Timer
}

// Read reads what has come.
func (r *wakefulReader) Read(b []byte) (int, error) {
	n, err := r.in.Read(b)
	r.alarm.Reset(stallTimeout)
	return n, err
}
