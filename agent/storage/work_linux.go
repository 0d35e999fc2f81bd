package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"vetting/agent/blockdev"
	"vetting/agent/disk"
	"vetting/agent/probe"
	"vetting/agent/worker"
)

// Work returns the worker, which asks disks who they are through bus. Without a look for
// somebody's data on the disks it writes to none.
func Work(bus disk.Bus, look Look) worker.Func {
	return func(ctx context.Context, child *worker.Child) error {
		var job Job
		if err := child.Config(&job); err != nil {
			return err
		}

		root := os.DirFS("/")
		c := &crew{
			Job: job, layer: &blockdev.System{Machine: probe.Machine{Root: root, Bus: bus}}, reader: openReader,
			live: blockdev.Live(root), look: look, now: func() time.Time { return since(boottime()) }, pattern: newPattern(),
			buffer: blockdev.Buffer, free: blockdev.Free, lane: func(name string) lane { return child.Lane(name) },
			tell: func(t Tally) { child.Say(EventTally, t) },
		}

		child.Ready(fmt.Sprintf("%d disks", len(job.Disks)))
		child.Canary(c.canary(), "changed bits and a block in another's place")

		go func() { // ends with the pipe of orders
			for raw := range child.Commands() {
				var o Order
				if json.Unmarshal(raw, &o) == nil {
					c.obey(o)
				}
			}
		}()

		c.run(ctx)

		return nil
	}
}

func openReader(d Disk) (r reader, inUse bool, err error) {
	file, err := blockdev.OpenReader("/dev/" + d.Name)
	if err != nil {
		return nil, false, err
	}

	return file, file.InUse, nil
}

// boottime is how long ago the machine was started, in nanoseconds. Where the kernel does
// not tell, it is the end of time, and every lease is over.
func boottime() int64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return 1 << 62
	}

	return t.Nano()
}
