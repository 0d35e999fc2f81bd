package catalogue

// supply is what is measured of power supplies. The part is a supply by its slot, or
// "system" for the whole machine.
func supply() []Entry {
	return []Entry{
		{"psu", "temperature_celsius", "celsius", false, "temperature in a supply"},
		{"psu", "input_watts", "watts", false, "power taken in by a supply, or by the whole machine"},
		{"psu", "output_watts", "watts", false, "power given out by a supply"},
		{"psu", "input_volts", "volts", false, "voltage that a supply is fed with"},
		{"psu", "output_volts", "volts", false, "voltage of a supply's output"},
		{"psu", "input_amperes", "amperes", false, "current taken in by a supply"},
		{"psu", "output_amperes", "amperes", false, "current given out by a supply"},
		{"psu", "fan_rpm", "rpm", false, "speed of a supply's fan"},
		{"psu", "load_share_percent", "percent", false, "share of the load that a supply carried with all CPUs at work"},
		{"psu", "efficiency_percent", "percent", false, "what came out of a supply of what it took in, with all CPUs at work"},
	}
}
