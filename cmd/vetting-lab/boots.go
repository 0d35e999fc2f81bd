//go:build linux

package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"vetting/cmd/vetting-lab/boots"
)

// bootsCommand records the boots that the boot doctor is tested with.
func bootsCommand() *cobra.Command {
	var r boots.Recorder

	command := &cobra.Command{
		Use: "record-boots [ROW…]", Short: "Record boots over broken cables for the tests of the boot doctor; all rows without one named",
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Say = cmd.OutOrStdout()
			rows := boots.Rows()

			for _, name := range args {
				if !slices.ContainsFunc(rows, func(row boots.Row) bool { return row.Name == name }) {
					return fmt.Errorf("there is no row %q", name)
				}
			}

			return r.Record(cmd.Context(), slices.DeleteFunc(rows, func(row boots.Row) bool { return len(args) > 0 && !slices.Contains(args, row.Name) }))
		},
	}

	flags := command.Flags()
	flags.StringVar(&r.Binary, "binary", "build/vetting", "the appliance")
	flags.StringVar(&r.Blobs, "blobs", "initramfs/blobs", "files of the boot image")
	flags.StringVar(&r.To, "to", "netboot/testdata/diagnosis", "where the captures go")

	return command
}
