package problem

import "vetting/core"

// Codes of samples.
const (
	SampleUnknownKey = "sample/unknown-key"
	SampleWrongUnit  = "sample/wrong-unit"
	SampleBad        = "sample/bad"
)

// inventories lists the codes of the InventoryCheck stage, and those of all stages.
func inventories() []Entry {
	return []Entry{
		{
			"inventory/disk-silent", "A disk does not say who it is",
			"The drive answers, but not to the question for its identity.",
			"Reseat the disk and its cable; replace the disk if it stays silent.", core.Critical,
		},
		{
			"inventory/firmware-tables", "The firmware's description of the machine cannot be read",
			"The SMBIOS tables are damaged or missing.",
			"Update the BIOS or load its defaults; the tables it hands out are damaged.", core.Critical,
		},
		{
			"inventory/pci-dead", "A PCI device does not answer any more",
			"Its configuration space reads all ones: it fell off the bus.",
			"Reseat the card in its slot; replace it if it stays silent.", core.Critical,
		},
		{
			"stage/interrupted", "The stage was interrupted",
			"The agent was told to stop before the stage had ended; the hardware is not judged.",
			"Retry the stage.", core.Critical,
		},
	}
}

// samples lists the codes of samples.
func samples() []Entry {
	return []Entry{
		{
			"sample/unknown-key", "Unknown sample key",
			"A sample has a key that is not in the catalogue.",
			"Agent and appliance may be of different versions; boot the host again.", core.Warning,
		},
		{
			"sample/wrong-unit", "Wrong unit",
			"A sample has another unit than its key.",
			"Agent and appliance may be of different versions; boot the host again.", core.Warning,
		},
		{
			"sample/bad", "Sample makes no sense",
			"A sample has a field outside its limits.",
			"Agent and appliance may be of different versions; boot the host again.", core.Warning,
		},
		{
			"sample/bad-key", "Not a key",
			"The key or pattern asked for cannot be read.",
			"Write it like disk/*/temperature_celsius.", core.Warning,
		},
		{
			"sample/bad-step", "Not a step",
			"The step is a number of seconds, 1 or more.",
			"Ask with step=10, for example.", core.Warning,
		},
		{
			"sample/too-many", "Too many buckets",
			"The answer would be larger than the console can draw.",
			"Ask for fewer keys, a shorter time or a longer step.", core.Warning,
		},
	}
}
