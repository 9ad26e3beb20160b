package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
)

// pageToken says where the next page of a listing begins, and in which
// snapshot, so that all pages are of one.
type pageToken struct {
	Revision int64  `json:"revision"`
	Offset   int    `json:"offset"`
	Limit    int    `json:"limit"`
	Of       string `json:"of"` // the listing: path and filter
}

func (t pageToken) String() string {
	b, _ := json.Marshal(t) // numbers and a string always encode
	return base64.URLEncoding.EncodeToString(b)
}

// parseToken reads what a client sent back. limit is the server's.
func parseToken(s string, of string, limit int) (pageToken, error) {
	var t pageToken
	b, err := base64.URLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(b, &t)
	}
	switch {
	case err != nil || t.Offset <= 0 || t.Revision <= 0 || t.String() != s:
		return t, refuse(http.StatusBadRequest, "nextPageToken is not one that this API gave out")
	case t.Limit != limit:
		return t, refuse(http.StatusBadRequest, "nextPageToken is for pages of %d, this server's have %d", t.Limit, limit)
	case t.Of != of:
		return t, refuse(http.StatusBadRequest, "nextPageToken belongs to another listing")
	}
	return t, nil
}

// page cuts the requested page out of a listing and shows it to use. list
// returns the whole listing in a stable order; next is empty on the last page.
func page[T any](s *Server, r *http.Request, list func(*view) []T, use func(*view, []T)) (next string, err error) {
	query := r.URL.Query()
	given := query.Get("nextPageToken")
	query.Del("nextPageToken")
	t := pageToken{Limit: s.cfg.PageLimit, Of: r.URL.Path + "?" + query.Encode()}
	if given != "" {
		if t, err = parseToken(given, t.Of, t.Limit); err != nil {
			return "", err
		}
	}
	err = s.look(r.Context(), t.Revision, func(v *view) error {
		all := list(v)
		from := min(t.Offset, len(all))
		to := min(from+t.Limit, len(all))
		if to < len(all) {
			s.reader.keep(v)
			t.Revision, t.Offset = v.Revision(), to
			next = t.String()
		}
		use(v, all[from:to])
		return nil
	})
	return next, err
}

// look calls fn with the cluster as of a revision, 0 being now. Others may be
// about to look at the same view: fn has it for itself, and must not keep it.
func (s *Server) look(ctx context.Context, revision int64, fn func(*view) error) error {
	v, err := s.viewAt(ctx, revision)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return fn(v)
}

func (s *Server) viewAt(ctx context.Context, revision int64) (*view, error) {
	if revision == 0 {
		return s.reader.now(ctx)
	}
	return s.reader.at(ctx, revision)
}
