package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
)

// overlayMagic is overlayfs's number in statfs(2).
const overlayMagic = 0x794c7630

// checkHost says what keeps this host from running the sandbox, all of it at
// once.
func checkHost(cfg Config) error {
	if os.Geteuid() != 0 {
		return errors.New("a sandbox boots machines: it needs to be run as root")
	}
	if missing := missingPackages(cfg, exec.LookPath); len(missing) > 0 {
		return fmt.Errorf("this host lacks Debian packages, install them with: apt-get install %s", strings.Join(missing, " "))
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return err
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(cfg.Dir, &st); err != nil {
		return fmt.Errorf("sandbox directory %s: %w", cfg.Dir, err)
	}
	if st.Type == overlayMagic {
		return fmt.Errorf("sandbox directory %s is on overlayfs, which can't hold machines' disks: name a directory on a plain file system", cfg.Dir)
	}
	_, err := readHierarchies()
	return err
}

// missingPackages finds the Debian packages whose programs are not there.
func missingPackages(cfg Config, look func(string) (string, error)) []string {
	needs := [][2]string{
		{"systemd-nspawn", "systemd-container"}, {"dbus-daemon", "dbus"},
		{"ip", "iproute2"}, {"iptables", "iptables"},
		{"nsenter", "util-linux"}, {"unshare", "util-linux"}, {"setsid", "util-linux"},
	}
	if !cfg.NoDocker {
		needs = append(needs, [2]string{"dockerd", "docker.io"})
	}
	if cfg.Store == StoreExternal {
		needs = append(needs, [2]string{"etcd", "etcd-server"})
	}
	var missing []string
	for _, n := range needs {
		if _, err := look(n[0]); err != nil && !slices.Contains(missing, n[1]) {
			missing = append(missing, n[1])
		}
	}
	return missing
}
