package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"fleet/schedule"
	"fleet/unit"
)

// checkName refuses what is no unit name.
func checkName(name string) error {
	if _, err := unit.ParseName(name); err != nil {
		return refuse(http.StatusBadRequest, "%v", err)
	}
	return nil
}

// put is a PUT of a unit, understood.
type put struct {
	name   string
	target unit.TargetState // "": as it is, inactive for a new unit
	file   *unit.File       // nil: only the target state changes
	text   bool             // the file came as text and not as options
	scale  *int             // how many instances of a template are to be kept
	whole  bool             // a template is to be loaded or launched as a whole
	expect *string          // as Store.PutUnit's
}

// putUnit creates a unit, gives it a new version, or changes its target state.
// A file comes as text, byte for byte, or as options. If-None-Match: * asks
// for a unit that is new, If-Match: "HASH" for one that has that file now.
func (s *Server) putUnit(w http.ResponseWriter, r *http.Request) error {
	p, err := s.readPut(w, r)
	if err != nil {
		return err
	}
	if err := s.admit(r.Context(), p); err != nil {
		return err
	}
	created, err := s.write(r.Context(), p)
	switch {
	case errors.Is(err, unit.ErrExists) && p.expect != nil:
		return refuse(http.StatusPreconditionFailed, "%v", err)
	case errors.Is(err, unit.ErrNotFound):
		return refuse(http.StatusConflict, "%s: unit does not exist and no options are given", p.name)
	case err != nil:
		return err
	case created:
		w.WriteHeader(http.StatusCreated)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
	return nil
}

// readPut reads the request and refuses what can't be stored.
func (s *Server) readPut(w http.ResponseWriter, r *http.Request) (put, error) {
	p := put{name: r.PathValue("name")}
	var body unit.Unit
	if err := readJSON(w, r, &body); err != nil {
		return p, err
	}
	if body.Name != "" && body.Name != p.name {
		return p, refuse(http.StatusBadRequest, "the URL names the unit %q, the body %q", p.name, body.Name)
	}
	name, err := unit.ParseName(p.name)
	if err != nil {
		return p, refuse(http.StatusBadRequest, "%v", err)
	}
	if p.target = body.DesiredState; p.target != "" && !p.target.Valid() {
		return p, refuse(http.StatusBadRequest, "desiredState %q is none of inactive, loaded, launched", p.target)
	}
	if p.scale = body.Instances; p.scale != nil && (!name.IsTemplate() || *p.scale < 0 || *p.scale > unit.MaxInstances) {
		return p, refuse(http.StatusBadRequest, "%s can't have %d instances: templates can have 0 to %d", p.name, *p.scale, unit.MaxInstances)
	}
	if p.file, err = readFile(&body); err != nil {
		return p, err
	}
	p.whole = name.IsTemplate() && p.target.AtLeast(unit.Loaded)
	if p.file != nil {
		if err := p.checkTemplate(p.file); err != nil {
			return p, err
		}
	}
	p.text = body.Text != ""
	if p.file == nil && p.target == "" && p.scale == nil {
		return p, refuse(http.StatusConflict, "neither desiredState nor options are given for %s", p.name)
	}
	if p.file != nil {
		if err := unit.Check(p.name, p.file); err != nil {
			return p, refuse(http.StatusBadRequest, "%s: %v", p.name, err)
		}
	}
	p.expect, err = precondition(r.Header)
	return p, err
}

// checkTemplate refuses to start or scale a template whose file doesn't say of
// how many instances the whole is made.
func (p *put) checkTemplate(f *unit.File) error {
	req, err := f.Requirements(p.name)
	switch {
	case err != nil || req.Instances != nil:
		return nil // what is wrong with the file is told with everything else
	case p.whole:
		return refuse(http.StatusBadRequest, "%s is a template: it can't be %s, only its instances can, or all of them where its [X-Fleet] says Instances=", p.name, p.target)
	case p.scale != nil:
		return refuse(http.StatusBadRequest, "%s can't be scaled: its [X-Fleet] doesn't say Instances=", p.name)
	}
	return nil
}

// readFile makes the file that the body holds, nil if it holds none.
func readFile(body *unit.Unit) (*unit.File, error) {
	var file *unit.File
	var err error
	switch {
	case body.Text != "":
		file, err = unit.Parse([]byte(body.Text))
	case len(body.Options) > 0:
		file, err = unit.FromOptions(body.Options)
	default:
		return nil, nil
	}
	switch {
	case errors.Is(err, unit.ErrTooLarge):
		return nil, err
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "%v", err)
	case len(body.Options) > 0 && !slices.Equal(body.Options, file.Options) && body.Text != "":
		return nil, refuse(http.StatusBadRequest, "text and options are both given and differ: leave out one of them")
	}
	return file, nil
}

