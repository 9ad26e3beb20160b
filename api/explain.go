package api

import (
	"fmt"
	"net/http"

	"fleet/schedule"
	"fleet/unit"
)

// explain says why a unit is where it is, or why it is nowhere.
func (s *Server) explain(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if err := checkName(name); err != nil {
		return err
	}
	var answer schedule.Explanation
	err := s.look(r.Context(), 0, func(v *view) error {
		if !v.known[name] {
			return fmt.Errorf("%s: %w", name, unit.ErrNotFound)
		}
		answer = v.explainFully(name)
		return nil
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, answer)
}
