package fleetctl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"fleet/unit"
)

// source is a unit that an argument names, with its local file if there is
// one.
type source struct {
	name unit.Name
	path string
	file *unit.File // nil: the cluster has it, or nobody
}

// mangle makes a unit name of what a user typed: without a suffix, or with
// one that is no unit type, it is a service's.
func mangle(s string) (unit.Name, error) {
	n, err := unit.ParseName(s)
	if err == nil {
		return n, nil
	}
	if service, e := unit.ParseName(s + ".service"); e == nil {
		return service, nil
	}
	return n, err
}

// scope is what globs match.
type scope int

const (
	runnable scope = iota // what can be on a machine: no templates
	anyUnit
)

// expand returns the names that the arguments stand for: globs those of the
// cluster's units that match, others themselves, less their directory.
func (a *app) expand(ctx context.Context, args []string, globs scope) ([]string, error) {
	var known []string
	var names []string
	for _, arg := range args {
		base := filepath.Base(arg)
		if !unit.IsGlob(base) {
			n, err := mangle(base)
			if err != nil {
				return nil, err
			}
			names = append(names, n.Full)
			continue
		}
		if known == nil {
			var err error
			if known, err = a.known(ctx); err != nil {
				return nil, err
			}
		}
		matches, err := match(base, known, globs)
		if err != nil {
			return nil, err
		}
		if len(matches) == 0 {
			a.warn("no unit of the cluster matches %s", arg)
		}
		names = append(names, matches...)
	}
	return unique(names), nil
}

// known returns the names of the cluster's units.
func (a *app) known(ctx context.Context) ([]string, error) {
	c, err := a.client()
	if err != nil {
		return nil, err
	}
	units, err := c.Units(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(units))
	for _, u := range units {
		names = append(names, u.Name)
	}
	slices.Sort(names)
	return names, nil
}

func match(pattern string, names []string, globs scope) ([]string, error) {
	if _, err := filepath.Match(pattern, ""); err != nil {
		return nil, fmt.Errorf("%s is not a pattern: %w", pattern, err)
	}
	var matches []string
	for _, n := range names {
		if unit.Match(pattern, n) && globs.has(n) {
			matches = append(matches, n)
		}
	}
	return matches, nil
}

func (s scope) has(name string) bool {
	n, err := unit.ParseName(name)
	return err == nil && (s == anyUnit || !n.IsTemplate())
}

// sources returns the units that the arguments of a submitting verb name, each
// with its local file, all of which have been checked. A glob stands for local
// files and for units of the cluster.
func (a *app) sources(ctx context.Context, args []string, globs scope) ([]source, error) {
	var all []source
	var wrong []error
	for _, arg := range args {
		paths := []string{arg}
		if unit.IsGlob(arg) && !exists(arg) {
			var err error
			if paths, err = a.glob(ctx, arg, globs); err != nil {
				return nil, err
			}
		}
		for _, path := range paths {
			s, err := findLocal(path)
			if err != nil {
				wrong = append(wrong, err)
				continue
			}
			if !slices.ContainsFunc(all, func(o source) bool { return o.name == s.name }) {
				all = append(all, s)
			}
		}
	}
	return all, errors.Join(wrong...)
}

// glob returns what matches a pattern: paths of local unit files, and names of
// the cluster's units that have no such file.
func (a *app) glob(ctx context.Context, pattern string, globs scope) ([]string, error) {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("%s is not a pattern: %w", pattern, err)
	}
	local := map[string]bool{}
	var paths []string
	for _, f := range files {
		if globs.has(filepath.Base(f)) {
			paths = append(paths, f)
			local[filepath.Base(f)] = true
		}
	}
	known, err := a.known(ctx)
	if err != nil {
		return nil, err
	}
	matches, err := match(filepath.Base(pattern), known, globs)
	for _, n := range matches {
		if !local[n] {
			paths = append(paths, filepath.Join(filepath.Dir(pattern), n))
		}
	}
	if len(paths) == 0 {
		a.warn("no unit file here and no unit of the cluster matches %s", pattern)
	}
	return paths, err
}

// findLocal finds the file of the unit that path names: the file itself, with
// .service added, or the template of the instance in the same directory.
func findLocal(path string) (source, error) {
	dir, base := filepath.Split(path)
	if exists(path) {
		// A file must bear the unit's whole name: what its suffix means is not
		// to be guessed.
		n, err := unit.ParseName(base)
		if err != nil {
			return source{}, fmt.Errorf("%s: %w", path, err)
		}
		return readLocal(n, path)
	}
	n, err := mangle(base)
	if err != nil {
		return source{}, err
	}
	candidates := []string{n.Full}
	if n.IsInstance() {
		candidates = append(candidates, n.Template())
	}
	for _, c := range candidates {
		if exists(dir + c) {
			return readLocal(n, dir+c)
		}
	}
	return source{name: n}, nil
}

// readLocal reads and checks a file as the unit called name.
func readLocal(name unit.Name, path string) (source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return source{}, err
	}
	if !info.Mode().IsRegular() { // a pipe may have nobody at its other end
		return source{}, fmt.Errorf("%s: not a regular file", path)
	}
	if info.Size() > unit.MaxFileSize { // before all of it is read
		return source{}, fmt.Errorf("%s: %w: it has %d bytes, the limit is %d", path, unit.ErrTooLarge, info.Size(), unit.MaxFileSize)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return source{}, err
	}
	f, err := unit.Parse(text)
	if err == nil {
		err = unit.Check(name.Full, f)
	}
	if err != nil {
		return source{}, fmt.Errorf("%s: %w", path, err)
	}
	return source{name: name, path: path, file: f}, nil
}

// exists reports whether there is a file, not a directory, at path.
func exists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// unique drops what was named before.
func unique(names []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(names, func(n string) bool {
		defer func() { seen[n] = true }()
		return seen[n]
	})
}