// precondition reads If-Match and If-None-Match (RFC 9110).
func precondition(h http.Header) (*string, error) {
	match, none := h.Get("If-Match"), h.Get("If-None-Match")
	switch {
	case match == "" && none == "":
		return nil, nil
	case match == "" && none == "*":
		return new(string), nil
	case none == "" && len(match) > 2 && match[0] == '"' && strings.IndexByte(match[1:], '"') == len(match)-2:
		hash := match[1 : len(match)-1]
		return &hash, nil
	}
	return nil, refuse(http.StatusBadRequest, `only If-Match: "HASH" and If-None-Match: * are understood`)
}

// write brings the unit to what p asks for; created says that it has a new file.
// What can be told beforehand is refused before anything is written.
func (s *Server) write(ctx context.Context, p put) (created bool, err error) {
	if p.file == nil && (p.whole || p.scale != nil) {
		err := s.look(ctx, 0, func(v *view) error {
			f := v.File(p.name)
			if f == nil {
				return nil
			}
			if err := p.checkTemplate(f); err != nil || p.scale == nil {
				return err
			}
			if err := schedule.AdmitScale(v.Cluster, p.name, *p.scale); err != nil {
				return refuse(http.StatusBadRequest, "%s can't have %d instances: %v", p.name, *p.scale, err)
			}
			return nil
		})
		if err != nil {
			return false, err
		}
	}
	if p.file != nil || p.target != "" {
		created, err = s.store(ctx, p)
	}
	if err == nil && p.scale != nil {
		err = s.scale(ctx, p)
	}
	return created, err
}

// scale has a template kept at another number of instances than its file says.
func (s *Server) scale(ctx context.Context, p put) error {
	var scale *unit.Scale
	err := s.look(ctx, 0, func(v *view) error {
		if _, known := v.Unit(p.name); !known {
			return fmt.Errorf("%s: %w", p.name, unit.ErrNotFound)
		}
		req := v.requirements(p.name)
		switch {
		case req == nil:
			return refuse(http.StatusConflict, "%s can't be scaled: its file can't be read", p.name)
		case req.Instances == nil:
			return refuse(http.StatusBadRequest, "%s can't be scaled: its [X-Fleet] doesn't say Instances=", p.name)
		case *req.Instances != *p.scale:
			scale = &unit.Scale{To: *p.scale, From: *req.Instances}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.cfg.Upkeep.SetScale(ctx, p.name, scale)
}

// store writes what p asks for; created says that the unit has a new file.
func (s *Server) store(ctx context.Context, p put) (created bool, err error) {
	switch {
	case p.file == nil:
		_, err = s.cfg.Store.PutUnit(ctx, p.name, nil, p.target, p.expect)
		return false, err
	case p.expect != nil && p.target != "":
		created, err = s.cfg.Store.PutUnit(ctx, p.name, p.file, p.target, p.expect)
		return created || err == nil && *p.expect != p.file.Hash, err
	}
	for {
		created, err = s.storeOver(ctx, p)
		if p.expect != nil || !errors.Is(err, unit.ErrExists) || ctx.Err() != nil {
			return created, err
		}
		// Somebody else wrote the unit in between: look again.
	}
}

// storeOver writes p over the unit as it is found now, which tells whether the
// file is a new version and which target state it keeps.
func (s *Server) storeOver(ctx context.Context, p put) (created bool, err error) {
	var hash string
	err = s.look(ctx, 0, func(v *view) error {
		old, known := v.Unit(p.name)
		if !known {
			p.target = cmp.Or(p.target, unit.Inactive)
			return nil
		}
		hash = old.Hash
		p.target = cmp.Or(p.target, old.DesiredState)
		if f := v.File(p.name); f != nil && !p.text && unit.Print(f.Options) == p.file.Text {
			// Options don't tell comments and layout: the file stays as it is.
			p.file = f
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	if p.expect != nil && *p.expect != hash {
		return false, unit.ErrExists
	}
	_, err = s.cfg.Store.PutUnit(ctx, p.name, p.file, p.target, &hash)
	return err == nil && hash != p.file.Hash, err
}
