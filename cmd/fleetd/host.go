package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"fleet/schedule"
)

var machineIDForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// thisMachine describes the host as the cluster is to know it, and names its
// present boot.
func thisMachine(c Config) (m schedule.Machine, bootID string, err error) {
	id, err := readLine("/etc/machine-id")
	if err != nil {
		return m, "", fmt.Errorf("this host has no machine ID: %w (systemd-machine-id-setup makes one)", err)
	}
	if !machineIDForm.MatchString(id) {
		return m, "", fmt.Errorf("/etc/machine-id holds %q, not a machine ID of 32 hexadecimal digits (systemd-machine-id-setup makes one)", id)
	}
	bootID, err = readLine("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return m, "", fmt.Errorf("can't tell this boot from another: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return m, "", fmt.Errorf("find the host's name: %w", err)
	}
	m = schedule.Machine{
		ID: id, Hostname: host, Version: version,
		CPUs: runtime.NumCPU(), Memory: memoryBytes(), TTL: int(c.AgentTTL.Seconds()),
	}
	return m, bootID, configure(&m, c)
}

// configure sets what the configuration says of the machine, and can say anew
// while fleetd runs. An error leaves the machine as it was.
func configure(m *schedule.Machine, c Config) error {
	var errs []error
	if c.ReservedMemory >= m.Memory && m.Memory > 0 {
		errs = append(errs, fmt.Errorf("reserved_memory leaves nothing for units: it is %s, and this machine has %s", gibibytes(c.ReservedMemory), gibibytes(m.Memory)))
	}
	if c.ReservedCPU >= int64(m.CPUs)*1000 {
		errs = append(errs, fmt.Errorf("reserved_cpu leaves nothing for units: it is %g, and this machine has %d", float64(c.ReservedCPU)/1000, m.CPUs))
	}
	if errs != nil {
		return errors.Join(errs...)
	}
	m.Metadata, m.PrimaryIP = c.Metadata, c.PublicIP
	m.ReservedMemory, m.ReservedCPU = c.ReservedMemory, c.ReservedCPU
	if m.PrimaryIP == "" {
		m.PrimaryIP = primaryIP()
	}
	return nil
}

func gibibytes(n int64) string { return fmt.Sprintf("%.3gG", float64(n)/(1<<30)) }

func readLine(path string) (string, error) {
	b, err := os.ReadFile(path)
	return strings.TrimSpace(string(b)), err
}

// memoryBytes is the host's memory as proc(5) tells it, 0 if it doesn't.
func memoryBytes() int64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if f := strings.Fields(s.Text()); len(f) >= 2 && f[0] == "MemTotal:" {
			kib, _ := strconv.ParseInt(f[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// primaryIP is the address that the host's default route leaves from, or the
// first one that others might reach; empty if there is none.
func primaryIP() string {
	// Connecting a UDP socket sends nothing; 192.0.2.1 is reserved for
	// documentation (RFC 5737), so only the default route leads there.
	if c, err := net.Dial("udp4", "192.0.2.1:9"); err == nil {
		defer c.Close()
		return c.LocalAddr().(*net.UDPAddr).IP.String()
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	return ""
}
