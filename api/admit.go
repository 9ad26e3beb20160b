package api

import (
	"context"
	"net/http"

	"fleet/schedule"
)

// admit refuses a file with which the unit could never be placed, given the
// units and machines that there are. Most files can be told to be none without
// looking at those.
func (s *Server) admit(ctx context.Context, p put) error {
	if p.file == nil || schedule.Alone(p.name, p.file) {
		return nil
	}
	return s.look(ctx, 0, func(v *view) error {
		if err := schedule.Admit(v.Cluster, p.name, p.file); err != nil {
			return refuse(http.StatusBadRequest, "%s can't be placed: %v", p.name, err)
		}
		return nil
	})
}
