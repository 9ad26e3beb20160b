package systemd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	sd "github.com/coreos/go-systemd/v22/dbus"

	"fleet/unit"
)

// readInstall reports whether the file has something to install (systemd.unit(5),
// [INSTALL] SECTION OPTIONS). An Alias= or Also= that is another's unit is
// refused: the one would take its place, the other would enable it.
func (r *Runner) readInstall(name, text string) (bool, error) {
	f, err := unit.Parse([]byte(text))
	if err != nil {
		return false, err
	}
	has := false
	for _, o := range f.Options {
		if o.Section != "Install" || o.Value == "" {
			continue
		}
		has = true
		if o.Name != "Alias" && o.Name != "Also" {
			continue
		}
		for _, other := range strings.Fields(o.Value) {
			if err := r.checkAlias(name, other); err != nil {
				return false, fmt.Errorf("%s=%s in [Install]: %w", o.Name, other, err)
			}
		}
	}
	return has, nil
}

// checkAlias refuses a name from an [Install] section that is not fleet's.
func (r *Runner) checkAlias(name, other string) error {
	if strings.Contains(other, "%") {
		return errors.New("a specifier is not possible here, write the name out")
	}
	if r.files.isOurs(r.files.link(other), name) {
		return nil // an alias that is there already
	}
	return r.checkForeignFile(other)
}

// install does what the [Install] section says, until the next boot, and
// reports whether systemd must reload for it. What an earlier version of the
// file installed is taken back.
func (r *Runner) install(ctx context.Context, conn *sd.Conn, name string, has, changed bool) (bool, error) {
	if changed {
		if err := r.files.removeInstalled(name); err != nil {
			return false, err
		}
	}
	if !has {
		return false, nil
	}
	_, changes, err := conn.EnableUnitFilesContext(ctx, []string{name}, true, false)
	if err != nil {
		return false, fmt.Errorf("enable it: %w", err)
	}
	return slices.ContainsFunc(changes, func(c sd.EnableUnitFileChange) bool {
		return c.Type == "symlink" || c.Type == "unlink" // others are remarks
	}), nil
}
