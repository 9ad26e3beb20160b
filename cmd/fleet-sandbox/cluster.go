package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"fleet/functional/sandbox"
	"fleet/packaging"
)

func upCommand(w *where) *cobra.Command {
	cfg := sandbox.Config{}
	var metadata, conf []string
	var bare bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "up", Short: "Boot the machines", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.Dir, cfg.Name = w.dir, w.name
			var err error
			if cfg.Metadata, err = metadataOf(metadata); err != nil {
				return err
			}
			cfg.ExtraConf = strings.Join(conf, "\n")
			if bare {
				cfg.Bin = ""
			} else {
				cfg.Units = packaging.Units()
				if cfg.Bin, err = binDir(cfg.Bin); err != nil {
					return err
				}
			}
			start := time.Now()
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			c, err := sandbox.Up(ctx, cfg)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "up after %.1f s\n\n", time.Since(start).Seconds())
			return printStatus(cmd.Context(), cmd.OutOrStdout(), c)
		},
	}
	f := cmd.Flags()
	f.IntVar(&cfg.Machines, "machines", 3, "how many machines")
	f.StringVar(&cfg.Store, "store", sandbox.StoreEmbedded, "the store: embedded in the first three machines' fleetd, or external, this host's etcd")
	f.StringVar(&cfg.Bin, "bin", "", "directory with static fleetd and fleetctl (default: where fleet-sandbox itself is)")
	f.BoolVar(&bare, "bare", false, "machines without fleet")
	f.BoolVar(&cfg.NoDocker, "no-docker", false, "machines without Docker")
	f.DurationVar(&timeout, "timeout", 3*time.Minute, "give up when the machines aren't ready by then, and remove them")
	f.StringArrayVar(&metadata, "metadata", nil, "KEY=VALUE[,VALUE...]: fleet metadata, the values dealt out to the machines in turn (repeatable)")
	f.StringArrayVar(&conf, "conf", nil, "a line more in fleet.conf, such as agent_ttl=5s (repeatable)")
	return cmd
}

// binDir finds the directory with fleet's binaries.
func binDir(dir string) (string, error) {
	if dir == "" {
		self, err := os.Executable()
		if err != nil {
			return "", err
		}
		dir = filepath.Dir(self)
	}
	for _, name := range []string{"fleetd", "fleetctl"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("no %s in %s: build it, name its directory with --bin, or boot machines without fleet with --bare", name, dir)
		}
	}
	return dir, nil
}

// metadataOf deals the values of each KEY=VALUE[,VALUE...] out in turn.
func metadataOf(args []string) (func(int) map[string]string, error) {
	values := map[string][]string{}
	for _, a := range args {
		key, list, ok := strings.Cut(a, "=")
		if !ok || key == "" || list == "" {
			return nil, fmt.Errorf("metadata %q is not KEY=VALUE[,VALUE...]", a)
		}
		values[key] = strings.Split(list, ",")
	}
	return func(i int) map[string]string {
		m := map[string]string{}
		for key, list := range values {
			m[key] = list[(i-1)%len(list)]
		}
		return m
	}, nil
}

func downCommand(w *where) *cobra.Command {
	return &cobra.Command{
		Use: "down", Short: "Remove the machines and all that belongs to them", Args: cobra.NoArgs,
		Long: "Remove the machines and all that belongs to them, in whatever state they are, also after a crash.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if os.Geteuid() != 0 {
				return errors.New("taking machines down needs root")
			}
			if err := sandbox.Clean(cmd.Context(), w.dir, w.name); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "sandbox %s is gone\n", w.name)
			return nil
		},
	}
}

func addCommand(w *where) *cobra.Command {
	return &cobra.Command{
		Use: "add", Short: "Boot one more machine", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := w.open()
			if err != nil {
				return err
			}
			m, err := c.Add(cmd.Context())
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is on, at %s\n", m.Name, m.IP)
			return nil
		},
	}
}

func statusCommand(w *where) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show the machines", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := w.open()
			if err != nil {
				return err
			}
			return printStatus(cmd.Context(), cmd.OutOrStdout(), c)
		},
	}
}

func printStatus(ctx context.Context, out io.Writer, c *sandbox.Cluster) error {
	fmt.Fprintf(out, "sandbox %s on %s", c.Name(), c.Subnet())
	if urls := c.Endpoints(); len(urls) > 0 {
		fmt.Fprintf(out, ", store %s", strings.Join(urls, " "))
	}
	if s := c.Store(); s != nil {
		fmt.Fprintf(out, " (%s)", s.State())
	}
	fmt.Fprint(out, "\n\n")
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "MACHINE\tSTATE\tCABLE\tFLEET\tIP\tID")
	for _, m := range c.Machines() {
		cable, state := "out", m.State()
		if m.Connected() {
			cable = "in"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", m.Name, state, cable, fleetState(ctx, m, state), m.IP, m.ID)
	}
	return t.Flush()
}

// fleetState is what the machine's systemd says of fleetd, "-" where it can't
// be asked.
func fleetState(ctx context.Context, m *sandbox.Machine, state string) string {
	if state != sandbox.Running {
		return "-"
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	out, _ := m.Output(ctx, "systemctl", "is-active", "fleet.service") // its status says the same
	if word := strings.TrimSpace(out); word != "" {
		return word
	}
	return "-"
}
