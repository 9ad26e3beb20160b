package sandbox

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestConfigRefusals(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{}, "0 machines asked for: between 1 and 99 are possible"},
		{Config{Machines: 100}, "100 machines asked for"},
		{Config{Machines: 1, Name: "a-b"}, `sandbox name "a-b": one to eight lower-case letters and digits`},
		{Config{Machines: 1, Name: "../etc"}, "sandbox name"},
		{Config{Machines: 1, Name: "ninechars"}, "sandbox name"},
		{Config{Machines: 1, Store: "consul"}, `unknown store "consul": it is "embedded" or "external"`},
		{Config{Machines: 1, Units: map[string]string{"fleet.service": ""}}, "need a directory with the fleetd and fleetctl binaries"},
	} {
		_, err := c.cfg.withDefaults()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got error %v, want %q", c.cfg, err, c.want)
		}
	}
}

// TestLinkNames holds the longest names to the kernel's limit, since
// systemd-nspawn would shorten a longer one to a name that is not looked for.
func TestLinkNames(t *testing.T) {
	if n := (network{"eightchr"}).link(machineName(maxMachines)); len(n) > 15 {
		t.Errorf("link name %s has %d characters, more than 15", n, len(n))
	}
}

func TestBoxPrefixesAreDistinct(t *testing.T) {
	if strings.HasPrefix(newBox("ab", "m1").name, boxPrefix("a")) {
		t.Error("sandbox a would take down sandbox ab")
	}
}

func TestMissingPackages(t *testing.T) {
	look := func(name string) (string, error) {
		if name == "ip" || name == "dbus-daemon" {
			return "/usr/bin/" + name, nil
		}
		return "", exec.ErrNotFound
	}
	for _, c := range []struct {
		cfg  Config
		want []string
	}{
		{Config{}, []string{"systemd-container", "iptables", "util-linux", "docker.io"}},
		{Config{NoDocker: true, Store: StoreExternal}, []string{"systemd-container", "iptables", "util-linux", "etcd-server"}},
	} {
		if diff := cmp.Diff(c.want, missingPackages(c.cfg, look)); diff != "" {
			t.Errorf("%+v: -want +got\n%s", c.cfg, diff)
		}
	}
}

func TestSubnets(t *testing.T) {
	got, err := firstFree([]netip.Prefix{
		netip.MustParsePrefix("10.99.0.0/16"), netip.MustParsePrefix("10.100.0.8/29"), netip.MustParsePrefix("fd00::/64"),
	})
	if want := netip.MustParsePrefix("10.101.0.0/24"); err != nil || got != want {
		t.Errorf("firstFree: got %v, %v, want %v", got, err, want)
	}
	if _, err := firstFree([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}); err == nil {
		t.Error("firstFree found a subnet in a network that is taken as a whole")
	}
	small := netip.MustParsePrefix("10.1.2.0/30")
	if got, err := nth(small, 2); err != nil || got.String() != "10.1.2.2" {
		t.Errorf("nth: got %v, %v", got, err)
	}
	if _, err := nth(small, 3); err == nil {
		t.Error("nth gave out the broadcast address")
	}
}

func TestFleetConf(t *testing.T) {
	metadata := map[string]string{"region": "eu", "az": "a"}
	members := []string{"10.99.0.2", "10.99.0.3", "10.99.0.4"}
	for _, c := range []struct {
		name, got, want string
	}{
		{"member", fleetConf(2, "10.99.0.3", metadata, members, "10.99.0.1", "agent_ttl=5s"), `public_ip=10.99.0.3
metadata=az=a,region=eu
etcd_initial_cluster=m1=http://10.99.0.2:2380,m2=http://10.99.0.3:2380,m3=http://10.99.0.4:2380
etcd_name=m2
etcd_listen_client_urls=http://10.99.0.3:2379
etcd_listen_peer_urls=http://10.99.0.3:2380
agent_ttl=5s
`},
		{"beyond the members", fleetConf(4, "10.99.0.5", nil, members, "10.99.0.1", ""), `public_ip=10.99.0.5
etcd_servers=http://10.99.0.2:2379,http://10.99.0.3:2379,http://10.99.0.4:2379
`},
		{"external", fleetConf(1, "10.99.0.2", nil, nil, "10.99.0.1", ""), `public_ip=10.99.0.2
etcd_servers=http://10.99.0.1:2379
`},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.name, diff)
		}
	}
}

func TestParseHierarchies(t *testing.T) {
	for _, c := range []struct {
		name, mounts, own string
		want              []string // directories, a * for v2
	}{
		{
			"v2", "cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n", "0::/user.slice/a:b.scope\n",
			[]string{"/sys/fs/cgroup/user.slice/a:b.scope*"},
		},
		{
			"hybrid",
			"tmpfs /sys/fs/cgroup tmpfs ro 0 0\n" +
				"cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n" +
				"cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n" +
				"cgroup /sys/fs/cgroup/systemd cgroup rw,xattr,name=systemd 0 0\n" +
				"cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
			"3:cpu,cpuacct:/\n2:memory:/limited\n1:name=systemd:/init.scope\n0::/\n",
			[]string{"/sys/fs/cgroup/unified*", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/memory/limited", "/sys/fs/cgroup/systemd/init.scope"},
		},
	} {
		var got []string
		for _, h := range parseHierarchies(c.mounts, c.own) {
			path := h.path()
			if h.v2 {
				path += "*"
			}
			got = append(got, path)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.name, diff)
		}
	}
}

func TestWantedBy(t *testing.T) {
	got := wantedBy("[Unit]\nDescription=x\n[Install]\nWantedBy=multi-user.target a.target\n# WantedBy=no.target\nWantedBy=b.target\n")
	if diff := cmp.Diff([]string{"multi-user.target", "a.target", "b.target"}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestWithTag(t *testing.T) {
	for name, want := range map[string]string{
		"web": "web:latest", "web:1": "web:1", "10.99.0.1:5000/web": "10.99.0.1:5000/web:latest",
	} {
		if got := withTag(name); got != want {
			t.Errorf("withTag(%q) = %q, want %q", name, got, want)
		}
	}
}
