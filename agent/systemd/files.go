package systemd

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// files are the unit files that fleet has in place: each in dir, with a link to
// it in links. Methods may be called at once for different names.
type files struct {
	dir   string // fleet's own
	links string // in systemd's search path
}

func (f files) path(name string) string { return filepath.Join(f.dir, name) }
func (f files) link(name string) string { return filepath.Join(f.links, name) }

// has reports whether the unit of that name is fleet's.
func (f files) has(name string) bool { return f.isOurs(f.link(name), name) }

// isOurs reports whether the link at path leads to fleet's file of that name.
func (f files) isOurs(path, name string) bool {
	target, err := os.Readlink(path)
	return err == nil && target == f.path(name)
}

// hash returns the SHA-256 of the file in place, in hex; empty for none.
func (f files) hash(name string) string {
	if !f.has(name) {
		return ""
	}
	text, err := os.ReadFile(f.path(name))
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// names returns the names of the units that are fleet's, sorted.
func (f files) names() ([]string, error) {
	entries, err := os.ReadDir(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list unit files: %w", err)
	}
	var names []string
	for _, e := range entries {
		if f.has(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// put puts a unit's file in place, as a whole or not at all, and reports
// whether anything had to be done for it.
func (f files) put(name, text string) (changed bool, err error) {
	old, err := os.ReadFile(f.path(name))
	had := err == nil
	if had && string(old) == text && f.has(name) {
		return false, nil
	}
	for _, dir := range []string{f.dir, f.links} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return false, err
		}
	}
	defer func() {
		if err != nil && !had {
			os.Remove(f.path(name))
			f.unorder(name)
		}
	}()
	if err := f.order(name); err != nil {
		return false, err
	}
	if err := f.write(name, text); err != nil {
		return false, err
	}
	if f.has(name) {
		return true, nil
	}
	if err := os.Symlink(f.path(name), f.link(name)); err != nil {
		return false, err
	}
	return true, f.touch(f.links, time.Now())
}

// write replaces the file. systemd rereads what is newer than what it read, so
// the new file is the newer one also where the clock has been set back.
func (f files) write(name, text string) error {
	now := time.Now()
	if old, err := os.Stat(f.path(name)); err == nil && !now.After(old.ModTime()) {
		now = old.ModTime().Add(time.Millisecond)
	}
	temp := filepath.Join(f.dir, "."+name)
	err := os.WriteFile(temp, []byte(text), 0o644)
	if err == nil {
		err = f.touch(temp, now)
	}
	if err == nil {
		err = os.Rename(temp, f.path(name))
	}
	if err != nil {
		os.Remove(temp)
	}
	return err
}

// touch sets a time of modification by hand: the kernel's own are some
// milliseconds coarse, and systemd, which goes by them, would take two changes
// within that time for one.
func (f files) touch(path string, t time.Time) error { return os.Chtimes(path, t, t) }

// remove takes a unit's file away, with every link to it. Removing what is not
// there, or not fleet's, is success.
func (f files) remove(name string) error {
	if err := f.removeInstalled(name); err != nil {
		return err
	}
	if f.has(name) {
		if err := os.Remove(f.link(name)); err != nil {
			return err
		}
		if err := f.unorder(name); err != nil {
			return err
		}
	}
	err := os.Remove(f.path(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return f.touch(f.links, time.Now())
}

// removeInstalled removes the links that the [Install] section of a unit
// brought about: aliases, and those in the directories of other units.
// systemd's own way, DisableUnitFiles, would take those of the units in its
// Also= along.
func (f files) removeInstalled(name string) error {
	entries, err := os.ReadDir(f.links)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(f.links, e.Name())
		switch {
		case e.IsDir() && isDependencyDir(e.Name()):
			err = f.removeLinks(path, name)
		case e.Name() != name && f.isOurs(path, name):
			err = os.Remove(path)
		default:
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func isDependencyDir(name string) bool {
	return strings.HasSuffix(name, ".wants") || strings.HasSuffix(name, ".requires") || strings.HasSuffix(name, ".upholds")
}

// removeLinks removes the links to a unit's file from a directory, and the
// directory if nothing else is in it.
func (f files) removeLinks(dir, name string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	left := len(entries)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if !f.isOurs(path, name) {
			continue
		}
		if err := os.Remove(path); err != nil {
			return err
		}
		left--
	}
	if left == 0 && len(entries) > 0 {
		os.Remove(dir) // one that has become busy again stays
	}
	return nil
}
