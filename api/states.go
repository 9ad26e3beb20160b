package api

import (
	"net/http"

	"fleet/unit"
)

// StatePage is one page of GET state.
type StatePage struct {
	States        []unit.State `json:"states"`
	NextPageToken string       `json:"nextPageToken,omitempty"`
}

func (s *Server) listStates(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	name, machine := query.Get("unitName"), query.Get("machineID")
	list := func(v *view) []unit.State {
		names := v.everything()
		if name != "" {
			names = []string{name}
		}
		var states []unit.State
		for _, n := range names {
			for _, st := range v.states(n) {
				if machine == "" || st.MachineID == machine {
					states = append(states, st)
				}
			}
		}
		return states
	}
	_, states, next, err := page(s, r, list)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, StatePage{States: append([]unit.State{}, states...), NextPageToken: next})
}

// getState answers with the state on the machine where the unit belongs, or
// else with any there is.
func (s *Server) getState(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if err := checkName(name); err != nil {
		return err
	}
	v, err := s.reader.now(r.Context())
	if err != nil {
		return err
	}
	states := v.states(name)
	if len(states) == 0 {
		return refuse(http.StatusNotFound, "%s: no machine reports this unit", name)
	}
	if p := v.placement(name); p != nil {
		for _, st := range states {
			if st.MachineID == p.MachineID {
				return writeJSON(w, http.StatusOK, st)
			}
		}
	}
	return writeJSON(w, http.StatusOK, states[0])
}
