package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// undoTimeout bounds undoing what was begun when the caller's time is over.
const undoTimeout = 30 * time.Second

// Cluster is a sandbox that is up. Its methods may be called at once.
type Cluster struct {
	mu    sync.Mutex
	state state
}

// Up boots a sandbox and returns when every machine is ready and, where
// machines have fleet, their fleetd too. What an earlier sandbox of that name
// left behind when it crashed is removed first; one that is up is refused.
// When Up fails nothing is left either.
func Up(ctx context.Context, cfg Config) (*Cluster, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := checkHost(cfg); err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, cfg.Dir, cfg.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if old, err := Open(cfg.Dir, cfg.Name); err == nil && old.on() {
		return nil, fmt.Errorf("sandbox %q is up already: take it down first", cfg.Name)
	}
	if err := clean(ctx, cfg.Dir, cfg.Name); err != nil {
		return nil, err
	}
	c := &Cluster{}
	if err := c.up(ctx, cfg); err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
		defer cancel()
		return nil, errors.Join(err, clean(undo, cfg.Dir, cfg.Name))
	}
	return c, nil
}

// Open attaches to a sandbox that is up, whichever process made it. Empty
// arguments mean the defaults.
func Open(dir, name string) (*Cluster, error) {
	cfg, err := Config{Dir: dir, Name: name, Machines: 1}.withDefaults()
	if err != nil {
		return nil, err
	}
	s, err := readState(cfg.Dir, cfg.Name)
	if err != nil {
		return nil, err
	}
	if !s.Complete {
		return nil, fmt.Errorf("sandbox %q is not up: it is being made, or its making was cut short", cfg.Name)
	}
	return &Cluster{state: s}, nil
}

// Clean removes all that there is of a sandbox, in whatever state it is.
// Removing one that isn't there is success. Empty arguments mean the defaults.
func Clean(ctx context.Context, dir, name string) error {
	cfg, err := Config{Dir: dir, Name: name, Machines: 1}.withDefaults()
	if err != nil {
		return err
	}
	unlock, err := lock(ctx, cfg.Dir, cfg.Name)
	if err != nil {
		return err
	}
	defer unlock()
	return clean(ctx, cfg.Dir, cfg.Name)
}

// Down removes the sandbox: processes, cgroups, links, rules, directories.
func (c *Cluster) Down(ctx context.Context) error {
	return Clean(ctx, c.state.Config.Dir, c.state.Config.Name)
}

// Name is the sandbox's.
func (c *Cluster) Name() string { return c.state.Config.Name }

// Gateway is the host's address on the bridge.
func (c *Cluster) Gateway() netip.Addr { return c.state.Gateway }

// Subnet is the bridge's.
func (c *Cluster) Subnet() netip.Prefix { return c.state.Config.Subnet }

// Endpoints are the client URLs of the store, if there is one.
func (c *Cluster) Endpoints() []string {
	if c.state.Config.Store == StoreExternal {
		return []string{clientURL(c.state.Gateway.String())}
	}
	var urls []string
	for _, m := range c.state.Members {
		urls = append(urls, clientURL(m))
	}
	return urls
}

// Machines lists the machines in the order of their making, whatever state
// they are in.
func (c *Cluster) Machines() []*Machine {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ms []*Machine
	for _, s := range c.state.Machines {
		ms = append(ms, c.machine(s))
	}
	return ms
}

// Machine finds a machine by its name.
func (c *Cluster) Machine(name string) (*Machine, error) {
	var names []string
	for _, m := range c.Machines() {
		if m.Name == name {
			return m, nil
		}
		names = append(names, m.Name)
	}
	return nil, fmt.Errorf("no machine %q in sandbox %q: it has %v", name, c.Name(), names)
}

// Store is the external store, nil when it is embedded in the machines.
func (c *Cluster) Store() *Store {
	cfg := c.state.Config
	if cfg.Store != StoreExternal {
		return nil
	}
	return &Store{sandbox: cfg.Name, dir: filepath.Join(cfg.Dir, cfg.Name, "store"), ip: c.state.Gateway.String()}
}

