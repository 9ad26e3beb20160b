package api_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"fleet/api"
	"fleet/schedule"
	"fleet/unit"
)

// TestDiscoveryIsComplete: the document describes every field that the API
// shows, and every reference in it leads somewhere.
func TestDiscoveryIsComplete(t *testing.T) {
	w := newWorld(t, api.Config{})
	type schema struct {
		Properties map[string]struct {
			Ref   string `json:"$ref"`
			Items struct {
				Ref string `json:"$ref"`
			}
		}
	}
	var doc struct{ Schemas map[string]schema }
	w.want(200, "GET", "/fleet/v1/discovery", "", &doc)
	for name, noun := range map[string]any{
		"Machine": api.Machine{}, "MachinePage": api.MachinePage{}, "MachineDetail": api.MachineDetail{}, "MachinePlacement": api.MachinePlacement{},
		"Use": schedule.Use{}, "Trouble": schedule.Trouble{}, "Patch": api.Patch{},
		"Placement": schedule.Placement{}, "Event": api.Event{},
		"Explanation": schedule.Explanation{}, "Reason": schedule.Reason{}, "Move": schedule.Move{},
		"Score": schedule.Score{}, "ScorePart": schedule.ScorePart{},
		"Unit": unit.Unit{}, "UnitPage": api.UnitPage{}, "UnitOption": unit.Option{}, "Scale": unit.Scale{},
		"UnitState": unit.State{}, "UnitStatePage": api.StatePage{},
	} {
		got := slices.Sorted(maps.Keys(doc.Schemas[name].Properties))
		if want := fields(reflect.TypeOf(noun)); !slices.Equal(got, want) {
			t.Errorf("%s is described with %v, and has %v", name, got, want)
		}
	}
	for name, s := range doc.Schemas {
		for field, p := range s.Properties {
			for _, ref := range []string{p.Ref, p.Items.Ref} {
				if _, ok := doc.Schemas[ref]; ref != "" && !ok {
					t.Errorf("%s.%s is a %s, which is not described", name, field, ref)
				}
			}
		}
	}
}

// fields returns the names of a struct's fields in JSON, sorted.
func fields(t reflect.Type) []string {
	var names []string
	for f := range t.Fields() {
		if f.Anonymous {
			names = append(names, fields(f.Type)...)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
