package systemd

import (
	"os"
	"path/filepath"
	"testing"
)

func TestServicesAreOrderedAfterFleetd(t *testing.T) {
	root := t.TempDir()
	f := files{dir: filepath.Join(root, "units"), links: filepath.Join(root, "system")}
	for _, name := range []string{"a.service", "a.timer"} {
		if _, err := f.put(name, "[Unit]\n"); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "system/a.service.d/10-fleet.conf"))
	if err != nil || string(text) != "[Unit]\nAfter=fleet-units.target\n" {
		t.Errorf("the service's drop-in: %q, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(root, "system/a.timer.d")); err == nil {
		t.Error("the timer has a drop-in: it would close a circle with timers.target")
	}
	for _, name := range []string{"a.service", "a.timer"} {
		if err := f.remove(name); err != nil {
			t.Fatal(err)
		}
	}
	left, err := os.ReadDir(filepath.Join(root, "system"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestDropInsOfOthersStay(t *testing.T) {
	root := t.TempDir()
	f := files{dir: filepath.Join(root, "units"), links: filepath.Join(root, "system")}
	if _, err := f.put("a.service", "[Unit]\n"); err != nil {
		t.Fatal(err)
	}
	theirs := filepath.Join(root, "system/a.service.d/20-theirs.conf")
	if err := os.WriteFile(theirs, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := f.remove("a.service"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(theirs); err != nil {
		t.Error(err)
	}
}
