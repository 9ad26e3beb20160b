package fleetctl

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"fleet/api"
	"fleet/schedule"
)

func (a *app) snapshot() *cobra.Command {
	return &cobra.Command{
		Use:   "snapshot > FILE",
		Short: "Write the whole cluster down, for explain and simulate to look at elsewhere",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			out := bufio.NewWriterSize(a.stdout, 1<<16)
			if err := c.Snapshot(cmd.Context(), out); err != nil {
				return err
			}
			if err := out.Flush(); err != nil {
				return fmt.Errorf("write the snapshot: %w", err)
			}
			a.warn("The snapshot holds every unit file as it is, with whatever secrets are in it, and the machines' addresses.")
			return nil
		},
	}
}

// from is the flag of verbs that can look at a snapshot instead of the cluster.
type from struct{ path string }

func (f *from) flag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.path, "snapshot", "", "look at the cluster that fleetctl snapshot wrote to this file (- is standard input)")
}

// dump returns the cluster as a whole: the one in the snapshot if there is one,
// or else the one that is there.
func (a *app) dump(cmd *cobra.Command, f from) (schedule.Dump, error) {
	switch f.path {
	case "":
		return a.liveDump(cmd.Context())
	case "-":
		return readDump("standard input", cmd.InOrStdin())
	}
	file, err := os.Open(f.path)
	if err != nil {
		return schedule.Dump{}, err
	}
	defer file.Close()
	return readDump(f.path, file)
}

// readDump reads a snapshot, which may be compressed with gzip.
func readDump(name string, r io.Reader) (schedule.Dump, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	r = in
	if magic, _ := in.Peek(2); string(magic) == "\x1f\x8b" {
		z, err := gzip.NewReader(in)
		if err != nil {
			return schedule.Dump{}, fmt.Errorf("%s: %w", name, err)
		}
		r = z
	}
	d, err := schedule.ReadDump(r)
	if err != nil {
		return d, fmt.Errorf("%s: %w", name, err)
	}
	return d, nil
}

func (a *app) liveDump(ctx context.Context) (schedule.Dump, error) {
	c, err := a.client()
	if err != nil {
		return schedule.Dump{}, err
	}
	r, w := io.Pipe()
	taken := make(chan error, 1)
	go func() {
		err := c.Snapshot(ctx, w)
		w.CloseWithError(err) // nil is the end
		taken <- err
	}()
	d, err := schedule.ReadDump(r)
	r.Close() // so that what is left is not waited for
	if failed := <-taken; err != nil && failed != nil && failed != io.ErrClosedPipe {
		err = failed
	}
	return d, err
}

// machinesOf returns the machines of a snapshot, in the order of their IDs.
func machinesOf(d schedule.Dump) []api.Machine {
	c := schedule.NewCluster()
	for _, ch := range d.Update.Changes {
		if ch.Machine != nil {
			c.Apply(schedule.Update{Changes: []schedule.Change{ch}})
		}
	}
	var all []api.Machine
	for m := range c.Machines() {
		all = append(all, api.Machine{Machine: m})
	}
	return all
}
