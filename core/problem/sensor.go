package problem

import (
	"slices"

	"vetting/core"
)

const nextCooling = "Check heatsink, thermal paste, fans and air flow."

// sensors lists what thermometers, fans and meters give away.
func sensors() []Entry { return slices.Concat(sensorLimits(), sensorDoubts()) }

// sensorLimits lists parts beyond their limits, and fans that do not cool them.
func sensorLimits() []Entry {
	return []Entry{
		{
			"sensor/emergency-stop", "The test was stopped before a part took harm",
			"A sensor stood at or over its critical limit for ten seconds: the load was taken away.", nextCooling, core.Critical,
		},
		{
			"sensor/over-limit", "A part is over its critical temperature",
			"Its own sensor tells the limit.", nextCooling, core.Critical,
		},
		{
			"sensor/over-max", "A part was hotter than it should be",
			"It stayed over the upper limit that its own sensor tells.", nextCooling, core.Warning,
		},
		{
			"sensor/near-limit", "A CPU is close to its critical temperature",
			"It was within three degrees for a minute: a warm day is enough to slow it down.", nextCooling, core.Warning,
		},
		{
			"sensor/dimm-hot", "A DIMM is too hot",
			"Above 85 °C memory must be refreshed twice as often, and above 95 °C it loses data.", "Check the air flow over the DIMMs and their blanks.", core.Warning,
		},
		{
			"sensor/board-hot", "A chip or regulator on the board is too hot",
			"Above 105 °C voltage regulators and chipsets age fast or shut down.", nextCooling, core.Critical,
		},
		{
			"sensor/throttled", "The CPUs slowed themselves down on account of heat",
			"They do less work than they are sold for.", nextCooling, core.Warning,
		},
		{
			"sensor/fan-stopped", "A fan stands still",
			"It turned before.", "Replace {part}.", core.Critical,
		},
		{
			"sensor/fan-still", "A fan does not turn",
			"It has stood still since the stage began, with all CPUs at work, although the board names it or has a limit for it. A connector that nothing is plugged into looks the same.",
			"Look whether {part} is plugged in and turns; replace it if it does not.", core.Warning,
		},
		{
			"sensor/fans-do-not-answer", "The fans do not answer to heat",
			"The CPUs got warm and no fan turned faster: they may run at a fixed speed, or nobody controls them.",
			"Look at the fan settings of BIOS and BMC.", core.Info,
		},
	}
}

// sensorDoubts lists what makes one doubt a sensor, or one part beside its like.
func sensorDoubts() []Entry {
	return []Entry{
		{
			"sensor/stuck", "A sensor stands still",
			"It says the same for half an hour although the load changed: what it guards is not guarded.",
			"Update the firmware of BMC and BIOS; replace the part if it stays.", core.Warning,
		},
		{
			"sensor/vanished", "A sensor is gone",
			"It answered before, and the kernel does not list it any more. Where nobody else tells how hot a CPU or DIMM at work is, the stage is an error: it could not have been stopped in time.",
			"Reseat the part that it sits on and retry the stage; replace the part if it happens again.", core.Warning,
		},
		{
			"sensor/no-number", "A sensor gives no number",
			"It answers with an error, or with what no sensor can say. Where it did better before and nobody else tells how hot a CPU or DIMM at work is, the stage is an error: it could not have been stopped in time.",
			"Retry the stage; if it comes back, update the firmware of BIOS and BMC, then reseat or replace {part}.", core.Warning,
		},
		{
			"sensor/stale", "A sensor does not answer in time",
			"Whoever reads it waits: the part that it sits on, or the bus to it, hangs. Its last value counts no more.",
			"Look at the kernel's log for {part}; reseat it and its cable, then replace it.", core.Warning,
		},
		{
			"sensor/socket-hotter", "One CPU is much hotter than the other",
			"More than 15 degrees apart at the same load: paste, heatsink, fan or duct.", "Remount the heatsink of {part} with new paste, and check its fan and duct.", core.Warning,
		},
		{
			"sensor/core-hotter", "One core is much hotter than the others",
			"More than 15 degrees above its socket's at the same load: paste or heatsink do not cover it.",
			"Remount the heatsink with new paste; replace the CPU if it stays.", core.Warning,
		},
		{
			"sensor/no-cool-down", "The CPUs do not cool down after work",
			"Five minutes later they are still ten degrees warmer than before.", nextCooling, core.Warning,
		},
		{
			"sensor/no-cpu-temperature", "Nobody tells how hot the CPU is",
			"The test cannot be stopped before the CPU takes harm, and its cooling was not judged.",
			"Update the BIOS; report the CPU's model, so that its driver can be added.", core.Warning,
		},
	}
}
