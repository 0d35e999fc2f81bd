// Command vetting-agent is the program inside the boot image: as the first
// process it keeps the system, as its child it vets the machine. On an installed
// system it is a service that tells the appliance of the host. By hand it records a
// machine, or puts it to work.
package main

import (
	"context"
	"fmt"
	"os"

	"vetting/agent/custom"
	"vetting/agent/initd"
	"vetting/agent/worker"
)

// serveWord asks for the agent proper instead of the first process.
const serveWord = "serve"

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	ctx := context.Background()

	switch {
	case len(args) == 2 && args[0] == custom.Word: // the first process, too: of a namespace
		return custom.Fence(args[1:])
	case os.Getpid() == 1:
		if err := initd.Run(ctx, []string{"agent", serveWord}); err != nil {
			fmt.Fprintln(os.Stderr, "vetting-agent:", err)
		}

		return initd.ExitGiveUp
	case len(args) == 1 && args[0] == serveWord:
		return serve(ctx)
	case len(args) > 0 && args[0] == worker.Word:
		return worker.Main(ctx, kinds(), args[1:])
	case len(args) > 0 && args[0] == hostWord:
		return host(ctx, args[1:], os.Stdout, os.Stderr)
	case len(args) > 0 && args[0] == collectWord:
		return record(ctx, args[1:], os.Stdout, os.Stderr)
	case len(args) > 0 && args[0] == stressWord:
		return stress(ctx, args[1:], os.Stdout, os.Stderr)
	default:
		fmt.Fprintln(os.Stderr, "vetting-agent is the first process of the boot image; on an installed system it is started as: vetting-agent host; "+
			"to record a machine for a bug report: vetting-agent collect --scrub; to put one to work: vetting-agent stress cpu|memory|burn")

		return 2
	}
}