// Add makes one more machine, which is no member of an embedded store, and
// boots it.
func (c *Cluster) Add(ctx context.Context) (*Machine, error) {
	cfg := c.state.Config
	unlock, err := lock(ctx, cfg.Dir, cfg.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	// Another process may have added machines since this one looked.
	now, err := readState(cfg.Dir, cfg.Name)
	if err != nil {
		return nil, err
	}
	c.state.Machines = now.Machines
	if len(c.state.Machines) == maxMachines {
		return nil, fmt.Errorf("sandbox %q has %d machines already: there can be no more", cfg.Name, maxMachines)
	}
	s, err := c.make(len(c.state.Machines) + 1)
	if err != nil {
		return nil, err
	}
	c.state.Machines = append(c.state.Machines, s)
	if err := c.state.write(); err != nil {
		return nil, err
	}
	m := c.machine(s)
	return m, c.boot(ctx, m)
}

// up makes everything that the configuration asks for and waits for it.
func (c *Cluster) up(ctx context.Context, cfg Config) error {
	if err := os.MkdirAll(filepath.Join(cfg.Dir, cfg.Name, "store"), 0o755); err != nil {
		return err
	}
	gateway, err := bridge(ctx, &cfg)
	if err != nil {
		return err
	}
	c.state = state{Config: cfg, Gateway: gateway}
	for i := 1; cfg.Metadata != nil && i <= maxMachines; i++ {
		c.state.Metadata = append(c.state.Metadata, cfg.Metadata(i))
	}
	if cfg.Store == StoreEmbedded && cfg.Bin != "" {
		for i := range memberCount(cfg.Machines) {
			ip, err := nth(cfg.Subnet, i+2)
			if err != nil {
				return err
			}
			c.state.Members = append(c.state.Members, ip.String())
		}
	}
	if err := c.state.write(); err != nil {
		return err
	}
	if s := c.Store(); s != nil {
		if err := s.Start(ctx); err != nil {
			return err
		}
	}
	for i := range cfg.Machines {
		s, err := c.make(i + 1)
		if err != nil {
			return err
		}
		c.state.Machines = append(c.state.Machines, s)
	}
	if err := c.bootAll(ctx); err != nil {
		return err
	}
	c.state.Complete = true
	return c.state.write()
}

// bridge makes the sandbox's bridge, on a free subnet if none is configured,
// and returns the host's address on it.
func bridge(ctx context.Context, cfg *Config) (netip.Addr, error) {
	// Two sandboxes must not both find the same subnet free.
	unlock, err := lockSubnets(ctx)
	if err != nil {
		return netip.Addr{}, err
	}
	defer unlock()
	if !cfg.Subnet.IsValid() {
		if cfg.Subnet, err = freeSubnet(); err != nil {
			return netip.Addr{}, err
		}
	}
	cfg.Subnet = cfg.Subnet.Masked()
	gateway, err := nth(cfg.Subnet, 1)
	if err != nil {
		return netip.Addr{}, err
	}
	return gateway, (network{cfg.Name}).up(ctx, netip.PrefixFrom(gateway, cfg.Subnet.Bits()))
}

// bootAll boots all machines at once.
func (c *Cluster) bootAll(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, len(c.state.Machines))
	for i, s := range c.state.Machines {
		wg.Go(func() { errs[i] = c.boot(ctx, c.machine(s)) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (c *Cluster) boot(ctx context.Context, m *Machine) error {
	if err := m.Start(ctx); err != nil {
		return err
	}
	if _, fleet := c.state.Config.Units[fleetService]; !fleet {
		return nil
	}
	return m.awaitFleet(ctx)
}

func (c *Cluster) machine(s machineState) *Machine {
	cfg := c.state.Config
	return &Machine{
		Name: s.Name, ID: s.ID, IP: s.IP,
		sandbox: cfg.Name, dir: filepath.Join(cfg.Dir, cfg.Name, s.Name), docker: !cfg.NoDocker,
	}
}

// make creates machine i's directories.
func (c *Cluster) make(i int) (machineState, error) {
	cfg := c.state.Config
	ip, err := nth(cfg.Subnet, i+1)
	if err != nil {
		return machineState{}, err
	}
	id := make([]byte, 16)
	rand.Read(id)
	s := machineState{Name: machineName(i), ID: hex.EncodeToString(id), IP: ip}
	dir := c.machine(s).dir
	for _, d := range []string{"root", "work", "docker"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return s, err
		}
	}
	if err := writeLayer(filepath.Join(dir, "upper"), c.rootSpec(i, s)); err != nil {
		return s, fmt.Errorf("root of machine %s: %w", s.Name, err)
	}
	return s, nil
}

// rootSpec says what is on machine i's disk before its first boot.
func (c *Cluster) rootSpec(i int, s machineState) rootSpec {
	cfg := c.state.Config
	spec := rootSpec{
		files: map[string]string{
			"/etc/machine-id": s.ID + "\n",
			"/etc/hostname":   s.Name + "\n",
			"/etc/hosts":      fmt.Sprintf("127.0.0.1 localhost\n%s %s\n%s host\n", s.IP, s.Name, c.state.Gateway),
			"/etc/fstab":      "",
		},
		scripts: map[string]string{
			initPath: initScript(netip.PrefixFrom(s.IP, cfg.Subnet.Bits()).String(), c.state.Gateway.String()),
		},
		units: cfg.Units,
	}
	if !cfg.NoDocker {
		spec.enabled = []string{dockerService, "docker.socket"}
		// Images may be pulled from a registry without TLS on the bridge.
		spec.files["/etc/default/docker"] = "DOCKER_OPTS=--insecure-registry=" + cfg.Subnet.String() + "\n"
	}
	if cfg.Bin != "" {
		spec.copies = map[string]string{
			"/usr/bin/fleetd":   filepath.Join(cfg.Bin, "fleetd"),
			"/usr/bin/fleetctl": filepath.Join(cfg.Bin, "fleetctl"),
		}
		var metadata map[string]string
		if len(c.state.Metadata) > 0 {
			metadata = c.state.Metadata[i-1]
		}
		spec.files["/etc/fleet/fleet.conf"] = fleetConf(i, s.IP.String(), metadata, c.state.Members, c.state.Gateway.String(), cfg.ExtraConf)
	}
	maps.Copy(spec.files, cfg.Files)
	return spec
}

// on tells whether any machine of the sandbox has power.
func (c *Cluster) on() bool {
	return slices.ContainsFunc(c.Machines(), func(m *Machine) bool { return m.State() != Off })
}
