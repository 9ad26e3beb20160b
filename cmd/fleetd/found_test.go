package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fleet/agent/docker"
	"fleet/schedule"
)

// root makes a file system of a host.
func root(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func says(version string, err error) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return version, err }
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestWhatIsFound(t *testing.T) {
	nothing := errors.New("it does not answer")
	for _, c := range []struct {
		name    string
		files   map[string]string
		uname   string
		systemd func(context.Context) (string, error)
		docker  func(context.Context) (string, error)
		machine schedule.Machine
		want    map[string]string
	}{
		{
			"a Debian host with Docker",
			map[string]string{
				"etc/os-release":            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n",
				"usr/lib/os-release":        "ID=other\n",
				"proc/sys/kernel/osrelease": "6.1.0-18-amd64\n",
			},
			"x86_64", says("252.22-1~deb12u1", nil), says("20.10.24+dfsg1", nil),
			schedule.Machine{Hostname: "web-1", CPUs: 8, Memory: 16 << 30},
			map[string]string{
				"fleet.hostname": "web-1", "fleet.arch": "x86-64", "fleet.kernel": "6.1.0-18-amd64",
				"fleet.os": "debian", "fleet.os_version": "12", "fleet.systemd": "252", "fleet.docker": "20.10.24+dfsg1",
				"fleet.cpus": "8", "fleet.memory": "17179869184",
			},
		},
		{
			"a rolling distribution without Docker",
			map[string]string{"usr/lib/os-release": "# rolling\nID=arch\n", "proc/sys/kernel/osrelease": "6.12.1-arch1-1\n"},
			"aarch64", says("v259", nil), says("", docker.ErrAbsent),
			schedule.Machine{Hostname: "a", CPUs: 2, Memory: 1 << 30},
			map[string]string{
				"fleet.hostname": "a", "fleet.arch": "arm64", "fleet.kernel": "6.12.1-arch1-1", "fleet.os": "arch",
				"fleet.systemd": "259", "fleet.cpus": "2", "fleet.memory": "1073741824",
			},
		},
		{
			"a host that tells nothing", nil, "pdp11", says("", nothing), says("", nothing),
			schedule.Machine{Hostname: "a"}, map[string]string{"fleet.hostname": "a"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &finder{
				root: root(t, c.files), uname: c.uname, systemd: c.systemd,
				docker: &dockerVersion{ask: c.docker, file: filepath.Join(t.TempDir(), "docker-version")},
			}
			if diff := cmp.Diff(c.want, f.find(t.Context(), c.machine, start)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestWhatDoesNotAnswerIsStillThere: units may be on the machine because of its
// systemd or its Docker, which are silent while they are upgraded.
func TestWhatDoesNotAnswerIsStillThere(t *testing.T) {
	f := &finder{
		root: t.TempDir(), systemd: says("252", nil),
		docker: &dockerVersion{ask: says("20.10.24", nil), file: filepath.Join(t.TempDir(), "docker-version")},
	}
	look := func(after time.Duration) map[string]string {
		return f.find(t.Context(), schedule.Machine{}, start.Add(after))
	}
	expect := func(what string, got map[string]string, systemd, docker string) {
		t.Helper()
		if got["fleet.systemd"] != systemd || got["fleet.docker"] != docker {
			t.Errorf("%s: got %v, want systemd %q and Docker %q", what, got, systemd, docker)
		}
	}
	expect("at first", look(0), "252", "20.10.24")
	f.systemd = says("", errors.New("reloading"))
	f.docker.ask = says("", errors.New("hangs"))
	expect("neither answers", look(time.Hour), "252", "20.10.24")
	f.systemd = says("255.1", nil)
	f.docker.ask = says("", docker.ErrAbsent)
	expect("Docker is being replaced", look(time.Hour+dockerGone-1), "255", "20.10.24")
	f.docker.ask = says("28.5.1", nil)
	expect("Docker is another", look(2*time.Hour), "255", "28.5.1")

	// The next fleetd begins while Docker is away.
	f.docker = &dockerVersion{ask: says("", docker.ErrAbsent), file: f.docker.file}
	expect("fleetd is upgraded together with Docker", look(3*time.Hour), "255", "28.5.1")
	expect("Docker stays away", look(3*time.Hour+dockerGone), "255", "")
	f.docker = &dockerVersion{ask: says("", docker.ErrAbsent), file: f.docker.file}
	expect("fleetd is started once more", look(4*time.Hour), "255", "")
	f.docker.ask = says("28.5.2", nil)
	expect("Docker appears", look(4*time.Hour+findEvery), "255", "28.5.2")
}

// The cases are those of os-release(5).
func TestOSRelease(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"":                                 {},
		"ID=debian\nVERSION_ID=\"12\"\n":   {"ID": "debian", "VERSION_ID": "12"},
		"ID='fedora'":                      {"ID": "fedora"},
		"# ID=none\n\n ID=alpine \r\nx\n":  {"ID": "alpine"},
		`A="a \"quoted\" \$1 \\ \` + "`\"": {"A": "a \"quoted\" $1 \\ `"},
		`A="keeps \n"`:                     {"A": `keeps \n`},
		`A='keeps \$'`:                     {"A": `keeps \$`},
		`A=plain\ blank`:                   {"A": "plain blank"},
		"A=two words\nB=\"open\nC=\\":      {},
		"A=\nB=\"\"":                       {"A": "", "B": ""},
		"A=b=c":                            {"A": "b=c"},
	} {
		if diff := cmp.Diff(want, parseOSRelease(text)); diff != "" {
			t.Errorf("%q (-want +got)\n%s", text, diff)
		}
	}
}

func FuzzOSRelease(f *testing.F) {
	f.Add("ID=debian\nNAME=\"Debian \\\"x\\\"\"\n")
	f.Add("A='b' \\")
	f.Fuzz(func(t *testing.T, text string) {
		for name, value := range parseOSRelease(text) {
			if len(name)+len(value) >= len(text) {
				t.Errorf("%q has the value %q for %q", text, value, name)
			}
		}
	})
}

func TestArchitecture(t *testing.T) {
	for uname, want := range map[string]string{
		"x86_64": "x86-64", "i686": "x86", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "ppc64le": "ppc64-le",
		"s390x": "s390x", "riscv64": "riscv64", "loongarch64": "loongarch64", "armv7b": "", "": "",
	} {
		if got := architecture(uname); got != want {
			t.Errorf("%q is %q, want %q", uname, got, want)
		}
	}
	if hardware() == "" {
		t.Error("this host's hardware has no name")
	}
}

func TestReservedMustLeaveSomething(t *testing.T) {
	for _, c := range []struct {
		memory, cpu int64
		want        string
	}{
		{0, 0, ""},
		{1<<30 - 1, 1999, ""},
		{1 << 30, 0, "reserved_memory leaves nothing for units: it is 1G, and this machine has 1G"},
		{0, 2500, "reserved_cpu leaves nothing for units: it is 2.5, and this machine has 2"},
		{512 << 30, 2000, "reserved_memory leaves nothing for units: it is 512G, and this machine has 1G\nreserved_cpu leaves nothing for units: it is 2, and this machine has 2"},
	} {
		m := schedule.Machine{CPUs: 2, Memory: 1 << 30, ReservedCPU: 1}
		err := configure(&m, Config{PublicIP: "10.0.0.1", ReservedMemory: c.memory, ReservedCPU: c.cpu})
		switch {
		case c.want == "" && (err != nil || m.ReservedMemory != c.memory || m.ReservedCPU != c.cpu):
			t.Errorf("%d bytes and %d thousandths: got %+v, %v", c.memory, c.cpu, m, err)
		case c.want != "" && (err == nil || err.Error() != c.want || m.ReservedCPU != 1):
			t.Errorf("%d bytes and %d thousandths: got %+v, %v; want %s", c.memory, c.cpu, m, err, c.want)
		}
	}
}
