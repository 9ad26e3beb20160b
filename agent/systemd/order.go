package systemd

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// orderFile is the name of fleet's drop-in, beside which others may stand.
const orderFile = "10-fleet.conf"

// orderText has the unit stopped before fleetd when the host goes down, so that
// fleetd can hand it over. The target stands between the two: it has a job only
// then, and without one no order passes through it, so that a unit which takes
// long to stop keeps no fleetd from being restarted. Stopping fleetd alone stops
// nothing: an order is no requirement.
const orderText = "[Unit]\nAfter=fleet-units.target\n"

// dropIns is the directory of a unit's drop-ins.
func (f files) dropIns(name string) string { return f.link(name) + ".d" }

// order puts the drop-in beside a service. Sockets, timers and paths get none:
// they come before the targets that fleetd comes after, and in a circle systemd
// drops jobs, perhaps the one that stops the unit. Nor do names that leave no
// room for the directory's.
func (f files) order(name string) error {
	dir := f.dropIns(name)
	if !strings.HasSuffix(name, ".service") || len(filepath.Base(dir)) > 255 {
		return nil
	}
	path := filepath.Join(dir, orderFile)
	if old, err := os.ReadFile(path); err == nil && string(old) == orderText {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(orderText), 0o644)
}

// unorder takes the drop-in away, and its directory if nothing else is in it.
func (f files) unorder(name string) error {
	err := os.Remove(filepath.Join(f.dropIns(name), orderFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	os.Remove(f.dropIns(name))
	return nil
}
