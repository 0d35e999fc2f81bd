package problem

import "vetting/core"

// Codes of what the platform tells of itself.
const (
	SpecLinkWidth    = "spec/pcie-width"
	SpecLinkSpeed    = "spec/pcie-speed"
	SpecNodesUnequal = "spec/numa-unequal"
	SpecECCUnseen    = "spec/ecc-unseen"
	SpecClock        = "spec/clock"
	SpecDiskHidden   = "spec/disk-hidden"
	DIMMDisabled     = "inventory/dimm-disabled"
)

// platforms lists the codes of what the platform tells of itself.
func platforms() []Entry {
	return []Entry{
		{
			SpecLinkWidth, "A card has fewer lanes than it could have", "A bad contact, a bent pin or a damaged riser takes lanes away; the card runs on, slower.",
			"Reseat the card in {part} and clean its contacts; then try another slot, then another card.", core.Critical,
		},
		{
			SpecLinkSpeed, "A card's link is slower than it could be", "Both ends of the link can do more than they agreed on.",
			"Reseat the card in {part}, look at the riser and at the link speed in the machine's setup.", core.Critical,
		},
		{
			SpecNodesUnequal, "NUMA nodes have unequal memory", "A module was left out at boot, or the sockets are filled unequally.",
			"Compare the modules of the sockets; reseat those of {part}.", core.Warning,
		},
		{
			SpecECCUnseen, "Nobody would hear of a memory error", "The memory corrects errors, but neither the kernel nor a BMC counts them.",
			"Look for ECC reporting in the machine's setup; without it the Memory stage sees only what ECC cannot correct.", core.Warning,
		},
		{
			SpecClock, "The machine's clock has lost its time", "The cell that keeps the clock and the setup while the machine is unplugged is empty.",
			"Replace the coin cell on the board and look through the machine's setup.", core.Warning,
		},
		{
			SpecDiskHidden, "A disk hides a part of itself", "A host protected area makes the disk look smaller than it is; somebody's data or tools may be in it.",
			"Remove the hidden area of {part} (hdparm -N), or find out who put it there.", core.Critical,
		},
		{
			DIMMDisabled, "A memory module is there but switched off", "The firmware read the module's label and then left it out: it failed the firmware's own test, or does not fit.",
			"Read the firmware's event log, then reseat or replace the module in {part}.", core.Critical,
		},
	}
}
