package problem

import "vetting/core"

// Codes of the Memory stage.
const (
	MemoryMiscompare   = "memory/miscompare"
	MemoryComparison   = "memory/comparison"
	MemoryBootTestBad  = "memory/boot-test-bad"
	MemoryCoverage     = "memory/coverage"
	MemoryNotBegun     = "memory/not-begun"
	MemoryNotLocked    = "memory/not-locked"
	MemoryGivenBack    = "memory/given-back"
	MemoryPagesMoved   = "memory/pages-moved"
	MemoryPagesUnknown = "memory/pages-unknown"
	MemoryNodeSlow     = "memory/node-slow"
)

// memories lists the codes of the Memory stage. What counters of errors say is in
// ras/, how a test program ends in worker/.
func memories() []Entry {
	return []Entry{
		{
			MemoryMiscompare, "Memory does not give back what was written to it",
			"A word came back with other bits than were written. One is enough: such a machine alters data without anybody noticing.",
			"Replace {part}. Where only a node is named, test its DIMMs one by one.", core.Critical,
		},
		{
			MemoryComparison, "A comparison of memory went wrong although the memory was right",
			"What was read is what was written, and yet the processor said that they differ.",
			"Run CPUStress; replace the CPU if the fault stays with {part}.", core.Critical,
		},
		{
			MemoryBootTestBad, "The kernel found bad memory when it booted",
			"Its own test (memtest=), which reaches memory that no program can, took pages out of use.",
			"Replace {part}. Where only the memory is named, test its DIMMs one by one.", core.Critical,
		},
		{
			MemoryCoverage, "Too little of the memory was tested",
			"What was not tested is not vouched for; the evidence says what is missing and why.",
			"Look at the evidence and the log, then retry the stage.", core.Critical,
		},
		{
			MemoryNotBegun, "The test of the memory could not begin",
			"The system does not say what memory and which CPUs there are; the hardware is not judged.",
			"Look at the evidence, then retry the stage.", core.Critical,
		},
		{
			MemoryNotLocked, "Some of the tested memory was not locked",
			"The kernel did not let the test lock it: it was tested, but might have been moved to swap meanwhile.",
			"Run the test as root, with no limit on locked memory.", core.Warning,
		},
		{
			MemoryGivenBack, "Some of the memory was given back during the test",
			"The machine ran short of memory and the test let go of some, which was not tested to the end.",
			"Retry the stage; if it comes back, look in the log for what took the memory.", core.Warning,
		},
		{
			MemoryPagesMoved, "The kernel moved some of the tested memory",
			"Its content went to other pages during the test, so that neither counts as tested.",
			"Nothing to do.", core.Info,
		},
		{
			MemoryPagesUnknown, "Physical addresses are not known",
			"The kernel does not show them to this process: what was tested is told by size, and a bad cell cannot be placed.",
			"Run the test as root.", core.Warning,
		},
		{
			MemoryNodeSlow, "A NUMA node's memory is slower than that of another",
			"Nodes that are alike move as much data in a second. A DIMM that is missing, slow or in the wrong slot halves what a channel gives.",
			"Compare the DIMMs of {part} with those of the other nodes, slot by slot.", core.Warning,
		},
		{
			"memory/off-class", "The memory is faster or slower than that of its class",
			"Hosts of one model move as much data in a second. A DIMM that is missing, slow or in the wrong slot shows here and nowhere else.",
			"Compare the DIMMs with those of another host of the class, slot by slot, and the BIOS settings of the memory.", core.Warning,
		},
	}
}
