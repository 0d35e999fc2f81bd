package profile

import "time"

// The configuration keys of the Burn stage.
const (
	// BurnDuration is how long everything works at once, with rest before and after.
	BurnDuration = "Burn.duration"
	// BurnNetwork is how many Mbit/s are exchanged with the appliance meanwhile, both
	// ways together; 0: none.
	BurnNetwork = "Burn.network_mbps"
)

func burnPlan() []row {
	return []row{
		{BurnDuration, tiers{"10m", "2h", "24h"}},
		{BurnNetwork, tiers{"100", "100", "100"}},
	}
}

func burnSettings() map[string]setting {
	const week = 7 * 24 * time.Hour

	return map[string]setting{BurnDuration: duration(week), BurnNetwork: whole(0, 100_000)}
}
