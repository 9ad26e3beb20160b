package main

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"fleet/agent/docker"
	"fleet/schedule"
)

// finder finds the metadata that unit files can ask for without anybody having
// configured it. What can't be found is left out.
type finder struct {
	root    string // of the host's file system
	uname   string // the hardware, as uname -m tells it
	systemd func(context.Context) (version string, err error)
	docker  *dockerVersion

	lastSystemd string
}

// findEvery is how often fleetd looks again, and findTime how long it may take.
const (
	findEvery = 15 * time.Second
	findTime  = 3 * time.Second
)

// find returns the metadata of the machine m. What was found once of a systemd
// or a Docker that doesn't answer now stays: units may be there because of it.
func (f *finder) find(ctx context.Context, m schedule.Machine, now time.Time) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	if v, err := f.systemd(ctx); err == nil {
		f.lastSystemd = leadingNumber.FindString(v)
	}
	release := f.osRelease()
	kernel, _ := readLine(filepath.Join(f.root, "proc/sys/kernel/osrelease"))
	found := map[string]string{
		"hostname":   m.Hostname,
		"arch":       architecture(f.uname),
		"kernel":     kernel,
		"os":         release["ID"],
		"os_version": release["VERSION_ID"],
		"systemd":    strings.TrimPrefix(f.lastSystemd, "v"),
		"docker":     f.docker.look(ctx, now),
		"cpus":       positive(int64(m.CPUs)),
		"memory":     positive(m.Memory),
	}
	prefixed := make(map[string]string, len(found))
	for key, value := range found {
		if value != "" {
			prefixed[schedule.FoundPrefix+key] = value
		}
	}
	return prefixed
}

var leadingNumber = regexp.MustCompile(`^v?[0-9]+`)

func positive(n int64) string {
	if n <= 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// osRelease reads what the operating system says of itself, from where
// os-release(5) says it does.
func (f *finder) osRelease() map[string]string {
	for _, path := range []string{"etc/os-release", "usr/lib/os-release"} {
		if text, err := os.ReadFile(filepath.Join(f.root, path)); err == nil {
			return parseOSRelease(string(text))
		}
	}
	return nil
}

// hardware is what uname -m says.
func hardware() string {
	var u syscall.Utsname
	if err := syscall.Uname(&u); err != nil {
		return ""
	}
	var name []byte
	for _, c := range u.Machine {
		if c == 0 {
			break
		}
		name = append(name, byte(c)) // its type is another on each architecture
	}
	return string(name)
}

// architecture is the name that systemd's ConditionArchitecture has for what
// uname -m says, "" for hardware that fleetd is not made for.
func architecture(uname string) string {
	switch uname {
	case "x86_64":
		return "x86-64"
	case "i386", "i486", "i586", "i686":
		return "x86"
	case "aarch64":
		return "arm64"
	case "ppc64le":
		return "ppc64-le"
	case "ppc64", "s390x", "riscv64", "loongarch64":
		return uname
	}
	if strings.HasPrefix(uname, "armv") && strings.HasSuffix(uname, "l") {
		return "arm"
	}
	return ""
}

// dockerVersion follows the version of this machine's Docker Engine. It outlives
// a Docker that is restarted or hangs, together with fleetd or not: only one that
// has been away for dockerGone is taken for gone, so that upgrading it moves no
// unit.
type dockerVersion struct {
	ask   func(context.Context) (string, error) // docker.ErrAbsent: there is none
	file  string                                // where the version is remembered
	known string
	seen  time.Time // when there was a Docker last, or was looked for first
}

const dockerGone = 10 * time.Minute

func (d *dockerVersion) look(ctx context.Context, now time.Time) string {
	if d.seen.IsZero() {
		d.seen = now
		d.known, _ = readLine(d.file)
	}
	v, err := d.ask(ctx)
	switch {
	case err == nil:
		d.seen = now
		d.remember(v)
	case !errors.Is(err, docker.ErrAbsent):
		d.seen = now
	case now.Sub(d.seen) >= dockerGone:
		d.remember("")
	}
	return d.known
}

// remember keeps the version for the next fleetd. A failure costs no more than
// what is promised for a Docker that is away while fleetd starts.
func (d *dockerVersion) remember(v string) {
	if v == d.known {
		return
	}
	d.known = v
	if err := os.MkdirAll(filepath.Dir(d.file), 0o700); err == nil {
		_ = os.WriteFile(d.file, []byte(v+"\n"), 0o600)
	}
}

// look finds the machine's metadata again and tells the cluster what has
// changed.
func (d *daemon) look(ctx context.Context) {
	found := d.finder.find(ctx, d.machine, time.Now())
	if maps.Equal(found, d.machine.Found) {
		return
	}
	d.log.Info("this machine has changed", "found", found)
	d.machine.Found = found
	d.agent.SetMachine(d.machine)
}
