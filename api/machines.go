package api

import (
	"errors"
	"fmt"
	"net/http"

	"fleet/schedule"
)

// MachinePage is one page of GET machines.
type MachinePage struct {
	Machines      []Machine `json:"machines"`
	NextPageToken string    `json:"nextPageToken,omitempty"`
}

// MachineDetail is one machine with what is on it.
type MachineDetail struct {
	Machine
	Placements []MachinePlacement `json:"placements"`
}

// MachinePlacement is what there is to know of one unit on a machine.
type MachinePlacement struct {
	schedule.Placement
	Global bool `json:"global,omitempty"` // it belongs on every machine, and stays when this one is drained
}

// listMachines lists the machines that are there, with the parameter all=true
// also those that are lost.
func (s *Server) listMachines(w http.ResponseWriter, r *http.Request) error {
	all := r.URL.Query().Get("all") == "true"
	list := func(v *view) []Machine {
		var machines []Machine
		for record := range v.Machines() {
			if m := v.machine(record.ID); m.Alive || all {
				machines = append(machines, *m)
			}
		}
		return machines
	}
	var answer MachinePage
	next, err := page(s, r, list, func(_ *view, machines []Machine) {
		answer.Machines = append([]Machine{}, machines...)
	})
	if err != nil {
		return err
	}
	answer.NextPageToken = next
	return writeJSON(w, http.StatusOK, answer)
}

// getMachine answers with one machine, there or lost, and its placements.
func (s *Server) getMachine(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	var answer MachineDetail
	err := s.look(r.Context(), 0, func(v *view) error {
		m := v.machine(id)
		if m == nil {
			return fmt.Errorf("%w: %s", schedule.ErrUnknownMachine, id)
		}
		answer = MachineDetail{Machine: *m, Placements: []MachinePlacement{}}
		for _, p := range v.PlacementsOn(id) {
			answer.Placements = append(answer.Placements, MachinePlacement{p, v.global(p.Unit)})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, answer)
}

// forgetMachine makes the cluster forget a machine that is gone for good.
func (s *Server) forgetMachine(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	err := s.cfg.Upkeep.Forget(r.Context(), id)
	if errors.Is(err, schedule.ErrAlive) {
		return refuse(http.StatusConflict, "machine %s is there: stop fleetd on it and wait until it counts as lost; to take it out of service, drain it", id)
	}
	if err != nil {
		return fmt.Errorf("forget the machine: %w", err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
