package profile

import (
	"time"

	"vetting/core"
)

// The configuration keys of the CPUStress stage.
const (
	// CPUDuration is how long the CPUs are exercised; every kernel comes up once in
	// any case.
	CPUDuration = "CPUStress.duration"
)

func cpuSettings() map[string]setting {
	const week = 7 * 24 * time.Hour

	return map[string]setting{CPUDuration: duration(week)}
}

// CPURules compare the speed of a host's CPUs with that of its class.
func CPURules() []core.Rule {
	const rate = "cpu/host/fma_gflops"

	return []core.Rule{
		{ID: "cpu-off-class", Stage: string(core.CPUStress), Key: rate, Op: core.OpGTE, Of: "baseline", Value: 95, Severity: core.Warning, Code: "cpustress/off-class"},
		{ID: "cpu-far-off-class", Stage: string(core.CPUStress), Key: rate, Op: core.OpGTE, Of: "baseline", Value: 85, Severity: core.Critical, Code: "cpustress/off-class"},
	}
}
