package problem

import (
	"slices"

	"vetting/core"
)

// faults lists what a machine reports about itself, whatever stage is under way.
func faults() []Entry {
	return slices.Concat(counters(), kernelLines(), traceEvents(), bmcRecords(), observers())
}

// What to do about parts that several codes are about.
const (
	nextMemory = "Replace {part}. If no DIMM is named, swap DIMMs and see which the error follows."
	nextCPU    = "Run CPUStress again; replace the CPU if the error comes back, the board if it stays with the socket."
	nextPCI    = "Reseat {part} and what is at the other end of its link; replace the card, then the riser or board."
	nextDisk   = "Check the cable and slot of {part}, then replace the disk."
	nextReport = "Retry the stage; if it comes back, report it with the run's log."
)

// counters lists the counters that must not grow during a stage.
func counters() []Entry { return slices.Concat(coreCounters(), linkCounters()) }

// coreCounters lists the counters of memory and CPUs.
func coreCounters() []Entry {
	return []Entry{
		{
			"ras/memory-corrected", "Memory errors were corrected",
			"ECC corrected them, so that no data was lost; on a new machine a single one within a test is no accident.", nextMemory, core.Critical,
		},
		{
			"ras/memory-uncorrected", "Memory errors could not be corrected",
			"ECC found them and could not put them right: data was lost.", nextMemory, core.Critical,
		},
		{
			"ras/memory-repeated", "Memory errors come back at one address",
			"A cell or line of the DIMM is broken; chance does not hit the same place twice.", nextMemory, core.Critical,
		},
		{
			"ras/memory-poisoned", "The kernel gave memory up",
			"It found pages with errors that could not be corrected and uses them no more.", nextMemory, core.Critical,
		},
		{
			"ras/machine-check", "The CPU raised a machine check",
			"The CPU found an error in itself, its caches, its memory or its buses that it could not correct.", nextCPU, core.Critical,
		},
		{
			"ras/threshold-interrupt", "Corrected errors went over the CPU's threshold",
			"The CPU corrected so many errors of one kind that it called the kernel.", nextCPU, core.Critical,
		},
		{
			"ras/deferred-error", "The CPU found poisoned data",
			"An error could not be corrected; the data was marked and not used yet.", nextMemory, core.Critical,
		},
		{
			"ras/thermal-interrupt", "The CPU raised its heat alarm",
			"It crossed its own temperature limit and slowed itself down.", "Check heatsink, thermal paste, fans and air flow.", core.Warning,
		},
	}
}

// linkCounters lists the counters of buses, disks and network ports.
func linkCounters() []Entry {
	return []Entry{
		{
			"ras/pcie-corrected", "A PCI link corrected errors",
			"Packets were damaged and sent again: a connector, riser or slot is not clean.", nextPCI, core.Warning,
		},
		{
			"ras/pcie-uncorrected", "A PCI link had errors it could not correct",
			"Transfers were lost.", nextPCI, core.Critical,
		},
		{
			"ras/pcie-link-width", "A PCI link changed its width during the test",
			"It was trained anew, with other lanes: a contact, a riser or a re-timer is not sound.", nextPCI, core.Critical,
		},
		{
			"ras/sas-link", "A SAS link had errors",
			"The phy counted damaged words or lost its link: cable, backplane or drive.", nextDisk, core.Critical,
		},
		{
			"ras/disk-io-errors", "A disk failed commands",
			"The kernel counted commands that the disk did not carry out, beside the agent's own questions.", nextDisk, core.Warning,
		},
		{
			"ras/nic-errors", "A network port counted damaged frames",
			"Cable, transceiver, switch port or the card itself.", "Replace the cable of {part}, then its transceiver, then the card.", core.Warning,
		},
		{
			"ras/nic-link-changes", "A network link went down during the test",
			"Nobody should have touched it.", "Replace the cable of {part}, then its transceiver, then the card.", core.Warning,
		},
	}
}

