package examples_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fleet/unit"
)

// Every example is a unit that fleet accepts and asks for what its comments
// say.
func TestExamplesAreAccepted(t *testing.T) {
	want := map[string]unit.Requirements{
		"web@.service":          {Conflicts: []string{"web@*.service"}},
		"web-announce@.service": {MachineOf: []string{"web@1.service"}},
		"node-info.service":     {Global: true},
		"cleanup.service":       {},
		"cleanup.timer":         {MachineOf: []string{"cleanup.service"}},
	}
	var paths []string
	for _, pattern := range []string{"*.service", "*.timer"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	if len(paths) != len(want) {
		t.Errorf("the examples are %v", paths)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file, err := unit.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		name := strings.Replace(path, "@.", "@1.", 1)
		if err := unit.Check(name, file); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, err := file.Requirements(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want[path], got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", path, diff)
		}
	}
}
