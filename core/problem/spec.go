package problem

import "vetting/core"

// Codes of the SpecValidate stage.
const (
	SpecInvalid         = "spec/invalid"
	SpecNotReported     = "spec/not-reported"
	SpecNoInventory     = "spec/no-inventory"
	SpecSystem          = "spec/system"
	SpecFirmware        = "spec/firmware"
	SpecBootMode        = "spec/boot-mode"
	SpecCPU             = "spec/cpu"
	SpecCPUMissing      = "spec/cpu-missing"
	SpecCPUOffline      = "spec/cpu-offline"
	SpecSMTOff          = "spec/smt-off"
	SpecMemoryTotal     = "spec/memory-total"
	SpecMemoryUsable    = "spec/memory-usable"
	SpecECC             = "spec/ecc"
	SpecDIMM            = "spec/dimm"
	SpecDIMMMissing     = "spec/dimm-missing"
	SpecDIMMExtra       = "spec/dimm-extra"
	SpecDIMMSize        = "spec/dimm-size"
	SpecDIMMSlow        = "spec/dimm-slow"
	SpecDIMMMixed       = "spec/dimm-mixed"
	SpecDIMMUnequal     = "spec/dimm-unequal"
	SpecDisk            = "spec/disk"
	SpecDiskMissing     = "spec/disk-missing"
	SpecDiskExtra       = "spec/disk-extra"
	SpecDiskSize        = "spec/disk-size"
	SpecDuplicateSerial = "spec/duplicate-serial"
	SpecUSBStorage      = "spec/usb-storage"
	SpecNIC             = "spec/nic"
	SpecNICMissing      = "spec/nic-missing"
	SpecNICExtra        = "spec/nic-extra"
	SpecNICLink         = "spec/nic-link"
	SpecNICSpeed        = "spec/nic-speed"
	SpecNICFEC          = "spec/nic-fec"
	SpecPCIMissing      = "spec/pci-missing"
	SpecPCIExtra        = "spec/pci-extra"
	SpecPSUMissing      = "spec/psu-missing"
)

func specs() []Entry {
	return append(specParts(),
		Entry{
			SpecInvalid, "Expected spec cannot be read", "The spec has a field that means nothing or can never be met.",
			"Correct the field named in the message and save the spec again.", core.Critical,
		},
		Entry{
			SpecNotReported, "Not reported by the platform", "The spec asks for a field that this machine's firmware does not tell, so it was not compared.",
			"Check it by eye, or take the field out of the spec.", core.Warning,
		},
		Entry{
			SpecNoInventory, "No inventory to compare with", "The spec can only be compared with an inventory of this run, and there is none.",
			"Run InventoryCheck again.", core.Critical,
		},
		Entry{
			SpecSystem, "Spec mismatch: another machine than expected", "Manufacturer, model or serial differs from the spec.",
			"Check that the right machine is in this place and that the spec belongs to it.", core.Critical,
		},
		Entry{
			SpecFirmware, "Spec mismatch: firmware version", "A firmware version differs from the spec.",
			"Update the firmware, or record the new version in the spec.", core.Warning,
		},
		Entry{
			SpecBootMode, "Spec mismatch: boot mode", "The machine booted in another mode than the spec asks for.",
			"Set BIOS, UEFI or Secure Boot in the machine's setup as the spec says.", core.Warning,
		},
		Entry{
			SpecUSBStorage, "USB storage attached", "Storage on USB is easily forgotten in a machine and may carry somebody's data.",
			"Pull the stick or disk out, or add it to the spec.", core.Warning,
		},
		Entry{
			SpecDuplicateSerial, "Two disks with one serial", "Two devices tell the same serial: either two paths to one disk, or a wrong label.",
			"Look which of the two is real before writing to either.", core.Warning,
		},
	)
}

func specParts() []Entry {
	all := append(specCPU(), specMemory()...)

	return append(append(all, specDisk()...), specCards()...)
}

func specCPU() []Entry {
	return []Entry{
		{
			SpecCPU, "Spec mismatch: processor", "Model, cores or threads of a processor, or their number, differ from the spec.",
			"Check the processor in {part} against the order.", core.Critical,
		},
		{
			SpecCPUMissing, "Spec mismatch: processor missing", "Fewer processors answer than the spec asks for.",
			"Reseat the processor, look for bent pins, then replace it.", core.Critical,
		},
		{
			SpecCPUOffline, "Logical CPUs are off", "The kernel could not bring all logical CPUs up.",
			"Look for disabled cores in the machine's setup; if none are, replace the processor in {part}.", core.Critical,
		},
		{
			SpecSMTOff, "Hyperthreading is off", "Each core runs one thread though it could run two.",
			"Switch it on in the machine's setup if it should be.", core.Info,
		},
	}
}

