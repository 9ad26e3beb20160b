package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"fleet/functional/sandbox"
)

// where names a sandbox: the flags of every command.
type where struct {
	dir  string
	name string
}

func (w *where) open() (*sandbox.Cluster, error) { return sandbox.Open(w.dir, w.name) }

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "fleet-sandbox",
		Short: "Boot a fleet cluster of real machines on this host",
		Long: `Boot a fleet cluster of real machines on this host.

Each machine is a container that boots this host's operating system with a
systemd, a Docker Engine, a disk and an address of its own. Needs root.`,
		Example: `  fleet-sandbox up --machines 3
  fleet-sandbox exec m1 fleetctl list-machines
  fleet-sandbox kill m2
  fleet-sandbox down`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	w := &where{}
	root.PersistentFlags().StringVar(&w.dir, "dir", sandbox.DefaultDir, "where sandboxes keep their state")
	root.PersistentFlags().StringVar(&w.name, "name", sandbox.DefaultName, "which sandbox")
	root.AddCommand(
		upCommand(w), downCommand(w), statusCommand(w), addCommand(w), execCommand(w), loadCommand(w), imageCommand(),
		powerCommand(w, "kill", "Take a machine's (or the store's) power away", "is off", power.Kill),
		powerCommand(w, "start", "Switch a machine (or the store) on again", "is on", power.Start),
		powerCommand(w, "freeze", "Make a machine (or the store) hang", "is frozen", power.Freeze),
		powerCommand(w, "thaw", "Let a frozen machine (or the store) go on", "goes on", power.Thaw),
		machineCommand(w, "reboot", "Reboot a machine in order", "has rebooted", (*sandbox.Machine).Reboot),
		machineCommand(w, "poweroff", "Shut a machine down in order", "is off", (*sandbox.Machine).PowerOff),
		machineCommand(w, "cut", "Pull a machine's network cable", "is cut off", (*sandbox.Machine).Cut),
		machineCommand(w, "heal", "Plug a machine's network cable in again", "is connected", (*sandbox.Machine).Heal),
		machineCommand(w, "cut-store", "Drop what a machine sends to the store elsewhere", "can't reach the store", (*sandbox.Machine).CutStore),
		machineCommand(w, "heal-store", "Undo one cut-store", "reaches the store again", (*sandbox.Machine).HealStore),
	)
	return root
}

// power is what machines and the external store have in common.
type power interface {
	Start(context.Context) error
	Kill(context.Context) error
	Freeze(context.Context) error
	Thaw(context.Context) error
}

// powerCommand does something to a machine, or to the external store under the
// name "store".
func powerCommand(w *where, use, short, done string, act func(power, context.Context) error) *cobra.Command {
	return oneCommand(use+" MACHINE|store", short, done, func(ctx context.Context, name string) error {
		c, err := w.open()
		if err != nil {
			return err
		}
		if store := c.Store(); name == "store" && store != nil {
			return act(store, ctx)
		}
		m, err := c.Machine(name)
		if err != nil {
			return err
		}
		return act(m, ctx)
	})
}

func machineCommand(w *where, use, short, done string, act func(*sandbox.Machine, context.Context) error) *cobra.Command {
	return oneCommand(use+" MACHINE", short, done, func(ctx context.Context, name string) error {
		c, err := w.open()
		if err != nil {
			return err
		}
		m, err := c.Machine(name)
		if err != nil {
			return err
		}
		return act(m, ctx)
	})
}

func oneCommand(use, short, done string, act func(context.Context, string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := act(cmd.Context(), args[0]); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", args[0], done)
			return nil
		},
	}
}

func execCommand(w *where) *cobra.Command {
	cmd := &cobra.Command{
		Use: "exec MACHINE COMMAND [ARGUMENT...]", Short: "Run a command as root in a machine",
		Long: "Run a command as root in a machine. Exits with the command's own status.",
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := w.open()
			if err != nil {
				return err
			}
			m, err := c.Machine(args[0])
			if err != nil {
				return err
			}
			return m.Exec(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr(), args[1:]...)
		},
	}
	cmd.Flags().SetInterspersed(false) // the command's flags are its own
	return cmd
}

func loadCommand(w *where) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "load MACHINE|--all IMAGE.tar", Short: "Load a container image into a machine's Docker Engine",
		Args: func(cmd *cobra.Command, args []string) error {
			if all {
				return cobra.ExactArgs(1)(cmd, args)
			}
			return cobra.ExactArgs(2)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := w.open()
			if err != nil {
				return err
			}
			machines := c.Machines()
			if !all {
				m, err := c.Machine(args[0])
				if err != nil {
					return err
				}
				machines = []*sandbox.Machine{m}
			}
			for _, m := range machines {
				if err := loadImage(cmd.Context(), m, args[len(args)-1]); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s has %s\n", m.Name, args[len(args)-1])
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "into every machine")
	return cmd
}

func loadImage(ctx context.Context, m *sandbox.Machine, path string) error {
	image, err := os.Open(path)
	if err != nil {
		return err
	}
	defer image.Close()
	return m.LoadImage(ctx, image)
}
