package functional_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The rooms of the house, and which of the others each may enter. Only what is
// listed is allowed, and a new package is refused until it has its line here:
// its place is a decision. Tests in a package of their own (foo_test) may
// import any room, because they join rooms to try them; tests inside a package
// are bound as the package is.
func rooms() map[string][]string {
	return map[string][]string{
		"unit":               {},
		"schedule":           {"unit"},
		"registry":           {"unit", "schedule"},
		"registry/kvtest":    {"registry", "schedule"},
		"registry/embed":     {"registry"},
		"engine":             {"unit", "schedule"},
		"agent":              {"unit", "schedule"},
		"agent/runnertest":   {"agent", "unit"},
		"agent/systemd":      {"agent", "unit"},
		"agent/docker":       {"agent", "unit"},
		"api":                {"unit", "schedule", "api/ui"},
		"api/ui":             {},
		"fleetctl":           {"api", "schedule", "unit"},
		"packaging":          {},
		"examples":           {},
		"examples/hello":     {},
		"functional":         anyRoom(),
		"functional/sandbox": {},
		"cmd/fleetd":         anyRoom(),
		"cmd/fleetctl":       {"fleetctl"},
		"cmd/fleet-sandbox":  {"functional/sandbox", "packaging"},
		"cmd/fleet-bench":    anyRoom(),
	}
}

func anyRoom() []string { return []string{"*"} }

// only names, for each library that must not spread, the rooms that may import
// it. A library stands for every package below it.
func only() map[string][]string {
	conformance := []string{"registry/kvtest", "agent/runnertest"}
	return map[string][]string{
		"go.etcd.io/etcd/server/":               {"registry/embed"},
		"go.etcd.io/etcd/client/":               {"registry", "registry/embed", "cmd/fleet-bench"},
		"go.etcd.io/etcd/api/":                  {"registry"},
		"github.com/docker/":                    {"agent/docker"},
		"github.com/godbus/":                    {"agent/systemd"},
		"github.com/coreos/go-systemd/v22/dbus": {"agent/systemd"},
		"github.com/spf13/cobra":                {"fleetctl", "cmd/fleet-sandbox"},
		"github.com/google/go-cmp/":             conformance, // as the rest below
		"github.com/rogpeppe/go-internal/":      conformance,
		"pgregory.net/rapid":                    conformance,
		"testing":                               conformance,
		"testing/synctest":                      conformance,
	}
}

// pkg is what go list says of a package.
type pkg struct {
	ImportPath  string
	Dir         string
	Imports     []string
	TestImports []string
	Deps        []string
}

// room is the package's path within the module.
func (p pkg) room() string { return strings.TrimPrefix(p.ImportPath, "fleet/") }

// packages lists those of the module that patterns match.
func packages(t *testing.T, patterns ...string) []pkg {
	t.Helper()
	args := append([]string{"list", "-json=ImportPath,Dir,Imports,TestImports,Deps"}, patterns...)
	cmd := exec.Command("go", args...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as the binaries are built
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", patterns, err)
	}
	var list []pkg
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			if len(list) == 0 {
				t.Fatalf("there is no package %v", patterns)
			}
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	rooms := rooms()
	for _, p := range packages(t, "./...") {
		allowed, known := rooms[p.room()]
		if !known {
			t.Errorf("package %s has no line in rooms", p.ImportPath)
			continue
		}
		for _, path := range slices.Concat(p.Imports, p.TestImports) {
			other, ours := strings.CutPrefix(path, "fleet/")
			if ours && !slices.Contains(allowed, other) && !slices.Contains(allowed, "*") {
				t.Errorf("%s imports %s", p.ImportPath, path)
			}
		}
	}
}

func TestLibrariesStayInTheirRooms(t *testing.T) {
	only := only()
	for _, p := range packages(t, "./...") {
		for _, path := range p.Imports {
			for library, allowed := range only {
				if within(path, library) && !slices.Contains(allowed, p.room()) {
					t.Errorf("%s imports %s, which is for %v", p.ImportPath, path, allowed)
				}
			}
		}
	}
}

// within reports whether path is the library or, where that ends with a slash,
// below it.
func within(path, library string) bool {
	return path == library || strings.HasSuffix(library, "/") && strings.HasPrefix(path, library)
}

// fleetctl is copied to many places and starts often: it stays small.
func TestFleetctlHasNoServerInIt(t *testing.T) {
	for _, p := range packages(t, "./cmd/fleetctl") {
		for _, dep := range p.Deps {
			for _, heavy := range []string{"go.etcd.io/", "github.com/docker/", "google.golang.org/grpc", "github.com/godbus/", "go.uber.org/zap"} {
				if strings.HasPrefix(dep, heavy) {
					t.Errorf("%s depends on %s", p.ImportPath, dep)
				}
			}
		}
	}
}

