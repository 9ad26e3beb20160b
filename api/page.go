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

// page cuts the requested page out of a listing. list returns the whole of it
// in a stable order; next is empty on the last page. v is what it is of.
func page[T any](s *Server, r *http.Request, list func(*view) []T) (v *view, items []T, next string, err error) {
	query := r.URL.Query()
	given := query.Get("nextPageToken")
	query.Del("nextPageToken")
	t := pageToken{Limit: s.cfg.PageLimit, Of: r.URL.Path + "?" + query.Encode()}
	if given != "" {
		if t, err = parseToken(given, t.Of, t.Limit); err != nil {
			return nil, nil, "", err
		}
	}
	v, err = s.viewAt(r.Context(), t.Revision)
	if err != nil {
		return nil, nil, "", err
	}
	all := list(v)
	from := min(t.Offset, len(all))
	to := min(from+t.Limit, len(all))
	if to < len(all) {
		s.reader.keep(v)
		t.Revision, t.Offset = v.Revision(), to
		next = t.String()
	}
	return v, all[from:to], next, nil
}

// viewAt returns the cluster as of a revision; 0 is now.
func (s *Server) viewAt(ctx context.Context, revision int64) (*view, error) {
	if revision == 0 {
		return s.reader.now(ctx)
	}
	return s.reader.at(ctx, revision)
}
