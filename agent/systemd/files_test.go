package systemd

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func newFiles(t *testing.T) files {
	dir := t.TempDir()
	return files{dir: filepath.Join(dir, "units"), links: filepath.Join(dir, "system")}
}

func mustPut(t *testing.T, f files, name, text string) {
	t.Helper()
	if changed, err := f.put(name, text); err != nil || !changed {
		t.Fatalf("put %s: %v %v", name, changed, err)
	}
}

func TestFilesPut(t *testing.T) {
	f := newFiles(t)
	const text = "[Service]\r\nExecStart=/bin/true\n\n"
	mustPut(t, f, "a.service", text)
	if got, err := os.ReadFile(f.link("a.service")); err != nil || string(got) != text {
		t.Errorf("through the link it is %q, %v", got, err)
	}
	if changed, err := f.put("a.service", text); err != nil || changed {
		t.Errorf("the same file again: %v %v", changed, err)
	}
	os.Remove(f.link("a.service"))
	if f.hash("a.service") != "" {
		t.Error("without its link it is in place")
	}
	mustPut(t, f, "a.service", text)
	if names, err := f.names(); err != nil || !slices.Equal(names, []string{"a.service"}) {
		t.Errorf("fleet's are %v, %v", names, err)
	}
}

// systemd rereads only what is newer.
func TestFilesPutIsNewer(t *testing.T) {
	f := newFiles(t)
	mustPut(t, f, "a.service", "1")
	ahead := time.Now().Add(time.Hour)
	if err := os.Chtimes(f.path("a.service"), ahead, ahead); err != nil {
		t.Fatal(err)
	}
	mustPut(t, f, "a.service", "2")
	if info, err := os.Stat(f.path("a.service")); err != nil || !info.ModTime().After(ahead) {
		t.Errorf("the new file is of %v, the old one of %v", info.ModTime(), ahead)
	}
}

func TestFilesPutWhole(t *testing.T) {
	f := newFiles(t)
	mustPut(t, f, "a.service", "old")
	// What can't be replaced stands for a disk that is full.
	if err := os.Mkdir(filepath.Join(f.dir, ".a.service"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := f.put("a.service", "new"); err == nil {
		t.Fatal("it was put")
	}
	if got, _ := os.ReadFile(f.path("a.service")); string(got) != "old" {
		t.Errorf("of the file is left %q", got)
	}
	if err := os.WriteFile(f.link("b.service"), []byte("the host's"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := f.put("b.service", "new"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file of the host's: %v", err)
	}
	if _, err := os.Stat(f.path("b.service")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half of it is there: %v", err)
	}
}

func TestFilesRemove(t *testing.T) {
	f := newFiles(t)
	mustPut(t, f, "a.socket", "a")
	mustPut(t, f, "b.socket", "b")
	wants := filepath.Join(f.links, "x.target.wants")
	requires := filepath.Join(f.links, "x.target.requires")
	for _, dir := range []string{wants, requires} {
		os.Mkdir(dir, 0o755)
		os.Symlink(f.path("a.socket"), filepath.Join(dir, "a.socket"))
	}
	os.Symlink(f.path("b.socket"), filepath.Join(wants, "b.socket"))
	os.Symlink(f.path("a.socket"), f.link("alias.socket"))
	for range 2 {
		if err := f.remove("a.socket"); err != nil {
			t.Fatal(err)
		}
	}
	var left []string
	filepath.WalkDir(f.links, func(path string, _ fs.DirEntry, _ error) error {
		rel, _ := filepath.Rel(f.links, path)
		left = append(left, rel)
		return nil
	})
	if want := []string{".", "b.socket", "x.target.wants", "x.target.wants/b.socket"}; !slices.Equal(left, want) {
		t.Errorf("left are %v, want %v", left, want)
	}
}

func TestFilesRemoveForeign(t *testing.T) {
	f := newFiles(t)
	os.MkdirAll(f.links, 0o755)
	os.WriteFile(f.link("a.service"), []byte("the host's"), 0o644)
	if err := f.remove("a.service"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(f.link("a.service")); err != nil {
		t.Errorf("the host's file was removed: %v", err)
	}
}