// kernelLines lists the classes of the kernel's lines, see agent/ras/class.tsv.
func kernelLines() []Entry {
	return []Entry{
		{"kernel/machine-check", "The kernel reports a machine check", "The CPU found an error in itself, its caches, its memory or its buses.", nextCPU, core.Critical},
		{"kernel/hardware-error", "The firmware reports an error that was not corrected", "The platform itself logged it (APEI, machine check banks).", nextCPU, core.Critical},
		{"kernel/corrected-error", "The firmware reports a corrected error", "Nothing was lost; a new machine has none.", nextCPU, core.Warning},
		{"kernel/edac-uncorrected", "The memory controller reports an error that it could not correct", "Data was lost.", nextMemory, core.Critical},
		{"kernel/edac-corrected", "The memory controller reports a corrected error", "Nothing was lost; a new machine has none.", nextMemory, core.Warning},
		{"kernel/memory-failure", "The kernel takes a page of memory out of use", "It holds an error that could not be corrected.", nextMemory, core.Critical},
		{"kernel/pcie-uncorrected", "A PCI link reports an error that was not corrected", "A transfer was lost.", nextPCI, core.Critical},
		{"kernel/pcie-contained", "A PCI link was shut down", "The port cut off what is below it, on account of an error or since it vanished.", nextPCI, core.Critical},
		{"kernel/pcie-corrected", "A PCI link reports corrected errors", "A connector, riser or slot is not clean.", nextPCI, core.Warning},
		{"kernel/pcie-training", "A PCI link has trouble training", "It came up slower than it could, or only after several tries.", nextPCI, core.Warning},
		{"kernel/pcie-bandwidth", "A PCI device gets less bandwidth than it could use", "The slot or a bridge above it is slower or narrower than the card.", "Move {part} to a wider slot, or reseat it.", core.Warning},
		{"kernel/disk-medium", "A disk cannot read or write its medium", "The drive itself reports it.", "Replace {part}.", core.Critical},
		{"kernel/disk-io", "I/O to a disk failed", "The kernel gave a request up.", nextDisk, core.Critical},
		{"kernel/nvme", "An NVMe drive does not answer as it should", "Commands timed out, or its controller was reset.", "Reseat {part}, check its firmware, then replace it.", core.Critical},
		{"kernel/ata", "A SATA link was reset or lost", "Cable, backplane, power or drive.", nextDisk, core.Critical},
		{"kernel/ata-slower", "A SATA link was slowed down", "It had errors at its full speed.", nextDisk, core.Warning},
		{"kernel/scsi", "A storage controller is in trouble", "It aborts commands or was reset.", "Check the controller's firmware, cables and cooling, then replace it.", core.Critical},
		{
			"kernel/gpu-program", "A program of a GPU broke", "Its driver logged an Xid that stems from what a program did, in most cases.",
			"Look at the program first; when several programs break on {part} and not on others, replace it.", core.Warning,
		},
		{"kernel/gpu", "A GPU reports an error", "Its driver logged an Xid, a time-out or a reset.", "Reseat {part} and check its power and cooling, then replace it.", core.Critical},
		{"kernel/lockup", "A CPU stood still", "It did not answer for seconds: hardware, firmware, or a fault of the kernel.", nextCPU, core.Critical},
		{"kernel/nmi", "The board raised a non-maskable interrupt", "A bus or memory error of which the CPU knows no more.", "Look into the BMC's event log; reseat cards and DIMMs.", core.Critical},
		{"kernel/hung-task", "A program waits for the hardware for minutes", "A device does not complete what it was asked.", "Look at the log for the device; check disks and controllers.", core.Critical},
		{"kernel/panic", "The kernel gave up", "It met a state that it cannot go on from.", nextCPU, core.Critical},
		{"kernel/oops", "The kernel met a fault", "Memory or CPU may have altered what it works with; or it is a fault of its own.", "Run Memory and CPUStress again; if both pass and it comes back, report it with the run's log.", core.Critical},
		{"kernel/out-of-memory", "The kernel killed a program for lack of memory", "A test asked for more than there was; the hardware is not to blame.", nextReport, core.Info},
		{"kernel/throttled", "A CPU slowed itself down on account of heat", "Its cooling is not up to the load.", "Check heatsink, thermal paste, fans and air flow.", core.Warning},
		{"kernel/mce-storm", "A CPU corrects errors all the time", "So many that the kernel stopped listening to each.", nextCPU, core.Warning},
		{"kernel/clock", "The CPU's clock is not steady", "The kernel does not trust the time stamp counter any more.", "Update the BIOS; if it stays, replace the board.", core.Warning},
		{"kernel/nic-down", "A network link went down", "Nobody should have touched it.", "Replace the cable of {part}, then its transceiver, then the card.", core.Warning},
		{"kernel/nic-stuck", "A network port does not send any more", "Its transmit queue timed out.", "Update the card's firmware, then replace the card.", core.Critical},
		{"kernel/firmware-bug", "The kernel finds fault with the firmware", "Tables or settings of the BIOS are not as they should be; usually harmless.", "Update the BIOS.", core.Info},
	}
}

