package api

import (
	"fmt"
	"net/http"

	"fleet/unit"
)

// explain says why a unit is where it is, or why it is nowhere.
func (s *Server) explain(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if err := checkName(name); err != nil {
		return err
	}
	v, err := s.reader.now(r.Context())
	if err != nil {
		return err
	}
	if !v.known[name] {
		return fmt.Errorf("%s: %w", name, unit.ErrNotFound)
	}
	return writeJSON(w, http.StatusOK, v.explain(name))
}