func specMemory() []Entry {
	return []Entry{
		{
			SpecMemoryTotal, "Spec mismatch: too little memory", "The modules together hold less than the spec asks for.",
			"See which module is missing or smaller below.", core.Critical,
		},
		{
			SpecMemoryUsable, "Memory is not handed out", "The kernel was given clearly less memory than the modules hold.",
			"Look for mirroring, sparing or a large graphics share in the machine's setup.", core.Warning,
		},
		{
			SpecECC, "Spec mismatch: error correction", "Whether the memory corrects errors differs from the spec.",
			"Check the modules and the ECC setting in the machine's setup.", core.Critical,
		},
		{
			SpecDIMM, "Spec mismatch: memory module", "Kind, maker, part number or serial of a module differs from the spec.",
			"Check the module in {part} against the order.", core.Critical,
		},
		{
			SpecDIMMMissing, "Spec mismatch: memory module missing", "A module that the spec asks for does not answer.",
			"Reseat the module in {part}; if it still does not answer, replace it, then try the slot.", core.Critical,
		},
		{
			SpecDIMMExtra, "Spec mismatch: more memory modules than expected", "A module is there that the spec does not ask for.",
			"Take it out, or record it in the spec.", core.Warning,
		},
		{
			SpecDIMMSize, "Spec mismatch: size of a memory module", "A module is larger or smaller than the spec says.",
			"Replace the module in {part} by one of the right size.", core.Critical,
		},
		{
			SpecDIMMSlow, "Memory module runs below its speed", "Configured speed is below the rating or the spec; population rules or a slow neighbour are the usual cause.",
			"Check the slots against the board's population rules and the speed in the machine's setup.", core.Warning,
		},
		{
			SpecDIMMMixed, "Mixed memory modules", "Modules of different part numbers are mixed, which many boards do not support.",
			"Use modules of one part number.", core.Warning,
		},
		{
			SpecDIMMUnequal, "Memory modules of unequal size", "Channels filled unequally run slower.",
			"Fill all channels alike.", core.Warning,
		},
	}
}

func specDisk() []Entry {
	return []Entry{
		{
			SpecDisk, "Spec mismatch: disk", "Model, serial or kind of a disk differs from the spec.",
			"Check the disk {part} against the order.", core.Critical,
		},
		{
			SpecDiskMissing, "Spec mismatch: disk missing", "A disk that the spec asks for does not answer.",
			"Reseat the disk, then its cable or backplane slot, then replace it.", core.Critical,
		},
		{
			SpecDiskExtra, "Spec mismatch: disk not in the spec", "A disk is there that the spec does not ask for; it may carry somebody's data.",
			"Take it out, or record it in the spec.", core.Warning,
		},
		{
			SpecDiskSize, "Spec mismatch: disk too small", "A disk is smaller than the spec says; a hidden area (HPA, DCO) or an over-provisioned namespace is the usual cause.",
			"Check {part} for a hidden area, then replace it.", core.Critical,
		},
	}
}

func specCards() []Entry {
	return []Entry{
		{
			SpecNIC, "Spec mismatch: network port", "Address, model or driver of a port differs from the spec.",
			"Check the card of {part} against the order.", core.Critical,
		},
		{
			SpecNICMissing, "Spec mismatch: network port missing", "A network port that the spec asks for does not answer.",
			"Reseat the card and look whether it is switched off in the machine's setup.", core.Critical,
		},
		{
			SpecNICExtra, "Spec mismatch: network port not in the spec", "A network port is there that the spec does not ask for.",
			"Take the card out, or record it in the spec.", core.Warning,
		},
		{
			SpecNICLink, "Spec mismatch: network link", "A port has a link where the spec wants none, or none where it wants one.",
			"Check the cable and the switch port of {part}.", core.Critical,
		},
		{
			SpecNICSpeed, "Spec mismatch: network link too slow", "A port came up slower than the spec asks for.",
			"Replace the cable or transceiver of {part}, then look at the switch port.", core.Critical,
		},
		{
			SpecNICFEC, "Spec mismatch: forward error correction", "A port corrects errors in another way than the spec asks for, or not at all.",
			"Set the switch port of {part} to the same mode; replace the transceiver or cable if it does not know it.", core.Critical,
		},
		{
			SpecPSUMissing, "Spec mismatch: power supply missing", "The board's tables tell of fewer power supplies than the spec asks for. They may be out of date; the stage PSU asks the supplies.",
			"See what the stage PSU found; put the missing power supply in, or correct the spec.", core.Warning,
		},
		{
			SpecPCIMissing, "Spec mismatch: card missing", "Fewer PCI functions of a kind answer than the spec asks for.",
			"Reseat the card, then try another slot, then replace it.", core.Critical,
		},
		{
			SpecPCIExtra, "Spec mismatch: more cards than expected", "More PCI functions of a kind answer than the spec asks for.",
			"Take the card out, or record it in the spec.", core.Warning,
		},
	}
}
