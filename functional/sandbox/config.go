package sandbox

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
)

// The kinds of store that a sandbox can have.
const (
	// StoreEmbedded runs etcd inside the first three machines' fleetd (inside
	// the first one's where there are fewer than three).
	StoreEmbedded = "embedded"
	// StoreExternal runs the host's own etcd beside the machines, on the
	// bridge's address.
	StoreExternal = "external"
)

// Defaults of Config.
const (
	DefaultDir  = "/var/lib/fleet-sandbox"
	DefaultName = "fleet"
)

// maxMachines keeps interface names within the kernel's 15 characters.
const maxMachines = 99

// Config says what a sandbox is made of. The zero value of every field has a
// meaning; only Machines must be set.
type Config struct {
	// Dir holds the state of all sandboxes, each in a directory with its name.
	// It must not lie on overlayfs. Default DefaultDir.
	Dir string
	// Name tells sandboxes apart: one to eight lower-case letters and digits,
	// the first a letter. Default DefaultName.
	Name string
	// Machines is how many to boot, named m1, m2, …
	Machines int
	// Bin is a directory with static binaries fleetd and fleetctl, copied to
	// the machines' /usr/bin. Empty: machines without fleet.
	Bin string
	// Store is StoreEmbedded (the default) or StoreExternal.
	Store string
	// Subnet is the bridge's, IPv4. The host has the first address in it,
	// machine m1 the second. Default: the first free one of 10.99.0.0/24,
	// 10.100.0.0/24, …
	Subnet netip.Prefix
	// Metadata gives machine i (from 1) its fleet metadata, always the same. Nil
	// for none.
	Metadata func(i int) map[string]string `json:"-"`
	// ExtraConf is appended to every machine's /etc/fleet/fleet.conf.
	ExtraConf string
	// Units are systemd units that every machine has from the start, by name.
	// Those with WantedBy= are enabled. Where fleet.service is among them, Up
	// and Add wait until it is active.
	Units map[string]string
	// Files are put into every machine before its first boot, by absolute
	// path, mode 0644.
	Files map[string]string
	// NoDocker leaves the Docker Engine out: machines boot faster.
	NoDocker bool
}

var nameSyntax = regexp.MustCompile(`^[a-z][a-z0-9]{0,7}$`)

// withDefaults returns the configuration with what was left out filled in,
// save for the subnet, or says what is wrong with it.
func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		c.Dir = DefaultDir
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return c, fmt.Errorf("sandbox directory %s: %w", c.Dir, err)
	}
	c.Dir = dir
	if c.Name == "" {
		c.Name = DefaultName
	}
	if err := checkName(c.Name); err != nil {
		return c, err
	}
	if c.Machines < 1 || c.Machines > maxMachines {
		return c, fmt.Errorf("%d machines asked for: between 1 and %d are possible", c.Machines, maxMachines)
	}
	switch c.Store {
	case "":
		c.Store = StoreEmbedded
	case StoreEmbedded, StoreExternal:
	default:
		return c, fmt.Errorf("unknown store %q: it is %q or %q", c.Store, StoreEmbedded, StoreExternal)
	}
	if _, fleet := c.Units[fleetService]; fleet && c.Bin == "" {
		return c, errors.New("machines with fleet.service need a directory with the fleetd and fleetctl binaries")
	}
	return c, nil
}

func checkName(name string) error {
	if !nameSyntax.MatchString(name) {
		return fmt.Errorf("sandbox name %q: one to eight lower-case letters and digits, the first a letter", name)
	}
	return nil
}
