package api

import (
	"net/http"
)

// MachinePage is one page of GET machines.
type MachinePage struct {
	Machines      []Machine `json:"machines"`
	NextPageToken string    `json:"nextPageToken,omitempty"`
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
	_, machines, next, err := page(s, r, list)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, MachinePage{Machines: append([]Machine{}, machines...), NextPageToken: next})
}
