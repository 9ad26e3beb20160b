package api

import (
	"encoding/json"
	"regexp"
	"slices"
	"testing"
)

// TestDiscoveryKnowsEveryCall: what the document describes is what is served.
func TestDiscoveryKnowsEveryCall(t *testing.T) {
	var doc struct {
		Resources map[string]struct {
			Methods map[string]struct{ HTTPMethod, Path string }
		}
	}
	if err := json.Unmarshal(discoveryDocument, &doc); err != nil {
		t.Fatal(err)
	}
	parameter := regexp.MustCompile(`\{\w+\}`)
	var described, served []string
	for _, r := range doc.Resources {
		for _, m := range r.Methods {
			described = append(described, m.HTTPMethod+" "+parameter.ReplaceAllString(m.Path, "{}"))
		}
	}
	calls, streams := (&Server{}).calls()
	for _, paths := range []map[string]methods{calls, streams} {
		for path, m := range paths {
			for method := range m {
				served = append(served, method+" "+parameter.ReplaceAllString(path, "{}"))
			}
		}
	}
	slices.Sort(described)
	slices.Sort(served)
	if !slices.Equal(described, served) {
		t.Errorf("described are\n%q\nand served\n%q", described, served)
	}
}
