package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// network is a sandbox's bridge. The names of all its links follow from the
// sandbox's name.
type network struct {
	sandbox string
}

func (n network) bridge() string { return "fl-" + n.sandbox }

// link is the host's end of a machine's cable, as systemd-nspawn names it.
func (n network) link(machine string) string { return "vb-" + n.sandbox + "-" + machine }

// up makes the bridge with the host's address.
func (n network) up(ctx context.Context, address netip.Prefix) error {
	for _, args := range [][]string{
		{"link", "add", n.bridge(), "type", "bridge"},
		{"addr", "add", address.String(), "dev", n.bridge()},
		{"link", "set", n.bridge(), "up"},
	} {
		if err := run(ctx, "ip", args...); err != nil {
			return err
		}
	}
	if !bridgeFiltered() {
		return nil
	}
	for _, rule := range n.rules() {
		if err := run(ctx, "iptables", append([]string{"-w", "-I"}, rule...)...); err != nil {
			return err
		}
	}
	return nil
}

// rules let the bridge's own traffic pass a host firewall that would drop it.
func (n network) rules() [][]string {
	return [][]string{
		{"FORWARD", "-i", n.bridge(), "-o", n.bridge(), "-j", "ACCEPT"},
		{"INPUT", "-i", n.bridge(), "-j", "ACCEPT"},
	}
}

// bridgeFiltered tells whether the host's iptables see what passes a bridge.
func bridgeFiltered() bool {
	text, err := os.ReadFile("/proc/sys/net/bridge/bridge-nf-call-iptables")
	return err == nil && strings.TrimSpace(string(text)) == "1"
}

// down removes the rules, the cables and the bridge, as far as they are there.
func (n network) down(ctx context.Context) error {
	if !linkExists(n.bridge()) && len(n.links()) == 0 {
		return nil
	}
	if bridgeFiltered() {
		for _, rule := range n.rules() {
			for run(ctx, "iptables", append([]string{"-w", "-C"}, rule...)...) == nil {
				if err := run(ctx, "iptables", append([]string{"-w", "-D"}, rule...)...); err != nil {
					return err
				}
			}
		}
	}
	var errs []error
	for _, link := range append(n.links(), n.bridge()) {
		errs = append(errs, n.unplug(ctx, link))
	}
	return errors.Join(errs...)
}

// links are the cables that are there.
func (n network) links() []string {
	paths, _ := filepath.Glob("/sys/class/net/" + n.link("m*")) // the pattern is well-formed
	var names []string
	for _, p := range paths {
		names = append(names, filepath.Base(p))
	}
	return names
}

// unplug removes a link. The kernel removes a machine's link by itself some
// time after the machine's end, so that it may vanish at any moment.
func (n network) unplug(ctx context.Context, link string) error {
	if !linkExists(link) {
		return nil
	}
	if err := run(ctx, "ip", "link", "del", link); err != nil && linkExists(link) {
		return err
	}
	return nil
}

func linkExists(name string) bool {
	_, err := os.Stat("/sys/class/net/" + name)
	return err == nil
}

// linkUp tells whether a link is switched on.
func linkUp(name string) bool {
	i, err := net.InterfaceByName(name)
	return err == nil && i.Flags&net.FlagUp != 0
}

// freeSubnet returns the first of 10.99.0.0/24, 10.100.0.0/24, … that none of
// the host's addresses is near to.
func freeSubnet() (netip.Prefix, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Prefix{}, err
	}
	var used []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			used = append(used, p.Masked())
		}
	}
	return firstFree(used)
}

func firstFree(used []netip.Prefix) (netip.Prefix, error) {
	for second := byte(99); second != 0; second++ {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, second, 0, 0}), 24)
		free := true
		for _, u := range used {
			free = free && !u.Overlaps(p)
		}
		if free {
			return p, nil
		}
	}
	return netip.Prefix{}, errors.New("no free subnet among 10.99.0.0/24 to 10.255.0.0/24: name one")
}

// nth returns the subnet's i-th address, 1 being the host's.
func nth(subnet netip.Prefix, i int) (netip.Addr, error) {
	a := subnet.Masked().Addr()
	for range i {
		a = a.Next()
	}
	if !a.Is4() || !subnet.Contains(a) || !subnet.Contains(a.Next()) {
		return netip.Addr{}, fmt.Errorf("subnet %s has no address number %d for a machine", subnet, i)
	}
	return a, nil
}

// run executes a host command and puts what it said into the error.
func run(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
