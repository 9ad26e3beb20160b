package api

import (
	"encoding/json"
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
// replace or remove a text at /ID/metadata/KEY, or true or false at
// /ID/cordoned and /ID/draining.
type Patch struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value,omitempty"`
}

// edit is a Patch understood.
type edit struct {
	machine string
	apply   func(*schedule.Label)
}

// patchMachines changes what operators set on machines: everything in the
// request or, when anything is wrong with it, nothing.
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
	switch p.Op {
	case "add", "replace":
		if p.Value == nil {
			return edit{}, fmt.Errorf("%s %s lacks a value", p.Op, p.Path)
		}
	case "remove":
		p.Value = nil
	default:
		return edit{}, fmt.Errorf("op %q is none of add, remove, replace", p.Op)
	}
	parts := strings.Split(p.Path, "/")
	if len(parts) < 2 || parts[0] != "" {
		return edit{}, p.misplaced()
	}
	machine, err := unescape(parts[1])
	if err != nil {
		return edit{}, err
	}
	e := edit{machine: machine}
	switch {
	case len(parts) == 4 && parts[2] == "metadata":
		e.apply, err = p.metadata(parts[3])
	case len(parts) == 3 && parts[2] == "cordoned":
		e.apply, err = p.flag(func(l *schedule.Label) *bool { return &l.Cordoned })
	case len(parts) == 3 && parts[2] == "draining":
		e.apply, err = p.flag(func(l *schedule.Label) *bool { return &l.Draining })
	default:
		err = p.misplaced()
	}
	if err == nil && machine == "" {
		err = fmt.Errorf("path %q names no machine", p.Path)
	}
	return e, err
}

func (p Patch) misplaced() error {
	return fmt.Errorf("path %q is of none of the forms /ID/metadata/KEY, /ID/cordoned, /ID/draining", p.Path)
}

// flag sets one of a label's flags, or clears it where nothing is given.
func (p Patch) flag(of func(*schedule.Label) *bool) (func(*schedule.Label), error) {
	var value bool
	if p.Value != nil && (json.Unmarshal(p.Value, &value) != nil || isNull(p.Value)) {
		return nil, fmt.Errorf("the value for %s must be true or false", p.Path)
	}
	return func(l *schedule.Label) { *of(l) = value }, nil
}

// metadata sets the value of a key, or takes the key away where none is given.
func (p Patch) metadata(escaped string) (func(*schedule.Label), error) {
	key, err := unescape(escaped)
	if err != nil {
		return nil, err
	}
	if key == "" || !printable(key) || strings.ContainsAny(key, "=,") {
		return nil, fmt.Errorf("path %q names no machine and metadata key", p.Path)
	}
	if strings.HasPrefix(key, schedule.FoundPrefix) {
		return nil, fmt.Errorf("%s can't be changed: what begins with %s is what fleetd finds by itself", key, schedule.FoundPrefix)
	}
	if p.Value == nil {
		return func(l *schedule.Label) { removeMetadata(l, key) }, nil
	}
	var value string
	switch {
	case json.Unmarshal(p.Value, &value) != nil || isNull(p.Value):
		return nil, fmt.Errorf("the value for %s must be a text", p.Path)
	case !printable(value):
		return nil, fmt.Errorf("the value for %s has a character that can't be printed", p.Path)
	}
	return func(l *schedule.Label) { setMetadata(l, key, value) }, nil
}

func isNull(value json.RawMessage) bool { return string(value) == "null" }

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

func removeMetadata(l *schedule.Label, key string) {
	delete(l.Set, key)
	if !slices.Contains(l.Removed, key) {
		l.Removed = append(l.Removed, key)
	}
}

func setMetadata(l *schedule.Label, key, value string) {
	l.Removed = slices.DeleteFunc(l.Removed, func(k string) bool { return k == key })
	if l.Set == nil {
		l.Set = map[string]string{}
	}
	l.Set[key] = value
}
