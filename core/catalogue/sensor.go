package catalogue

// What thermometers and meters measure, on whatever part they sit. Headroom is how
// far the part is below the limit that its own sensor tells: rules about it hold
// for any part.

func heat(kind, part string) []Entry {
	return []Entry{
		{kind, "temperature_celsius", "celsius", false, "temperature of " + part},
		{kind, "headroom_celsius", "celsius", false, "how far below its own critical limit the temperature of " + part + " is"},
	}
}

func gpu() []Entry {
	return append(heat("gpu", "a graphics card"),
		Entry{"gpu", "fan_rpm", "rpm", false, "speed of a card's fan"},
		Entry{"gpu", "voltage_volts", "volts", false, "voltage of a card's rail"},
		Entry{"gpu", "current_amperes", "amperes", false, "current drawn by a card"},
		Entry{"gpu", "power_watts", "watts", false, "power drawn by a card"},
		Entry{"gpu", "ecc_corrected_count", "count", true, "errors in the memory of a card that its ECC corrected, in its life"},
		Entry{"gpu", "ecc_uncorrected_count", "count", true, "errors in the memory of a card that its ECC could not correct, in its life"},
		Entry{"gpu", "replays_count", "count", true, "packets on the link of a card that were sent again"},
	)
}
