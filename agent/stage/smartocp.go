package stage

import (
	"maps"

	"vetting/agent/disk"
	"vetting/core"
)

// ocpValues adds what a drive for data centres tells in log page C0h.
func ocpValues(h disk.OCPHealth, values map[string]float64) {
	maps.Copy(values, map[string]float64{
		"bad_user_blocks_count": float64(h.BadUserBlocks), "bad_system_blocks_count": float64(h.BadSystemBlocks),
		"user_blocks_percent": float64(h.UserBlocks), "system_blocks_percent": float64(h.SystemBlocks),
		"xor_recoveries_count": float64(h.XORRecoveries), "uncorrectable_reads_count": float64(h.Uncorrectable),
		"end_to_end_detected_count": float64(h.EndToEnd), "end_to_end_lost_count": float64(h.EndToEndLost),
		"system_used_percent": float64(h.SystemUsed), "thermal_events_count": float64(h.Throttles), "throttling_bits": 0,
		"link_correctable_errors_count": float64(h.LinkErrors), "link_retrains_count": float64(h.Retrains),
		"incomplete_shutdowns_count": float64(h.BrokenShutdowns),
	})

	if h.Throttling {
		values["throttling_bits"] = 1
	}

	if h.HasCapacitor {
		values["capacitor_percent"] = float64(h.Capacitor)
	}
}

// below ranks values under a limit, and under a lower one.
func below(warn, critical float64) func(float64) core.Severity {
	return func(value float64) core.Severity {
		switch {
		case value < critical:
			return core.Critical
		case value < warn:
			return core.Warning
		default:
			return ""
		}
	}
}

// ocpRules are what the values of log page C0h must keep to, in the manner of stages.md
// §3.4: lost data is critical at any age, what was saved or is the link's is a warning,
// and a new drive has used up nothing. Flash retires blocks while it is written, which
// spares are for: that they get fewer is a warning, and that none is left critical.
func ocpRules(used bool) []limit {
	const (
		noSpare       = 1 // per cent
		noEnergy      = 1 // less than what a shutdown takes
		weak, weakNew = 50, 100
		worn, wornOut = 80, 100
	)

	critical, warn := above(0, core.Critical), above(0, core.Warning)
	blocks, energy, past := 100.0, float64(weakNew), warn

	if used {
		blocks, energy, past = 10, weak, nil
	}

	return []limit{
		{"user_blocks_percent", "smart/bad-blocks", "The drive has retired blocks of its flash", replaceDisk, below(blocks, noSpare), nil},
		{"system_blocks_percent", "smart/bad-blocks", "The drive has retired blocks that hold its own data", replaceDisk, below(blocks, noSpare), nil},
		{"bad_user_blocks_count", "smart/bad-blocks", "The drive retired blocks of its flash while it was watched", "Watch whether it goes on.", nil, warn},
		{"bad_system_blocks_count", "smart/bad-blocks", "The drive retired blocks that hold its own data while it was watched", "Watch whether it goes on.", nil, warn},
		{"uncorrectable_reads_count", "smart/uncorrectable", "The drive could not correct what it read", replaceDisk, critical, critical},
		{"xor_recoveries_count", "smart/rebuilt-data", "The drive had to put data together from its other dies", replaceDisk, past, warn},
		{"end_to_end_lost_count", "smart/end-to-end", "The drive has altered data inside itself", replaceDisk, critical, critical},
		{"end_to_end_detected_count", "smart/end-to-end", "Data was altered inside the drive, which noticed", replaceDisk, warn, critical},
		{"system_used_percent", "smart/worn", "The flash that holds the drive's own data is worn", replaceDisk, steps(worn, wornOut), nil},
		{"throttling_bits", codeThrottled, "The drive slows itself down on account of heat", coolDisk, warn, nil},
		{"thermal_events_count", codeThrottled, "The drive slowed itself down on account of heat", coolDisk, nil, warn},
		{"link_correctable_errors_count", "smart/link-errors", "The drive's link had errors while it was watched", "Reseat the disk.", nil, warn},
		{"link_retrains_count", "smart/link-errors", "The drive's link was trained again while it was watched", "Reseat the disk.", nil, warn},
		{"incomplete_shutdowns_count", "smart/incomplete-shutdown", "The drive could not finish a shutdown", replaceDisk, warn, critical},
		{"capacitor_percent", "smart/capacitor", "The drive's capacitors are weak", replaceDisk, below(energy, noEnergy), nil},
	}
}
