//go:build linux

// Command vetting-lab stands up virtual machines around the appliance: the demo,
// and the load generators of the benchmarks. It is no part of the product.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run()) }

// run returns the exit code. Ctrl-C ends the lab in order; a second one at once.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	context.AfterFunc(ctx, stop)

	root := &cobra.Command{
		Use:           "vetting-lab",
		Short:         "Virtual machines around the appliance: demo and benchmarks (root, Linux)",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(demoCommand(), loadCommand(), bootsCommand())

	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "vetting-lab:", err)

		return 1
	}

	return 0
}
