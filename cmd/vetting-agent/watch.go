package main

import (
	"context"
	"log/slog"
	"os"

	"vetting/agent/disk"
	"vetting/agent/initd"
	"vetting/agent/ipmi"
	"vetting/agent/probe"
	"vetting/agent/ras"
	"vetting/agent/sensor"
	"vetting/firmware/inventory"
)

// disks are those of this machine. What the kernel counts among their errors of our
// commands is counted in the folder that the agent and its workers share; where the agent
// of a live image has not made it, nobody counts.
func disks() disk.System { return disk.System{Tally: disk.NewTally(initd.StateDir + "/disk-commands")} }

// faults is what listens to the machine's reports about its own faults.
func (m *machine) faults(tables []inventory.Structure, bootID, state string, shared bool) (*ras.Collector, error) {
	memory := inventory.Memory(tables)

	return ras.New(ras.Config{
		Machine: ras.Machine{Root: m.root, Statistics: probe.System{}.Statistics, DIMMs: inventory.DIMMs(tables), OwnCommands: disks().Tally.Own},
		Dir:     "/", State: state, BootID: bootID, ECC: memory.ECC != "" && memory.ECC != "none", Virtual: probe.Machine{Root: m.root}.Virtual(), Shared: shared,
		OpenBMC: func(ctx context.Context) (ras.BMC, error) { return ras.OpenBMC(ctx, m.root) }, Log: m.log,
	})
}

// sensors is what looks at the machine's thermometers.
func (m *machine) sensors() *sensor.Sidecar {
	return sensor.New(sensor.Config{
		Root: m.root, Bus: disks(), BMC: &ipmi.System{}, Virtual: probe.Machine{Root: m.root}.Virtual(), Log: m.log,
	})
}

// calm gives the agent what keeps it alive and in time beside its own tests: the
// kernel kills it last, and it runs before them.
func calm(log *slog.Logger) {
	const niceness = -10

	if err := os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0); err != nil {
		log.Warn("the kernel may kill the agent for its memory", slog.String("error", err.Error()))
	}

	if err := initd.Nice(niceness); err != nil {
		log.Warn("the agent may be late beside its tests", slog.String("error", err.Error()))
	}
}
