package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"fleet/functional/sandbox"
)

// imageCommand writes a container image without any Docker Engine, so that an
// example or a test can bring its own.
func imageCommand() *cobra.Command {
	var output, tag string
	cmd := &cobra.Command{
		Use:   "image --tag NAME:TAG --output FILE.tar BINARY [COMMAND...]",
		Short: "Make a container image of one static binary, for load",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			image, err := sandbox.ScratchImage(tag, args[0], args[1:]...)
			if err != nil {
				return err
			}
			if err := os.WriteFile(output, image, 0o644); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is in %s\n", tag, output)
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "where to write the image")
	cmd.Flags().StringVar(&tag, "tag", "", "the image's name and tag")
	_ = cmd.MarkFlagRequired("output")
	_ = cmd.MarkFlagRequired("tag")
	return cmd
}
