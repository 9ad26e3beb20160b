// Command fleetd makes a Linux host a machine of a fleet cluster: it runs the
// machine's units, serves the HTTP API, may lead the cluster, and, where no
// other store is configured, is a member of the cluster's store.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker.
var version = "devel"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	if err := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr, reload); err != nil {
		fmt.Fprintf(os.Stderr, "fleetd: %v\n", err)
		os.Exit(1)
	}
}

// run is fleetd, until ctx ends. A signal on reload has the configuration file
// read again.
func run(ctx context.Context, args, env []string, stdout, stderr io.Writer, reload <-chan os.Signal) error {
	load := func() (Config, []string, error) { return LoadConfig(args, env, os.ReadFile) }
	config, warnings, err := load()
	if errors.Is(err, flag.ErrHelp) {
		Usage(stdout)
		return nil
	}
	if err != nil {
		return err
	}
	if config.ShowVersion {
		fmt.Fprintf(stdout, "fleetd version %s\n", version)
		return nil
	}
	level := new(slog.LevelVar)
	level.Set(config.LogLevel())
	log := slog.New(newLogHandler(stderr, level, hasVariable(env, "JOURNAL_STREAM")))
	for _, w := range warnings {
		log.Warn(w)
	}
	d, err := wire(ctx, config, log)
	if err != nil {
		return err
	}
	return d.serve(ctx, reload, func() {
		log.Info("Reloading configuration")
		next, warnings, err := load()
		if err == nil {
			err = d.reload(next)
		}
		if err != nil {
			log.Error("configuration not reloaded, the present one stays", "err", err)
			return
		}
		for _, w := range warnings {
			log.Warn(w)
		}
		for _, name := range config.NeedsRestart(next) {
			log.Warn("changed, but takes a restart of fleetd", "option", name)
		}
		level.Set(next.LogLevel())
	})
}
