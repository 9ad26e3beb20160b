package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A hierarchy is one mounted cgroup tree.
type hierarchy struct {
	mount string // where
	own   string // this process's path in it, "/" for the root
	v2    bool
}

// path is this process's cgroup as a directory.
func (h hierarchy) path() string { return filepath.Join(h.mount, h.own) }

// hierarchies are those that the host has: one on a v2 host, one for each
// controller and a v2 one without controllers on a hybrid one.
type hierarchies []hierarchy

func readHierarchies() (hierarchies, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	hs := parseHierarchies(string(mounts), string(own))
	if !slices.ContainsFunc(hs, func(h hierarchy) bool { return h.v2 }) {
		return nil, errors.New("this host has no cgroup v2 hierarchy mounted: a sandbox needs one, alone or beside v1 controllers")
	}
	return hs, nil
}

// parseHierarchies reads the texts of /proc/self/mounts and /proc/self/cgroup
// (see proc(5) and cgroups(7)). The v2 hierarchy, in which a box's processes are
// looked for, comes first.
func parseHierarchies(mounts, own string) hierarchies {
	paths := map[string]string{} // by controller list; "" for v2
	for line := range strings.Lines(own) {
		if f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3); len(f) == 3 {
			paths[f[1]] = f[2]
		}
	}
	var hs hierarchies
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		switch f[2] {
		case "cgroup2":
			hs = append(hs, hierarchy{mount: f[1], own: paths[""], v2: true})
		case "cgroup":
			for controllers, path := range paths {
				if controllers != "" && hasOptions(f[3], controllers) {
					hs = append(hs, hierarchy{mount: f[1], own: path})
				}
			}
		}
	}
	slices.SortStableFunc(hs, func(a, b hierarchy) int {
		if a.v2 == b.v2 {
			return strings.Compare(a.mount, b.mount)
		}
		if a.v2 {
			return -1
		}
		return 1
	})
	return hs
}

// hasOptions tells whether all of the wanted options are among a mount's.
func hasOptions(options, wanted string) bool {
	have := strings.Split(options, ",")
	for w := range strings.SplitSeq(wanted, ",") {
		if !slices.Contains(have, w) {
			return false
		}
	}
	return true
}

// managed tells whether systemd is the one writer of the only hierarchy, so
// that cgroups are asked of it and not made beside it.
func (hs hierarchies) managed() bool {
	_, err := os.Stat("/run/systemd/system") // sd_booted(3)
	return err == nil && len(hs) == 1
}

// make creates a cgroup in every hierarchy, below this process's own, so that
// whatever limits the caller limits it too.
func (hs hierarchies) make(name string) ([]string, error) {
	var dirs []string
	for _, h := range hs {
		dir := filepath.Join(h.path(), name)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make cgroup: %w", err)
		}
		var err error
		if h.v2 {
			delegate(h.path())
		} else {
			err = inheritCPUs(h.path(), dir)
		}
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

// delegate passes a v2 cgroup's controllers on to its children. Where it has
// processes of its own, other than the root, the kernel refuses, and the
// children do without controllers.
func delegate(dir string) {
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return
	}
	for c := range strings.FieldsSeq(string(text)) {
		_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0)
	}
}

// inheritCPUs fills in what a v1 cpuset lacks when it is new: without it no
// process can enter. Other controllers have no such files.
func inheritCPUs(parent, dir string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		text, err := os.ReadFile(filepath.Join(parent, file))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file), text, 0); err != nil {
			return fmt.Errorf("set up cgroup: %w", err)
		}
	}
	return os.WriteFile(filepath.Join(dir, "cgroup.clone_children"), []byte("1"), 0)
}

// findCgroups returns the cgroups whose name matches the glob, in every
// hierarchy, and looks into none of a sandbox's.
func findCgroups(glob string) ([]string, error) {
	hs, err := readHierarchies()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, h := range hs {
		err := filepath.WalkDir(h.mount, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // gone since its parent was read
			}
			if err != nil {
				return err
			}
			if !d.IsDir() {
				return nil
			}
			if ok, _ := filepath.Match(glob, d.Name()); ok {
				found = append(found, path)
			}
			if strings.HasPrefix(d.Name(), "fleet-sandbox-") {
				return fs.SkipDir
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("look for cgroups: %w", err)
		}
	}
	return found, nil
}

// removeCgroup removes an empty cgroup and those below it.
func removeCgroup(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeCgroup(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
