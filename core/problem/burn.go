package problem

import "vetting/core"

// burns lists the codes of the Burn stage.
func burns() []Entry {
	return []Entry{
		{
			"burn/not-burned", "A part did not take part",
			"It was to work beside all others and did nothing; it is not judged.",
			"Look at the evidence and the log, then retry the stage.", core.Critical,
		},
		{
			"burn/disk-read-error", "A disk failed to read under load",
			"It could not give back what it holds while everything else was at work.", nextDisk, core.Critical,
		},
		{
			"burn/disk-miscompare", "A disk gave other data the second time",
			"Nobody writes to it: cable, controller, the drive's memory, or the machine's own, alters data unnoticed.",
			"Replace the cable, then the controller, then {part}; run Memory again.", core.Critical,
		},
		{
			"burn/disk-slow", "A read took far too long",
			"The drive retries, is reset, or waits for its link.", nextDisk, core.Warning,
		},
		{
			"burn/network-miscompare", "Frames were damaged on the network",
			"What came was not what was sent, and no checksum of the network noticed: card, its offloading, or the machine's memory.",
			"Replace the network card of {part}; if it stays, run Memory again.", core.Critical,
		},
		{
			"burn/network-silent", "The network did not take part",
			"Most exchanges of frames with the appliance did not come to their end.",
			"Look at the evidence; if the appliance was busy or away, retry the stage.", core.Warning,
		},
		{
			"burn/standstill", "The machine stood still for half a minute",
			"No program got a CPU: firmware, a lock-up, or a device that holds up the whole machine.",
			"Look into the BMC's event log; update the BIOS; if it comes back, replace the board.", core.Critical,
		},
		{
			"burn/clock-drift", "The machine's clock goes wrong under load",
			"It gains or loses more than two seconds an hour against the appliance.",
			"Update the BIOS; if it stays, replace the board.", core.Warning,
		},
		{
			"burn/no-plateau", "The machine got warmer and warmer",
			"At the end of the steady load the temperature still rose: the cooling does not carry the heat away.", nextCooling, core.Warning,
		},
	}
}
