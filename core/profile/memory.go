package profile

import (
	"time"

	"vetting/core"
)

// The configuration keys of the Memory stage.
const (
	// MemoryPolicy says what corrected errors mean, in any stage: on a "new" machine
	// there must be none, on a "used" one a few are a warning.
	MemoryPolicy = "Memory.policy"
	// MemoryPatterns: "short" writes own addresses, noise and AA/55, "full" all there is.
	MemoryPatterns = "Memory.patterns"
	// MemoryPasses is how often, MemoryDuration how long at least.
	MemoryPasses   = "Memory.passes"
	MemoryDuration = "Memory.duration"
	// MemoryRetention is how long memory is left alone before it is read again.
	MemoryRetention = "Memory.retention"
	// MemoryFloor is what share of the memory must be tested on machines with less
	// than 8 GiB; from there on it is 92 %.
	MemoryFloor = "Memory.floor_percent"
	// MemoryLimit is how many MiB to test at most; 0: all but the reserve. What is
	// left out stands in the coverage, and the floor counts whatever the size.
	MemoryLimit = "Memory.limit_mib"
)

// memoryPlan is what the stage does in each tier.
func memoryPlan() []row {
	return []row{
		{MemoryBoot, tiers{"0", "1", "4"}},
		{MemoryPolicy, tiers{"new", "new", "new"}},
		{MemoryPatterns, tiers{"short", "full", "full"}},
		{MemoryPasses, tiers{"1", "1", "1"}},
		{MemoryDuration, tiers{"0s", "0s", "12h"}},
		{MemoryRetention, tiers{"0s", "60s", "120s"}},
	}
}

func memorySettings() map[string]setting {
	const (
		week     = 7 * 24 * time.Hour
		terabyte = 1 << 20
	)

	return map[string]setting{
		MemoryPolicy: oneOf("new", "used"), MemoryBoot: whole(0, 17),
		MemoryPatterns: oneOf("short", "full"), MemoryPasses: whole(1, 1000), MemoryDuration: duration(week),
		MemoryRetention: duration(time.Hour), MemoryFloor: whole(0, 100), MemoryLimit: whole(0, 64*terabyte),
	}
}

// MemoryRules compare what a host's memory moves in a second with its class: a DIMM
// that is missing or in the wrong slot leaves the configured speed as it is, and
// takes an eighth to a half of this.
func MemoryRules() []core.Rule {
	const rate = "memory/*/copy_mibps"

	return []core.Rule{
		{ID: "memory-off-class", Stage: string(core.Memory), Key: rate, Op: core.OpWithinPct, Of: "baseline", Value: 10, Severity: core.Warning, Code: "memory/off-class"},
		{ID: "memory-far-off-class", Stage: string(core.Memory), Key: rate, Op: core.OpWithinPct, Of: "baseline", Value: 25, Severity: core.Critical, Code: "memory/off-class"},
	}
}
