package problem

import "vetting/core"

// Codes of the GPU stage.
const (
	GPUMissing           = "gpu/missing"
	GPUGone              = "gpu/gone"
	GPULinkWidth         = "gpu/link-width"
	GPULinkSpeed         = "gpu/link-speed"
	GPUNoRoom            = "gpu/no-address-space"
	GPUUncorrected       = "gpu/ecc-uncorrected"
	GPUCorrected         = "gpu/ecc-corrected"
	GPURowRemap          = "gpu/row-remap"
	GPURetired           = "gpu/retired-pages"
	GPUBadPages          = "gpu/bad-pages"
	GPUReplays           = "gpu/link-replays"
	GPUReset             = "gpu/reset-required"
	GPUSlowdown          = "gpu/slowdown"
	GPUHot               = "gpu/hot"
	GPUIdle              = "gpu/not-stressed"
	GPUDiagnostic        = "gpu/diagnostic"
	GPUDiagnosticWarning = "gpu/diagnostic-warning"
	GPUTool              = "gpu/tool-failed"
	GPUComplaint         = "gpu/tool-complains"
	GPUNoCompute         = "gpu/compute-not-tested"
)

func gpus() []Entry {
	return append(gpuHardware(), gpuWork()...)
}

// gpuHardware is what is seen without any load.
func gpuHardware() []Entry {
	return []Entry{
		{
			GPUMissing, "A GPU is missing", "Fewer GPUs answer on the PCI bus than the host must have.",
			"Reseat the card and its power cables; look whether its slot is switched off in the BIOS setup; then replace it.", core.Critical,
		},
		{
			GPUGone, "A GPU does not answer any more", "Its registers read all ones, or its driver has lost it: it has fallen off the bus.",
			"Look at the kernel's log for an Xid. Reseat {part} and check its power and cooling, then replace it.", core.Critical,
		},
		{
			GPULinkWidth, "A GPU has fewer lanes than it could have", "A link between it and the CPU is narrower than both of its ends: a bad contact, a bent pin or a damaged riser.",
			"Reseat {part} and its riser, look for dirt and bent pins, then swap the riser or the card.", core.Critical,
		},
		{
			GPULinkSpeed, "The link of a GPU is slow under load", "It does not reach the speed that GPU and slot can do together.",
			"Look for a speed limit of the slot in the BIOS setup; reseat {part} and its riser.", core.Warning,
		},
		{
			GPUNoRoom, "The firmware gave a GPU no addresses", "A memory region (BAR) of the GPU has no place in the address space, so that no driver can use it.",
			"Switch \"Above 4G Decoding\" on in the BIOS setup, and update the BIOS.", core.Warning,
		},
		{
			GPUUncorrected, "A GPU has lost data in its memory", "Its ECC met errors that it could not correct.",
			"Replace {part}. A count that does not grow may stem from an earlier life; its maker's tools can say more.", core.Critical,
		},
		{
			GPUCorrected, "A GPU corrects errors in its memory", "Its ECC corrected errors during the stage.",
			"Run the stage again, longer; replace {part} when they go on.", core.Warning,
		},
		{
			GPURowRemap, "A GPU has bad rows in its memory", "A row waits to be replaced, cannot be replaced, or its SRAM has had too many errors.",
			"Power the host off and on and run the stage again; replace {part} when it comes back or rows cannot be replaced.", core.Critical,
		},
		{
			GPURetired, "A GPU has retired pages of its memory", "Pages wait to be taken out of use, or many were.",
			"Power the host off and on and run the stage again; replace {part} when pages go on being retired.", core.Critical,
		},
		{
			GPUBadPages, "A GPU has bad pages in its memory", "Its driver keeps pages out of use in which errors could not be corrected.",
			"Replace {part} when there are new ones; watch it when there are not.", core.Critical,
		},
		{
			GPUReplays, "Packets on the link of a GPU were sent again", "The link works and is disturbed.",
			"Reseat {part} and its riser; run the stage again.", core.Warning,
		},
		{
			GPUReset, "A GPU must be reset", "Its driver says that it is in a state in which it cannot be relied upon.",
			"Power the host off and on and run the stage again; replace {part} when it comes back.", core.Critical,
		},
	}
}

// gpuWork is what is seen while GPUs work, or keeps them from it.
func gpuWork() []Entry {
	return []Entry{
		{
			GPUSlowdown, "A GPU is slowed down by its own hardware", "Heat, or the power that the system gives it, makes it run slower than it should.",
			"Look at fans, dust and the airflow, and at its power cables; then replace {part}.", core.Critical,
		},
		{
			GPUHot, "A GPU is nearly too hot", "Under load it comes close to the temperature at which it slows down.",
			"Look at fans, dust and the airflow.", core.Warning,
		},
		{
			GPUIdle, "A GPU was not under full load", "It drew less power than its limit allows, so that heat and power were not tested.",
			"Look whether its power limit or the system holds it back; run a level of the diagnostic that loads it.", core.Warning,
		},
		{
			GPUDiagnostic, "A GPU fails its maker's diagnostic", "A test of DCGM found it broken.",
			"Look at the evidence and the file dcgm-diag.json of the run; replace {part} when the test fails again.", core.Critical,
		},
		{
			GPUDiagnosticWarning, "DCGM warns about a GPU", "A test of its diagnostic warns, or does not like how the software is set up. The hardware is not at fault by that.",
			"Look at the evidence and the file dcgm-diag.json of the run.", core.Warning,
		},
		{
			GPUTool, "A tool for GPUs does not work", "An overlay brings it, and it cannot be run, does not know the GPU or writes what cannot be read. The hardware is not judged.",
			"Look at the evidence and the log: the modules of the overlay must be made for the kernel of the boot image; see docs/overlays.md.", core.Critical,
		},
		{
			GPUComplaint, "A tool for GPUs complains", "It tells all that it is asked, and ends with a status that is not 0: an infoROM that is corrupted does so (14).",
			"Look at the evidence. A corrupted infoROM does not keep {part} from working; its maker replaces it under warranty.", core.Warning,
		},
		{
			GPUNoCompute, "Compute of a GPU was not tested", "The profile or the spec asks for it (gpu.require_compute), and nothing had the GPU compute.",
			"Give the run an overlay with the tools of the GPU's maker (docs/overlays.md), or do not ask for it.", core.Critical,
		},
	}
}
