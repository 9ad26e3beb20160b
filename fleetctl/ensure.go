package fleetctl

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"fleet/api"
	"fleet/unit"
)

// outcome is what became of a unit that was to be in the cluster.
type outcome struct {
	created bool // it is new to the cluster
	kept    bool // it has another file there, which was left
	global  bool
	same    bool      // neither its file nor its target state was changed
	old     unit.Unit // as it was, if the cluster had it
}

// ensure sees to it that the cluster has the unit and its target state is as
// wanted. "" leaves the target state of a known unit. A file that differs from
// the cluster's is refused with a warning unless replace is set.
func (a *app) ensure(ctx context.Context, s source, want unit.TargetState, replace bool) (outcome, error) {
	c, err := a.client()
	if err != nil {
		return outcome{}, err
	}
	for {
		o, err := a.tryEnsure(ctx, c, s, want, replace)
		if !isCode(err, http.StatusPreconditionFailed) {
			return o, err
		}
		// Somebody else wrote the unit in between: look again.
	}
}

func (a *app) tryEnsure(ctx context.Context, c *api.Client, s source, want unit.TargetState, replace bool) (outcome, error) {
	none := new(string)
	if s.file != nil {
		o := outcome{created: true, global: global(s)}
		err := c.PutUnit(ctx, s.name.Full, s.file.Text, orInactive(want), none)
		if !isCode(err, http.StatusPreconditionFailed) {
			return o, err
		}
	}
	old, err := c.Unit(ctx, s.name.Full)
	known := err == nil
	if err != nil && !isCode(err, http.StatusNotFound) {
		return outcome{}, err
	}
	if s.file == nil && (!known || replace) && s.name.IsInstance() {
		if s, err = template(ctx, c, s); err != nil {
			return outcome{}, err
		}
	}
	switch {
	case !known && s.file == nil:
		return outcome{}, fmt.Errorf("%s: there is no such file here, and the cluster has no such unit", s.name)
	case !known:
		return outcome{created: true, global: global(s)}, c.PutUnit(ctx, s.name.Full, s.file.Text, orInactive(want), none)
	}
	o := outcome{global: isGlobal(old), old: old}
	if s.file != nil && s.file.Hash != old.Hash {
		if replace {
			o.global = global(s)
			return o, c.PutUnit(ctx, s.name.Full, s.file.Text, want, &old.Hash)
		}
		a.warn("warning: %s has a different file in the cluster, which is kept; --replace puts %s in its place", s.name, s.path)
		o.kept = true
	}
	if want == "" || want == old.DesiredState {
		o.same = true
		return o, nil
	}
	return o, c.SetTarget(ctx, s.name.Full, want)
}

// template gives an instance the file of the cluster's template, if any.
func template(ctx context.Context, c *api.Client, s source) (source, error) {
	t, err := c.Unit(ctx, s.name.Template())
	if isCode(err, http.StatusNotFound) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if s.file, err = unit.Parse([]byte(t.Text)); err != nil {
		return s, fmt.Errorf("%s in the cluster: %w", t.Name, err)
	}
	s.path = "the cluster's " + t.Name
	return s, nil
}

func global(s source) bool {
	req, err := s.file.Requirements(s.name.Full)
	return err == nil && req.Global
}

func orInactive(t unit.TargetState) unit.TargetState {
	if t == "" {
		return unit.Inactive
	}
	return t
}

// isCode reports whether err is the API's refusal with that status.
func isCode(err error, code int) bool {
	var e *api.Error
	return errors.As(err, &e) && e.Code == code
}
