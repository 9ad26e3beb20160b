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
	var answer StatePage
	next, err := page(s, r, list, func(_ *view, states []unit.State) {
		answer.States = append([]unit.State{}, states...)
	})
	if err != nil {
		return err
	}
	answer.NextPageToken = next
	return writeJSON(w, http.StatusOK, answer)
}

// getState answers with the state on the machine where the unit belongs, or
// else with any there is.
func (s *Server) getState(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if err := checkName(name); err != nil {
		return err
	}
	var answer unit.State
	err := s.look(r.Context(), 0, func(v *view) error {
		states := v.states(name)
		if len(states) == 0 {
			return refuse(http.StatusNotFound, "%s: no machine reports this unit", name)
		}
		answer = states[0]
		if p := v.placement(name); p != nil {
			for _, st := range states {
				if st.MachineID == p.MachineID {
					answer = st
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, answer)
}
