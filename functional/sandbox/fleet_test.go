//go:build machine

package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFleet boots machines with a stand-in for fleetd, installed and configured
// as the real one is.
func TestFleet(t *testing.T) {
	c := upForTest(t, fleetConfig(t, "systemd-notify --ready; exec sleep infinity"))
	added, err := c.Add(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"m1": {"public_ip=" + c.Machines()[0].IP.String(), "metadata=zone=z1", "etcd_name=m1", "agent_ttl=5s"},
		"m2": {"public_ip=" + added.IP.String(), "metadata=zone=z2", "etcd_servers=" + c.Endpoints()[0], "agent_ttl=5s"},
	}
	for _, m := range c.Machines() {
		conf := output(t, m, "cat", "/etc/fleet/fleet.conf")
		for _, line := range want[m.Name] {
			if !strings.Contains(conf, line+"\n") {
				t.Errorf("%s: no %s in\n%s", m.Name, line, conf)
			}
		}
		if got := output(t, m, "systemctl", "is-active", fleetService); got != "active\n" {
			t.Errorf("%s: fleet is %s", m.Name, got)
		}
	}
	if got := output(t, added, "cat", "/etc/extra"); got != "more" {
		t.Errorf("/etc/extra is %q", got)
	}
}

// TestFleetFails has a fleetd that can't start: Up says why in its words.
func TestFleetFails(t *testing.T) {
	cfg := fleetConfig(t, "echo no such store; exit 1")
	_, err := Up(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "fleet.service on m1 did not become active: it fails") ||
		!strings.Contains(err.Error(), "no such store") {
		t.Errorf("got error %v", err)
	}
	if left := traces(t, cfg.Dir, cfg.Name); len(left) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
}

func fleetConfig(t *testing.T, script string) Config {
	t.Helper()
	bin := t.TempDir()
	for _, name := range []string{"fleetd", "fleetctl"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return Config{
		Dir: t.TempDir(), Name: "sbfleet", Machines: 1, NoDocker: true, Bin: bin,
		ExtraConf: "agent_ttl=" + (5 * time.Second).String(),
		Metadata:  func(i int) map[string]string { return map[string]string{"zone": "z" + machineName(i)[1:]} },
		Files:     map[string]string{"/etc/extra": "more"},
		Units: map[string]string{fleetService: `[Unit]
StartLimitIntervalSec=0
[Service]
Type=notify
NotifyAccess=all
ExecStart=/usr/bin/fleetd
Restart=always
RestartSec=100ms
[Install]
WantedBy=multi-user.target
`},
	}
}
