package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"

	"vetting/agent/stage"
	"vetting/core"
	"vetting/firmware/inventory"
)

// What the watch over error counters changes in the kernel, below the root.
const (
	tracing    = "/sys/kernel/tracing/instances/vetting"
	checkBanks = "/sys/devices/system/machinecheck/machinecheck0/check_interval"
)

// watched runs the stage as a run does: with an eye on error counters, the
// kernel's log and the thermometers.
func (s *stressing) watched(ctx context.Context, env stage.Env) core.Result {
	inner, halt := context.WithCancelCause(ctx)
	defer halt(nil)

	watches, end := s.watches(ctx, env.Log)
	defer end()

	ends := make([]func() stage.Seen, len(watches))
	for i, watch := range watches {
		ends[i] = watch(ctx, s.name, env, halt)
	}

	result := s.run(inner, env)
	for _, end := range ends {
		result = stage.Merge(result, end())
	}

	return result
}

// watches starts those who watch. end stops them and leaves the kernel as it was.
func (s *stressing) watches(ctx context.Context, log *slog.Logger) (list []stage.Watch, end func()) {
	ctx, stop := context.WithCancel(ctx)
	m := &machine{root: os.DirFS("/"), log: log}
	restore := keepKernel()
	sensors := m.sensors()

	var work sync.WaitGroup

	start := func(run func(context.Context) error, watch stage.Watch) {
		work.Go(func() { _ = run(ctx) }) // ends with ctx, and with nothing else

		list = append(list, watch)
	}

	start(sensors.Run, sensors.Watch)

	state, err := os.MkdirTemp("", "vetting-stress-")
	if err == nil {
		tables, _ := inventory.ReadSMBIOS(m.root) //nolint:errcheck // without it DIMMs have no names
		bootID, _ := line(m.root, "proc/sys/kernel/random/boot_id")

		faults, fault := m.faults(tables, bootID, state, true)
		if err = fault; err == nil {
			start(faults.Run, faults.Watch)
		}
	}

	if err != nil {
		s.gaps = append(s.gaps, "error counters are not watched: "+err.Error())
	}

	return list, func() {
		stop()
		work.Wait()
		restore()

		_ = os.RemoveAll(state)
	}
}

// keepKernel remembers what will be changed in the kernel. The agent of a live image
// may be at work beside this one: what is its own stays.
func keepKernel() (restore func()) {
	interval, unread := os.ReadFile(checkBanks)
	_, absent := os.Stat(tracing)

	return func() {
		if unread == nil {
			_ = os.WriteFile(checkBanks, interval, 0) // who may not write it has not changed it
		}

		if errors.Is(absent, os.ErrNotExist) {
			_ = os.Remove(tracing) // it is not there where it could not be made
		}
	}
}
