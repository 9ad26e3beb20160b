package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"fleet/agent"
	"fleet/agent/docker"
	"fleet/agent/systemd"
	"fleet/api"
	"fleet/engine"
	"fleet/registry"
	"fleet/registry/embed"
	"fleet/schedule"
)

// socketPath is where the API is without socket activation; /var/run is a link
// to /run on every distribution with systemd.
const socketPath = "/run/fleet.sock"

// daemon is everything that one fleetd consists of.
type daemon struct {
	log       *slog.Logger
	config    Config
	machine   schedule.Machine
	listeners []net.Listener
	server    *api.Server
	agent     *agent.Agent
	engine    *engine.Engine // nil where configured off
	etcd      *registry.Etcd
	store     *embed.Server // nil with an external store
	runner    *systemd.Runner
	finder    *finder
}

// wire puts fleetd together. Nothing in it waits for the store.
func wire(ctx context.Context, c Config, log *slog.Logger) (*daemon, error) {
	d := &daemon{log: log, config: c}
	machine, boot, err := thisMachine(c)
	if err != nil {
		return nil, err
	}
	d.machine = machine
	agentDir := filepath.Join(c.DataDir, "agent")
	known, err := agent.KnownCluster(agentDir)
	if err != nil {
		return nil, err
	}
	endpoints := c.EtcdServers
	if c.Embedded() {
		if d.store, err = startStore(ctx, c, known != "", log); err != nil {
			return nil, err
		}
		endpoints = d.store.Endpoints()
	}
	d.etcd, err = registry.DialEtcd(registry.EtcdConfig{
		Endpoints: endpoints, CAFile: c.EtcdCAFile, CertFile: c.EtcdCertFile, KeyFile: c.EtcdKeyFile,
		Username: c.EtcdUsername, Password: c.EtcdPassword, RequestTimeout: c.EtcdRequestTimeout,
		ProbeKey: c.EtcdKeyPrefix + "cluster",
	})
	if err != nil {
		return nil, err
	}
	reg := registry.New(d.etcd, c.EtcdKeyPrefix, log)
	if d.runner, err = systemd.New(ctx, systemd.Config{Logger: log}); err != nil {
		return nil, err
	}
	dockerd, err := docker.New(c.DockerHost)
	if err != nil {
		return nil, err
	}
	d.finder = &finder{
		root: "/", uname: hardware(), systemd: d.runner.Version,
		docker: &dockerVersion{ask: dockerd.Version, file: filepath.Join(c.DataDir, "docker-version")},
	}
	d.machine.Found = d.finder.find(ctx, machine, time.Now())
	d.agent, err = agent.New(agent.Config{
		Machine: d.machine, BootID: boot, Dir: agentDir, TTL: c.AgentTTL, Grace: c.RestartGrace,
		Store: reg, Leases: reg, Runner: d.runner, Ready: dockerReady(dockerd), HostStopping: systemd.HostStopping, Log: log,
	})
	if err != nil {
		return nil, err
	}
	if !c.DisableEngine {
		d.engine = engine.New(engine.Config{
			Self: machine.ID, TTL: c.AgentTTL, Store: reg, Elections: reg, Policy: c.Policy, Fit: d.agent.Member, Log: log,
		})
	}
	d.server = api.NewServer(api.Config{
		Store: reg, Upkeep: reg, Policy: c.Policy, MachineID: machine.ID, Version: machine.Version, Logger: log, Unavailable: d.agent.Problem, PageLimit: c.TokenLimit, Metrics: metrics(d.agent),
	})
	d.listeners, err = api.Listen(socketPath, c.APIListen)
	return d, err
}

// startStore starts this machine's member of the embedded store.
func startStore(ctx context.Context, c Config, known bool, log *slog.Logger) (*embed.Server, error) {
	members := map[string]string{}
	for _, m := range strings.Split(c.EtcdInitialCluster, ",") {
		if name, url, ok := strings.Cut(m, "="); ok {
			members[name] = url
		}
	}
	return embed.Start(ctx, embed.Config{
		DataDir: filepath.Join(c.DataDir, "etcd"), Name: c.EtcdName,
		ListenClient: c.EtcdListenClientURLs, ListenPeer: c.EtcdListenPeerURLs,
		InitialCluster: members, Known: known, Logger: log,
	})
}

// dockerReady is the machine's fitness for new units: where there is a Docker
// Engine, it answers. A machine without one is fit for units without.
func dockerReady(d *docker.Engine) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := d.Ping(ctx); err != nil && !errors.Is(err, docker.ErrAbsent) {
			return fmt.Errorf("docker does not answer: %w", err)
		}
		return nil
	}
}

// serve runs fleetd until ctx ends, and then ends it in order: the agent and
// the engine while the store is there, the store last.
func (d *daemon) serve(ctx context.Context, reload <-chan os.Signal, onReload func()) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := d.server.Serve(ctx, d.listeners); err != nil {
			fail(err)
		}
	})
	d.log.Info("fleetd", "version", version, "machine", d.machine.ID, "store", d.storeName())
	wg.Go(func() { d.ready(ctx) })
	wg.Go(func() {
		if err := d.agent.Run(ctx); err != nil {
			d.log.Warn("not left in order", "err", err)
		}
	})
	if d.engine != nil {
		wg.Go(func() { d.engine.Run(ctx) })
	}
	wg.Go(func() { d.watchdog(ctx) })
	wg.Go(func() { d.warn(ctx) })
	var storeFailed <-chan error
	if d.store != nil {
		storeFailed = d.store.Err()
	}
	again := time.NewTicker(findEvery)
	defer again.Stop()
	for done := false; !done; {
		select {
		case <-ctx.Done():
			done = true
		case err := <-storeFailed:
			fail(fmt.Errorf("the embedded store: %w", err))
		case <-reload:
			onReload()
		case <-again.C:
			d.look(ctx)
		}
	}
	notify(d.log, "STOPPING=1")
	wg.Wait()
	d.runner.Close()
	_ = d.etcd.Close()
	if d.store != nil {
		d.store.Close()
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// reload takes in what a running fleetd can change of its configuration, or
// nothing where that can't be.
func (d *daemon) reload(c Config) error {
	if err := configure(&d.machine, c); err != nil {
		return err
	}
	d.agent.SetMachine(d.machine)
	return nil
}

func (d *daemon) storeName() string {
	if d.store != nil {
		return "embedded"
	}
	return strings.Join(d.config.EtcdServers, ",")
}

// warn says now and then what is wrong with the store.
func (d *daemon) warn(ctx context.Context) {
	for {
		try, cancel := context.WithTimeout(ctx, time.Minute)
		for _, w := range d.etcd.Warnings(try) {
			d.log.Warn(w)
		}
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Hour):
		}
	}
}
