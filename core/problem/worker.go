package problem

import "vetting/core"

// workers lists the ends of the processes that run the tests.
func workers() []Entry {
	return []Entry{
		{
			"worker/canary-missed", "The test does not find a planted fault",
			"Before it counts, each test must find a fault that it planted itself. This one did not, so that its pass would mean nothing.",
			"Retry the stage; if it comes back, the CPU that compares is suspect: look at the part named and at the log.", core.Critical,
		},
		{
			"worker/memory-poisoned", "The machine lost the content of memory under test",
			"The hardware reported an uncorrectable memory error on a page that the test was using.",
			"Replace the DIMM named by the error counters; without one, swap DIMMs and see which the error follows.", core.Critical,
		},
		{
			"worker/control-flow", "A test jumped astray",
			"The process met an illegal instruction or an address that no program of ours uses: the CPU, its cache or the memory of the program is at fault.",
			"Run CPUStress and Memory again; replace the CPU if the fault stays with {part}.", core.Critical,
		},
		{
			"worker/hung", "A test does not move any more",
			"The process or one of its threads stood still although nothing keeps it: a core that stalls looks like this.",
			"Run the stage again; replace the CPU if the fault stays with {part}.", core.Critical,
		},
		{
			"worker/out-of-memory", "The kernel killed the test for lack of memory",
			"Something else took the memory that the test was to have; the hardware is not judged.",
			"Retry the stage. If it comes back, report it with the run's log.", core.Critical,
		},
		{
			"worker/killed", "Something killed the test",
			"Neither the agent nor the kernel did it: somebody on the machine has. The hardware is not judged.",
			"Retry the stage, and leave the machine alone meanwhile.", core.Critical,
		},
		{
			"worker/broken", "The test could not be done",
			"The process says why in the evidence; the hardware is not judged.",
			"Look at the evidence, then retry the stage.", core.Critical,
		},
		{
			"worker/crashed", "The test program crashed",
			"It ended by a fault of its own; the hardware is not judged.",
			"Retry the stage; if it comes back, report it with the run's log.", core.Critical,
		},
		{
			"worker/protocol-violation", "The test program did not keep to the rules",
			"It said something that makes no sense to the agent, or left out the proof that it finds faults; the hardware is not judged.",
			"Retry the stage; if it comes back, report it with the run's log.", core.Critical,
		},
		{
			"worker/not-started", "The test program could not be started",
			"The kernel refused a new process; the hardware is not judged.",
			"Look at the evidence, then retry the stage.", core.Critical,
		},
	}
}
