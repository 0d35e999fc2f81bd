package problem

import (
	"slices"

	"vetting/core"
)

// cpus lists the codes of the CPUStress stage.
func cpus() []Entry { return slices.Concat(cpuResults(), cpuSpeeds()) }

// cpuResults lists what is wrong with what CPUs compute, and what was not computed.
func cpuResults() []Entry {
	return []Entry{
		{
			"cpustress/miscompare", "A CPU computed a wrong result",
			"The same work gives the same bits on every sound CPU. This one gave others; software that runs on it will be wrong without noticing.",
			"Load the BIOS defaults, without overclocking, and run the stage again; replace {part} if it comes back.", core.Critical,
		},
		{
			"cpustress/disputed", "All CPUs contradict a known answer alike",
			"Not all of them can be broken in the same way: the test's own table or program is at fault, and the kernel it concerns was not judged.",
			"Report it with the run's log; the hardware is not judged.", core.Critical,
		},
		{
			"cpustress/exchange", "CPUs do not see each other's writes as they must",
			"A cache line, a lock or an order of writes was broken on its way from one core to another: caches or the link between sockets are at fault.",
			"Load the BIOS defaults and run the stage again; replace {part}, and with two sockets look at the link between them.", core.Critical,
		},
		{
			"cpustress/clock-backwards", "The time stamp counters of two CPUs disagree",
			"Time went backwards from one core to another: what the kernel and programs measure by it is wrong.",
			"Update the BIOS; replace {part} if it stays. On a virtual host it is the hypervisor's doing.", core.Critical,
		},
		{
			"cpustress/offline", "A logical CPU is switched off",
			"The machine has it and the kernel does not use it, or stopped to in the midst of the test: it was not tested to the end.",
			"Look in the BIOS and the kernel's log for why it is off, or who switched it off; replace {part} if it does not come up.", core.Critical,
		},
		{
			"cpustress/not-exercised", "A CPU was not tested to the end",
			"Its worker ended before its time, or work it was to do could not be done.",
			"See the finding about its worker, and retry the stage.", core.Critical,
		},
	}
}

// cpuSpeeds lists what is said about how fast CPUs are, and what they say of themselves.
func cpuSpeeds() []Entry {
	return []Entry{
		{
			"cpustress/below-base-clock", "A CPU does not hold its base frequency",
			"Under the power and heat it is made for it must run at its base frequency or above.",
			"Check heatsink, fans, thermal paste and the BIOS power limits of {part}.", core.Critical,
		},
		{
			"cpustress/core-slow", "A core is slower than its equals",
			"Cores of one kind in one socket do the same work in the same time; one that does not throttles or retries.",
			"Check heatsink and thermal paste of {part}; replace it if the core stays slow.", core.Warning,
		},
		{
			"cpustress/not-fully-stressed", "The CPUs were not proven to be under full load",
			"Neither the power drawn nor the instructions per cycle show it: the results were compared, the heat was perhaps not reached.",
			"Check the power limits in the BIOS; judge cooling by the temperatures of this run.", core.Warning,
		},
		{
			"cpustress/field-scan-failed", "A core failed the CPU's own scan",
			"Intel In-Field Scan tests the core's logic from inside, with patterns made by the vendor.",
			"Replace {part}.", core.Critical,
		},
		{
			"cpustress/field-scan-untested", "The CPU's own scan was not done",
			"The CPU has Intel In-Field Scan and gave no result: there are no scan images, or it refused.",
			"Put the vendor's images for this CPU into an overlay of the boot image, if the scan is wanted.", core.Info,
		},
		{
			"cpustress/off-class", "The CPUs are not as fast as those of this host's class",
			"Machines of one model do the same work in the same time: one that is slower is cooled, configured or built differently.",
			"Compare BIOS settings, power limits and cooling with a host of the class.", core.Warning,
		},
		{
			"cpustress/virtual", "Speeds were not judged: this is a virtual host",
			"How fast a virtual CPU is says nothing about the hardware.",
			"Nothing to do.", core.Info,
		},
	}
}