// The packages that decide know nothing but their arguments.
func TestDecidingIsPure(t *testing.T) {
	impure := regexp.MustCompile(`^(os|net|log|syscall|testing|context|crypto/rand|math/rand|unsafe|time/tzdata|sync)($|/)`)
	clock := regexp.MustCompile(`^(Now|Since|Until|After|AfterFunc|Tick|NewTicker|NewTimer|Sleep|Local|LoadLocation)$`)
	for _, p := range packages(t, "./unit", "./schedule") {
		for _, path := range p.Imports {
			if impure.MatchString(path) {
				t.Errorf("%s imports %s", p.ImportPath, path)
			}
		}
		for _, f := range sources(t, p.Dir) {
			if f.test() {
				continue
			}
			f.each(func(n ast.Node) {
				switch n := n.(type) {
				case *ast.GoStmt:
					t.Errorf("%s: starts a goroutine", f.at(n))
				case *ast.SelectorExpr:
					if f.selects(n, "time") && clock.MatchString(n.Sel.Name) {
						t.Errorf("%s: time.%s reads the clock", f.at(n), n.Sel.Name)
					}
				}
			})
		}
	}
}

func TestNothingRegistersItself(t *testing.T) {
	for _, f := range sources(t, "..") {
		f.each(func(n ast.Node) {
			if fn, ok := n.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: func init", f.at(n))
			}
		})
	}
}

// A test that sleeps is slow or wrong, unless the clock is synctest's; one that
// skips itself passes where it proves nothing.
func TestTestsNeitherSleepNorSkip(t *testing.T) {
	for _, f := range sources(t, "..") {
		if !f.test() {
			continue
		}
		bubble := slices.ContainsFunc(f.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing/synctest"` })
		f.each(func(n ast.Node) {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return
			}
			if f.selects(sel, "time") && sel.Sel.Name == "Sleep" && !bubble {
				t.Errorf("%s: time.Sleep outside of synctest", f.at(n))
			}
			if id, ok := sel.X.(*ast.Ident); ok && (id.Name == "t" || id.Name == "tb" || id.Name == "b") && strings.HasPrefix(sel.Sel.Name, "Skip") {
				t.Errorf("%s: %s.%s", f.at(n), id.Name, sel.Sel.Name)
			}
		})
	}
}

// Why a direct dependency is there is written down; what is written down is
// there.
func TestDependenciesAreAccountedFor(t *testing.T) {
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	var want, all, got []string
	for line := range strings.Lines(string(mod)) {
		if m := regexp.MustCompile(`^(?:require )?\t?(\S+) v\S+(.*)\n`).FindStringSubmatch(line); m != nil {
			all = append(all, m[1])
			if m[2] == "" {
				want = append(want, m[1])
			}
		}
		if m := regexp.MustCompile(`^tool (\S+)/cmd/`).FindStringSubmatch(line); m != nil {
			want = append(want, m[1])
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		got = append(got, m[1])
	}
	for _, module := range want {
		if !slices.Contains(got, module) {
			t.Errorf("%s is required by go.mod and has no line in docs/dependencies.md", module)
		}
	}
	for _, module := range got {
		if !slices.Contains(all, module) {
			t.Errorf("%s has a line in docs/dependencies.md and is not required by go.mod", module)
		}
	}
}

// source is one parsed Go file.
type source struct {
	*ast.File
	set  *token.FileSet
	path string
}

// sources parses every Go file below dir, whatever its build tags.
func sources(t *testing.T, dir string) []source {
	t.Helper()
	var list []source
	set := token.NewFileSet()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != dir && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		list = append(list, source{File: file, set: set, path: path})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func (f source) test() bool { return strings.HasSuffix(f.path, "_test.go") }

func (f source) at(n ast.Node) token.Position { return f.set.Position(n.Pos()) }

// each calls fn with every node of the file.
func (f source) each(fn func(ast.Node)) {
	ast.Inspect(f.File, func(n ast.Node) bool {
		if n != nil {
			fn(n)
		}
		return true
	})
}

// selects reports whether sel is a selection from the package with the given
// import path, under whatever name the file imports it.
func (f source) selects(sel *ast.SelectorExpr, path string) bool {
	id, ok := sel.X.(*ast.Ident)
	if !ok {
		return false
	}
	for _, spec := range f.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err != nil || p != path {
			continue
		}
		if spec.Name != nil {
			return id.Name == spec.Name.Name
		}
		return id.Name == path[strings.LastIndex(path, "/")+1:]
	}
	return false
}
