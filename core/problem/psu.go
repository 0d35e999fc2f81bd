package problem

import (
	"slices"

	"vetting/core"
)

// Codes of the PSU stage that others ask for.
const (
	PSUUnobservable = "psu/unobservable"
	PSUNotObserved  = "psu/not-observed"
	PSUNotTested    = "psu/not-tested"
	PSUPullMissed   = "psu/pull-missed"
	PSUPullOpen     = "psu/pull-open"
	PSUPullNotDone  = "psu/pull-not-done"
)

const (
	nextSupply = "Replace {part}."
	nextFeed   = "Check the cord of {part}, its outlet and the feed behind it; replace {part} if they are good."
)

// supplies lists what the PSU stage finds.
func supplies() []Entry {
	return slices.Concat(supplyStates(), supplyDoubts(), supplyGaps(), supplyPulls())
}

// supplyStates lists what supplies and the BMC say themselves.
func supplyStates() []Entry {
	return []Entry{
		{
			"psu/failed", "A power supply has failed",
			"The BMC reports its failure; the machine runs on the others.", nextSupply, core.Critical,
		},
		{
			"psu/failure-predicted", "A power supply will fail",
			"It says so itself: fan, temperature or an output is not as it should be.", nextSupply, core.Critical,
		},
		{
			"psu/input-lost", "A power supply has no input",
			"Cord, outlet or feed is dead, or the supply does not see it.", nextFeed, core.Critical,
		},
		{
			"psu/input-out-of-range", "The input of a power supply is out of range",
			"The voltage or frequency that it is fed with is not what it is made for.", nextFeed, core.Critical,
		},
		{
			"psu/configuration", "A power supply does not fit",
			"The BMC reports a configuration error: another vendor, revision, rating or input than the others.",
			"Put in the model that the machine's maker lists, the same in all bays.", core.Critical,
		},
		{
			"psu/vanished", "A power supply is gone",
			"It was there when the stage began, and the BMC does not see it any more.", "Reseat {part}; replace it if it happens again.", core.Critical,
		},
		{
			"psu/missing", "There are fewer power supplies than expected",
			"The expected spec (psus.count), or the profile, class or host (PSU.expect), says how many there must be.", "Put the missing power supply in, or correct the spec or the setting.", core.Critical,
		},
		{
			"psu/redundancy-lost", "The power supplies are not redundant",
			"The BMC says that the machine would not survive the loss of one. With a single power supply in the machine this is a warning.",
			"Look at the other findings about power supplies, and at the redundancy settings of the BMC.", core.Critical,
		},
		{
			"psu/redundancy-degraded", "The redundancy of the power supplies is degraded",
			"The BMC says that fewer supplies stand in for each other than there should be.", "Look at the other findings about power supplies.", core.Warning,
		},
		{
			"psu/on-battery", "The machine runs on its battery",
			"No adapter has power: clocks are lowered, and the battery may be empty before the run ends.", "Plug the adapter in and retry the stage.", core.Warning,
		},
	}
}

// supplyDoubts lists what measurements give away.
func supplyDoubts() []Entry {
	return []Entry{
		{
			"psu/voltage", "A voltage is outside its limits",
			"The sensor tells the limit: beyond the critical one it is critical, beyond the other a warning.",
			"Replace the power supply; if it stays, the board. A battery (VBAT) is replaced alone.", core.Warning,
		},
		{
			"psu/rail", "A rail is more than 5 % off",
			"Its sensor tells no limits; 5 % either way is what the standards for power supplies allow.", "Measure the rail; replace the power supply if it is off.", core.Warning,
		},
		{
			"psu/sag", "A voltage breaks down under load",
			"Idle it is good; with all CPUs at work it is beyond a limit of its sensor, or fell by more than 5 %. Beyond the critical limit, and where an output falls below half of what it was, it is critical.",
			"Replace {part}; if it stays, look at cables and connectors behind it.", core.Warning,
		},
		{
			"psu/load-share", "The power supplies do not share the load",
			"At more than 30 % of what they can give, their shares are more than 20 points apart: one wears out, or the other cannot.",
			"Look whether the BMC is told to keep one in reserve; update the firmware of the supplies, then swap {part}.", core.Warning,
		},
		{
			"psu/inefficient", "A power supply turns too much into heat",
			"At more than 20 % load less than 80 % of what it takes in comes out; the least that is sold for servers has 85 %.", nextSupply, core.Warning,
		},
		{
			"psu/models-differ", "The power supplies are of different models",
			"Supplies of different models may not share the load, nor stand in for each other.", "Put the same model in all bays.", core.Warning,
		},
		{
			"psu/firmware-differs", "Power supplies of one model have different revisions",
			"They may not share the load.", "Update the firmware of the supplies, or put the same revision in all bays.", core.Warning,
		},
		{
			"psu/inlet-hot", "The air that the machine takes in is too warm",
			"Above 40 °C supplies give less than they are rated for, and servers are at the end of what they are made for.",
			"Check the room, the blanks of the rack, and what blows at the front of this machine.", core.Warning,
		},
	}
}

// supplyGaps lists what was not seen or done.
func supplyGaps() []Entry {
	return []Entry{
		{
			PSUUnobservable, "The power supplies could not be observed",
			"Nothing in the machine tells of them: no BMC that has sensors of supplies, no meter. That the machine came through full load and pulses is all that is known.",
			"Look at the lamps of the power supplies. On a server, look whether the BMC's interface to the system (KCS) is on.", core.Info,
		},
		{
			"psu/bay-unobserved", "The BMC tells nothing of a power supply",
			"It has sensors for it that measured nothing all the time: the bay is empty, or nobody watches what is in it.",
			"Look whether there is a supply in {part}; if there is, reseat it.", core.Info,
		},
		{
			"psu/silent", "The BMC stopped telling of a power supply",
			"It told its state first, and then nothing any more.", "Reseat {part} and retry the stage; look into the BMC's event log.", core.Warning,
		},
		{
			PSUNotObserved, "The BMC did not answer about the power supplies",
			"It has sensors of them, or they were expected, and in the end nothing was heard of them: what they did under load is not known.",
			"Restart the BMC and retry the stage.", core.Critical,
		},
		{
			PSUNotTested, "The power supplies were not put under load",
			"The work that was to load them could not be done.", "Look at the evidence and the log, then retry the stage.", core.Critical,
		},
	}
}

// supplyPulls lists what comes of the guided pull test.
func supplyPulls() []Entry {
	return []Entry{
		{
			PSUPullNotDone, "The pull test could not be done",
			"The profile asks for it (PSU.pull_test), and nobody was asked to pull a cord: the machine might not have survived it, or nobody would have seen what came of it.",
			"Mend what the evidence names and retry the stage; for a machine on which it cannot be done, set PSU.pull_test to off.", core.Critical,
		},
		{
			PSUPullMissed, "The cord of a power supply was not pulled",
			"The profile asks for it (PSU.pull_test), and in five minutes that supply, and no other, did not lose its input. Whether the machine survives its loss is not known.",
			"Be at the machine when the stage asks, and retry it; if the right cord was pulled, the BMC does not notice or confuses the supplies.", core.Critical,
		},
		{
			PSUPullOpen, "The cord of a power supply was not put back",
			"Its input did not come back in five minutes.", "Put the cord of {part} back and retry the stage; replace {part} if it does not come back.", core.Critical,
		},
		{
			"psu/pull-other", "Another power supply lost its input than was asked for",
			"The wrong cord was pulled first, or the BMC confuses the supplies.", "Look which cord feeds {part}; if it was the right one, look at how the supplies are numbered.", core.Warning,
		},
	}
}
