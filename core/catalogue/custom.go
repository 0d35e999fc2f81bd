package catalogue

// custom lists what an operator's own tests may measure. The part is the name of the
// custom stage, a dot and what it calls the thing: custom/fan-check.inlet/temperature_celsius.
func custom() []Entry {
	return []Entry{
		{"custom", "events_count", "count", false, "how often something was seen by a custom stage"},
		{"custom", "share_percent", "percent", false, "a share, as a custom stage measured it"},
		{"custom", "temperature_celsius", "celsius", false, "a temperature that a custom stage measured"},
		{"custom", "voltage_volts", "volts", false, "a voltage that a custom stage measured"},
		{"custom", "current_amperes", "amperes", false, "a current that a custom stage measured"},
		{"custom", "power_watts", "watts", false, "power that a custom stage measured"},
		{"custom", "speed_rpm", "rpm", false, "how fast something turns, as a custom stage measured it"},
		{"custom", "transfer_mibps", "mibps", false, "how fast bytes went, as a custom stage measured it"},
		{"custom", "work_gflops", "gflops", false, "how fast numbers were worked out, as a custom stage measured it"},
		{"custom", "time_milliseconds", "milliseconds", false, "how long something took, as a custom stage measured it"},
	}
}
