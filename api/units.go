package api

import (
	"fmt"
	"net/http"

	"fleet/unit"
)

// UnitPage is one page of GET units.
type UnitPage struct {
	Units         []unit.Unit `json:"units"`
	NextPageToken string      `json:"nextPageToken,omitempty"`
}

func (s *Server) listUnits(w http.ResponseWriter, r *http.Request) error {
	d := withOptions
	if r.URL.Query().Get("text") == "true" {
		d = withText
	}
	answer := UnitPage{Units: []unit.Unit{}}
	next, err := page(s, r, (*view).names, func(v *view, names []string) {
		for _, n := range names {
			answer.Units = append(answer.Units, *v.unit(n, d))
		}
	})
	if err != nil {
		return err
	}
	answer.NextPageToken = next
	return writeJSON(w, http.StatusOK, answer)
}

func (s *Server) getUnit(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if err := checkName(name); err != nil {
		return err
	}
	var u *unit.Unit
	err := s.look(r.Context(), 0, func(v *view) error {
		if u = v.unit(name, withText); u == nil {
			return fmt.Errorf("%s: %w", name, unit.ErrNotFound)
		}
		return nil
	})
	if err != nil {
		return err
	}
	w.Header().Set("ETag", `"`+u.Hash+`"`)
	return writeJSON(w, http.StatusOK, u)
}

// deleteUnit makes the cluster forget a unit; what runs of it is stopped by
// the machine that runs it.
func (s *Server) deleteUnit(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if err := checkName(name); err != nil {
		return err
	}
	if err := s.cfg.Store.DeleteUnit(r.Context(), name); err != nil {
		return fmt.Errorf("destroy the unit: %w", err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
