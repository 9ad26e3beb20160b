package sandbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// initPath is the first program of a machine, which prepares what systemd
// expects to find and becomes it.
const initPath = "/usr/sbin/fleet-sandbox-init"

const unitDir = "/usr/lib/systemd/system"

// A machine sees the host's operating system, not its data: of the top level
// only systemDirs, without hiddenDirs. systemd fills an empty /var by itself.
var (
	systemDirs = []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc"}
	emptyDirs  = []string{"boot", "dev", "home", "media", "mnt", "opt", "proc", "root", "run", "srv", "sys", "tmp", "var"}
	// /etc/systemd/system says which of the host's services are enabled.
	hiddenDirs = []string{"/etc/systemd/system", "/etc/docker", "/etc/fleet"}
)

// maskedUnits are those that would reach for the host's kernel and devices
// (udev, sysctl, modules), or that only cost time.
var maskedUnits = []string{
	"console-getty.service", "dev-hugepages.mount", "getty.target", "proc-sys-fs-binfmt_misc.automount",
	"sys-fs-fuse-connections.mount", "sys-kernel-config.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
	"systemd-binfmt.service", "systemd-logind.service", "systemd-modules-load.service", "systemd-random-seed.service",
	"systemd-sysctl.service", "systemd-udev-settle.service", "systemd-udev-trigger.service", "systemd-udevd.service",
	"systemd-udevd-control.socket", "systemd-udevd-kernel.socket",
}

// layer is the upper directory of a machine's root: what differs from the
// host's. It is written once, before the first boot.
type layer struct {
	dir  string
	errs []error
}

// rootSpec says what is in a machine's layer besides what all have.
type rootSpec struct {
	files   map[string]string // by absolute path
	scripts map[string]string // the same, executable
	units   map[string]string // by name
	enabled []string          // units of the host's packages
	copies  map[string]string // host file by path inside, executable
}

// writeLayer fills dir, which must not exist, for a host whose root is /.
func writeLayer(dir string, spec rootSpec) error {
	l := &layer{dir: dir}
	l.mkdir("/", 0o755)
	l.hideHost()
	for _, name := range maskedUnits {
		l.link("/dev/null", "/etc/systemd/system/"+name)
	}
	for path, text := range spec.files {
		l.write(path, text, 0o644)
	}
	for path, text := range spec.scripts {
		l.write(path, text, 0o755)
	}
	for name, text := range spec.units {
		l.write(filepath.Join(unitDir, name), text, 0o644)
		for _, target := range wantedBy(text) {
			l.enable(name, target)
		}
	}
	for _, name := range spec.enabled {
		text, err := os.ReadFile(filepath.Join("/lib/systemd/system", name))
		l.check(err)
		for _, target := range wantedBy(string(text)) {
			l.enable(name, target)
		}
	}
	for path, host := range spec.copies {
		l.copy(host, path)
	}
	return errors.Join(l.errs...)
}

func (l *layer) check(err error) {
	if err != nil {
		l.errs = append(l.errs, err)
	}
}

// hideHost covers everything of the host that is not its operating system.
func (l *layer) hideHost() {
	entries, err := os.ReadDir("/")
	l.check(err)
	for _, e := range entries {
		switch {
		case slices.Contains(systemDirs, e.Name()), e.Type()&fs.ModeSymlink != 0:
		case slices.Contains(emptyDirs, e.Name()):
			l.hide("/" + e.Name())
		default:
			// A character device 0/0 is overlayfs's whiteout.
			l.check(syscall.Mknod(filepath.Join(l.dir, e.Name()), syscall.S_IFCHR, 0))
		}
	}
	for _, d := range hiddenDirs {
		l.hide(d)
	}
	l.check(os.Chmod(filepath.Join(l.dir, "tmp"), 0o777|fs.ModeSticky))
	l.mkdir("/var/log/journal", 0o755) // its being there makes the journal outlive a boot
}

// hide makes an empty directory that covers the host's.
func (l *layer) hide(path string) {
	l.mkdir(path, 0o755)
	l.check(syscall.Setxattr(filepath.Join(l.dir, path), "trusted.overlay.opaque", []byte("y"), 0))
}

// mkdir makes a directory and its parents, whatever the umask.
func (l *layer) mkdir(path string, mode fs.FileMode) {
	if path != "/" {
		if _, err := os.Lstat(filepath.Join(l.dir, filepath.Dir(path))); err != nil {
			l.mkdir(filepath.Dir(path), 0o755)
		}
	}
	full := filepath.Join(l.dir, path)
	err := os.Mkdir(full, mode)
	if errors.Is(err, fs.ErrExist) {
		return
	}
	l.check(err)
	l.check(os.Chmod(full, mode))
}

func (l *layer) write(path, text string, mode fs.FileMode) {
	l.mkdir(filepath.Dir(path), 0o755)
	full := filepath.Join(l.dir, path)
	l.check(os.WriteFile(full, []byte(text), mode))
	l.check(os.Chmod(full, mode))
}

func (l *layer) link(target, path string) {
	l.mkdir(filepath.Dir(path), 0o755)
	l.check(os.Symlink(target, filepath.Join(l.dir, path)))
}

// enable does what systemctl enable would.
func (l *layer) enable(unit, target string) {
	l.link(filepath.Join(unitDir, unit), "/etc/systemd/system/"+target+".wants/"+unit)
}

func (l *layer) copy(host, path string) {
	l.mkdir(filepath.Dir(path), 0o755)
	in, err := os.Open(host)
	if err != nil {
		l.check(err)
		return
	}
	defer in.Close()
	out, err := os.OpenFile(filepath.Join(l.dir, path), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		l.check(err)
		return
	}
	_, err = io.Copy(out, in)
	l.check(errors.Join(err, out.Close(), os.Chmod(out.Name(), 0o755)))
}

// wantedBy lists the targets that a unit file asks to be wanted by.
func wantedBy(text string) []string {
	var targets []string
	for line := range strings.Lines(text) {
		if list, ok := strings.CutPrefix(strings.TrimSpace(line), "WantedBy="); ok {
			targets = append(targets, strings.Fields(list)...)
		}
	}
	return targets
}

// initScript gives the machine what systemd can't: systemd-nspawn mounts v1
// controllers read-only, and only before systemd starts are they free to be
// remounted, so that it accounts for units from the first one on.
func initScript(address, gateway string) string {
	return fmt.Sprintf(`#!/bin/sh
while read -r _ mount type _; do
	[ "$type" != cgroup ] || mount -o remount,bind,rw "$mount"
done </proc/mounts
ip link set lo up
ip addr add %s dev host0
ip link set host0 up
ip route add default via %s
exec /lib/systemd/systemd systemd.unit=multi-user.target
`, address, gateway)
}
