package fleetctl

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"fleet/unit"
)

func (a *app) verify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify FILE...",
		Short: "Check unit files, without a cluster",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			failed := false
			for _, path := range args {
				if err := verifyFile(path); err != nil {
					a.warn("%v", err)
					failed = true
				}
			}
			if failed {
				return errReported
			}
			return nil
		},
	}
}

func verifyFile(path string) error {
	name, err := unit.ParseName(filepath.Base(path))
	if err != nil {
		return err
	}
	_, err = readLocal(name, path)
	return err
}
