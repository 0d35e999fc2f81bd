package profile

import "time"

// The configuration keys of the PSU stage.
const (
	// PSUDuration is how long the course of idle, full load, pulses and idle takes.
	PSUDuration = "PSU.duration"
	// PSUExpect is how many power supplies must be present; 0: as many as there are. It is
	// for classes and hosts.
	PSUExpect = "PSU.expect"
	// PSUPull is whether somebody is asked to pull the cord of each supply and to put it
	// back: "on" or "off".
	PSUPull = "PSU.pull_test"
)

func psuPlan() []row {
	return []row{
		{PSUDuration, tiers{"3m", "15m", "30m"}},
		{PSUExpect, tiers{"0", "0", "0"}},
		{PSUPull, tiers{"off", "off", "off"}},
	}
}

func psuSettings() map[string]setting {
	const day = 24 * time.Hour

	return map[string]setting{PSUDuration: duration(day), PSUExpect: whole(0, 16), PSUPull: oneOf("off", "on")}
}
