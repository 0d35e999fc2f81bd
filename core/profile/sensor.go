package profile

import (
	"time"

	"vetting/core"
)

// sensorRules are limits of heat. "Headroom" is how far a part is below the limit
// that its own sensor tells, so that one rule holds for any model. The agent stops
// a stage ten seconds after a part has none left; that it is still so after thirty
// means that stopping did not help.
func sensorRules() []core.Rule {
	const (
		moment = 10 * time.Second
		memory = "memory/*/temperature_celsius"
	)

	return []core.Rule{
		{
			ID: "no-headroom", Stage: "*", Key: "*/*/headroom_celsius", Op: core.OpGT, Value: 0, For: 30 * time.Second,
			Severity: core.Critical, Code: "sensor/over-limit",
		},
		{
			ID: "cpu-little-headroom", Stage: "*", Key: "cpu/*/headroom_celsius", Op: core.OpGT, Value: 3, For: time.Minute,
			Severity: core.Warning, Code: "sensor/near-limit",
		},
		{
			ID: "dimm-warm", Stage: "*", Key: memory, Op: core.OpLT, Value: 85, For: moment, Severity: core.Warning, Code: "sensor/dimm-hot",
		},
		{
			ID: "dimm-hot", Stage: "*", Key: memory, Op: core.OpLT, Value: 95, For: moment, Severity: core.Critical, Code: "sensor/dimm-hot",
		},
		{
			ID: "board-hot", Stage: "*", Key: "board/*/temperature_celsius", Op: core.OpLT, Value: 105, For: moment,
			Severity: core.Critical, Code: "sensor/board-hot",
		},
	}
}
