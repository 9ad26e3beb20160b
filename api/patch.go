package api

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"fleet/schedule"
)

// Patch is one operation of a JSON Patch (RFC 6902) on the machines: add,
// replace or remove at /ID/metadata/KEY.
type Patch struct {
	Op    string  `json:"op"`
	Path  string  `json:"path"`
	Value *string `json:"value,omitempty"`
}

// edit is a Patch understood: value is nil where the key is taken away.
type edit struct {
	machine, key string
	value        *string
}

// patchMachines changes what operators set as machines' metadata: everything
// in the request or, when anything is wrong with it, nothing.
func (s *Server) patchMachines(w http.ResponseWriter, r *http.Request) error {
	var patches []Patch
	if err := readJSON(w, r, &patches); err != nil {
		return err
	}
	edits := make(map[string][]edit)
	for i, p := range patches {
		e, err := p.edit()
		if err != nil {
			return refuse(http.StatusBadRequest, "operation %d: %v", i+1, err)
		}
		edits[e.machine] = append(edits[e.machine], e)
	}
	machines := slices.Sorted(maps.Keys(edits))
	if len(machines) > 0 {
		err := s.editLabels(r, machines, edits)
		if errors.Is(err, schedule.ErrUnknownMachine) {
			return refuse(http.StatusBadRequest, "%v", err)
		}
		if err != nil {
			return fmt.Errorf("change the machines' metadata: %w", err)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) editLabels(r *http.Request, machines []string, edits map[string][]edit) error {
	return s.cfg.Store.EditLabels(r.Context(), machines, func(labels []schedule.Label) error {
		for i := range labels {
			for _, e := range edits[machines[i]] {
				e.apply(&labels[i])
			}
		}
		return nil
	})
}

// edit checks p and takes its path apart.
func (p Patch) edit() (edit, error) {
	parts := strings.Split(p.Path, "/")
	if len(parts) != 4 || parts[0] != "" || parts[2] != "metadata" {
		return edit{}, fmt.Errorf("path %q is not of the form /ID/metadata/KEY", p.Path)
	}
	var e edit
	var err error
	if e.machine, err = unescape(parts[1]); err != nil {
		return edit{}, err
	}
	if e.key, err = unescape(parts[3]); err != nil {
		return edit{}, err
	}
	if e.machine == "" || e.key == "" || !printable(e.key) || strings.ContainsAny(e.key, "=,") {
		return edit{}, fmt.Errorf("path %q names no machine and metadata key", p.Path)
	}
	if strings.HasPrefix(e.key, schedule.FoundPrefix) {
		return edit{}, fmt.Errorf("%s can't be changed: what begins with %s is what fleetd finds by itself", e.key, schedule.FoundPrefix)
	}
	switch p.Op {
	case "add", "replace":
		if p.Value == nil {
			return edit{}, fmt.Errorf("%s %s lacks a value", p.Op, p.Path)
		}
		if !printable(*p.Value) {
			return edit{}, fmt.Errorf("the value for %s has a character that can't be printed", p.Path)
		}
		e.value = p.Value
	case "remove":
	default:
		return edit{}, fmt.Errorf("op %q is none of add, remove, replace", p.Op)
	}
	return e, nil
}

// unescape undoes the escapes of a JSON Pointer (RFC 6901).
func unescape(s string) (string, error) {
	plain := strings.NewReplacer("~1", "/", "~0", "~").Replace(s)
	if strings.Contains(strings.NewReplacer("~1", "", "~0", "").Replace(s), "~") {
		return "", fmt.Errorf("%q has a ~ that is neither ~0 nor ~1", s)
	}
	return plain, nil
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

func (e edit) apply(l *schedule.Label) {
	l.Removed = slices.DeleteFunc(l.Removed, func(k string) bool { return k == e.key })
	if e.value == nil {
		delete(l.Set, e.key)
		l.Removed = append(l.Removed, e.key)
		return
	}
	if l.Set == nil {
		l.Set = map[string]string{}
	}
	l.Set[e.key] = *e.value
}
