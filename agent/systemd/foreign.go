package systemd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"fleet/agent"
	"fleet/unit"

	sd "github.com/coreos/go-systemd/v22/dbus"
)

// checkForeign refuses a name that the machine has from elsewhere: as a file,
// of the unit or of its template, in any directory that systemd searches, or in
// systemd's memory without one, as mount points and scopes are.
func (r *Runner) checkForeign(ctx context.Context, conn *sd.Conn, name string) error {
	if err := r.checkForeignFile(name); err != nil {
		return err
	}
	row, ok, err := inMemory(ctx, conn, name)
	if err != nil || !ok || row.LoadState == "not-found" {
		return err
	}
	fragment, err := fragmentPath(ctx, conn, name)
	if err != nil {
		return err
	}
	switch {
	case fragment == r.files.link(name):
		return nil
	case fragment != "":
		return fmt.Errorf("%w: it is at %s", agent.ErrForeign, fragment)
	case r.files.has(name):
		return nil
	}
	return fmt.Errorf("%w: systemd has it without a file", agent.ErrForeign)
}

// checkForeignFile looks for a file of that name, or of the name's template,
// that is not fleet's.
func (r *Runner) checkForeignFile(name string) error {
	n, err := unit.ParseName(name)
	if err != nil {
		return err
	}
	names := []string{name}
	if n.IsInstance() {
		names = append(names, n.Template())
	}
	for _, dir := range r.search {
		for _, name := range names {
			path := filepath.Join(dir, name)
			_, err := os.Lstat(path)
			if errors.Is(err, fs.ErrNotExist) || err == nil && r.files.isOurs(path, name) {
				continue
			}
			if err != nil {
				return err
			}
			return fmt.Errorf("%w: it is at %s", agent.ErrForeign, path)
		}
	}
	return nil
}

// isOurs reports whether what systemd has in memory under a name is fleet's.
func (r *Runner) isOurs(ctx context.Context, conn *sd.Conn, name string) (bool, error) {
	link := r.files.link(name)
	if _, err := os.Lstat(link); err == nil && !r.files.has(name) {
		return false, nil
	}
	fragment, err := fragmentPath(ctx, conn, name)
	return fragment == link || fragment == "" && r.files.has(name), err
}
