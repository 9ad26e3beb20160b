package fleetctl

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"fleet/schedule"
	"fleet/unit"
)

func (a *app) verify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify FILE...",
		Short: "Check unit files, by themselves and with each other, without a cluster",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			failed := false
			var good []source
			for _, path := range args {
				s, err := verifyFile(path)
				if err != nil {
					a.warn("%v", err)
					failed = true
					continue
				}
				good = append(good, s)
			}
			if a.verifyTogether(good) && !failed {
				return nil
			}
			return errReported
		},
	}
}

func verifyFile(path string) (source, error) {
	name, err := unit.ParseName(filepath.Base(path))
	if err != nil {
		return source{}, err
	}
	return readLocal(name, path)
}

// verifyTogether tells which of the files could never be placed if all of them
// were submitted, and reports whether there is none.
func (a *app) verifyTogether(files []source) bool {
	c := schedule.NewCluster()
	u := schedule.Update{Snapshot: true}
	for _, s := range files {
		u.Revision++
		record := unit.Unit{Name: s.name.Full, Hash: s.file.Hash, DesiredState: unit.Inactive}
		u.Changes = append(u.Changes, schedule.Change{Revision: u.Revision, Unit: &record, File: s.file})
	}
	c.Apply(u)
	ok := true
	for _, s := range files {
		if err := schedule.Admit(c, s.name.Full, s.file); err != nil {
			a.warn("%v", fmt.Errorf("%s: can't be placed: %w", s.path, err))
			ok = false
		}
	}
	return ok
}