// traceEvents lists what is heard from the kernel's trace events.
func traceEvents() []Entry {
	return []Entry{
		{"trace/memory-error", "The memory controller reports an error", "Told by the kernel's event mc_event or extlog_mem_event.", nextMemory, core.Critical},
		{"trace/memory-failure", "The kernel takes a page of memory out of use", "Told by the kernel's event memory_failure_event.", nextMemory, core.Critical},
		{"trace/machine-check", "The CPU logged a machine check", "Told by the kernel's event mce_record.", nextCPU, core.Critical},
		{"trace/pcie-error", "A PCI device reports an error", "Told by the kernel's event aer_event.", nextPCI, core.Critical},
		{"trace/firmware-record", "The firmware reports an error of its own kind", "Told by the kernel's event non_standard_event.", "Look into the BMC's event log for what it means.", core.Warning},
	}
}

// bmcRecords lists what the BMC's event log says (IPMI 2.0, table 42-3).
func bmcRecords() []Entry {
	return []Entry{
		{"sel/memory-corrected", "The BMC logged corrected memory errors", "On many servers the BMC alone sees them.", nextMemory, core.Critical},
		{"sel/memory-uncorrected", "The BMC logged a memory error that was not corrected", "Data was lost, or the DIMM was switched off.", nextMemory, core.Critical},
		{"sel/processor", "The BMC logged a fault of a CPU", "Internal error, thermal trip, failed self-test or machine check.", nextCPU, core.Critical},
		{"sel/throttled", "The BMC logged that a CPU was slowed down", "Heat or a power limit.", "Check cooling and power supplies.", core.Warning},
		{"sel/bus-corrected", "The BMC logged a corrected bus error", "A connector, riser or slot is not clean.", nextPCI, core.Warning},
		{"sel/bus-error", "The BMC logged a bus error", "PERR, SERR or a fatal error of a bus.", nextPCI, core.Critical},
		{"sel/power-supply", "The BMC logged a fault of a power supply", "Failure, lost input or a wrong model.", "Check the cable and feed of {part}, then replace the power supply.", core.Critical},
		{"sel/drive", "The BMC logged a fault of a drive", "The backplane reports a failed or failing drive.", "Replace the drive.", core.Critical},
		{"sel/temperature", "The BMC logged a temperature above its limit", "A part is too hot.", "Check fans, ducts and air flow.", core.Critical},
		{"sel/voltage", "The BMC logged a voltage outside its limits", "A supply rail is not right.", "Replace the power supply; if it stays, the board.", core.Critical},
		{"sel/fan", "The BMC logged a fan below its limit", "It turns too slowly or not at all.", "Replace the fan.", core.Critical},
		{"sel/firmware-error", "The BMC logged an error of the firmware's self-test", "The BIOS found a fault when the machine was switched on.", "Read the POST code in the BMC's event log.", core.Critical},
	}
}

// observers lists what is said about the watching itself.
func observers() []Entry {
	return []Entry{
		{
			"ras/boot-residue", "Errors from before the test",
			"The machine reported them before the agent began: nobody knows under what circumstances.",
			"Nothing, if the machine passes; else they may tell what happened.", core.Warning,
		},
		{
			"ras/crash-record", "The machine crashed before",
			"The firmware kept a record of a kernel that gave up.",
			"Read the file pstore-… among those of this run.", core.Warning,
		},
		{
			"ras/between-stages", "The machine reported faults while nobody tested",
			"It was held or waiting; somebody may have been at it.",
			"Nothing, if parts were changed; else look at the evidence.", core.Info,
		},
		{
			"ras/ecc-unobservable", "Nobody counts this machine's memory errors",
			"The memory has ECC, but neither the kernel nor a BMC reports what it corrects: a bad DIMM could hide.",
			"Update the BIOS and look for its setting of error reporting; report the CPU's model, so that its driver can be added.", core.Warning,
		},
		{
			"ras/edac-missing", "The kernel does not count this machine's memory errors",
			"The memory has ECC, and no EDAC driver found the memory controller: only the BMC hears of errors, and most tell of them when a DIMM has had many. A few errors within a test would not be seen.",
			"Look into the BMC's event log and at its threshold for corrected errors; look in the BIOS for firmware-first error handling; report the CPU's model, so that its driver can be added.", core.Warning,
		},
		{
			"ras/kernel-log-unheard", "The kernel's log cannot be read",
			"Errors that the kernel alone tells of are missed.",
			"Run the agent as root.", core.Warning,
		},
		{
			"ras/flood", "The kernel said more than could be kept",
			"A fault repeats itself thousands of times; what was kept is in the evidence.",
			"Look at the other findings of this stage.", core.Warning,
		},
	}
}
