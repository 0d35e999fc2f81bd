package problem

import (
	"slices"

	"vetting/core"
)

// What a boot trace says is in the way of a boot (core/bootdoctor).
const (
	DoctorNothingHeard   = "boot/nothing-heard"
	DoctorOwnSystem      = "boot/own-system"
	DoctorOffersUnheard  = "boot/offers-unheard"
	DoctorOtherServer    = "boot/other-server"
	DoctorNoAddress      = "boot/no-address-left"
	DoctorNothingFetched = "boot/nothing-fetched"
	DoctorProbeOnly      = "boot/probe-only"
	DoctorTransferFails  = "boot/transfer-fails"
	DoctorLoaderSilent   = "boot/loader-silent"
	DoctorLoaderRefused  = "boot/loader-refused"
	DoctorLoaderUnheard  = "boot/loader-unheard"
	DoctorNoScript       = "boot/no-script"
	DoctorImageStalled   = "boot/image-stalled"
	DoctorImageFailed    = "boot/image-failed"
	DoctorAgentSilent    = "boot/agent-silent"
	DoctorSeedRefused    = "boot/seed-refused"
	DoctorOrderExhausted = "boot/order-exhausted"
	DoctorOtherProcessor = "boot/other-processor"
)

// Boots returns the causes of boots that come to a standstill, in the order of a boot.
func Boots() []Entry { return doctors() }

// doctors lists the causes of boots that come to a standstill.
func doctors() []Entry {
	return slices.Concat(addressCauses(), loaderCauses(), imageCauses())
}

// addressCauses lists what keeps a machine from an address.
func addressCauses() []Entry {
	return []Entry{
		{
			DoctorNothingHeard, "The machine was switched on, and nothing was heard of it",
			"Not even a question for an address came: it did not start, it does not boot from this port, or the cable leads elsewhere.",
			"Look whether it is on and the lamp of its port is lit; put network boot (PXE, IPv4) of that port first in its boot order; check the cable and the switch port's VLAN.", core.Warning,
		},
		{
			DoctorOwnSystem, "The machine started its own system and did not boot from the network",
			"An operating system asked for an address, and no boot program before it.",
			"Put network boot of this port before the disk in its boot order, or set it for one boot (its boot menu, or its management controller).", core.Warning,
		},
		{
			DoctorOtherProcessor, "The live image does not run on this machine's processor",
			"Its firmware introduces itself with another kind of processor than x86-64. On arm64 a boot program says so on its screen; others are told at once that there is nothing to load. Both go on to their own disk.",
			"Machines of this kind cannot be vetted. Where the processor is x86-64 after all, set its firmware to 64-bit UEFI or to BIOS.", core.Warning,
		},
		{
			DoctorOffersUnheard, "The machine asks for an address again and again and takes none of our offers",
			"It was answered each time. The answers do not reach it, or it does not like them.",
			"Look for DHCP snooping on the switch and trust the appliance's port; look for another DHCP server. In proxy mode some machines take no second offer: use the mode dhcp, or set next-server and file on the other server.", core.Warning,
		},
		{
			DoctorOtherServer, "The machine took the answer of another DHCP server",
			"It got its address and its boot file, or none, from there.",
			"Take the other server off this segment, or run the appliance in proxy mode beside it.", core.Warning,
		},
		{
			DoctorNoAddress, "No address was free for the machine",
			"The pool is used up.", "Enlarge netboot.pool, or delete hosts that are gone.", core.Warning,
		},
	}
}

// loaderCauses lists what keeps it from its boot program, and that from its script.
func loaderCauses() []Entry {
	return []Entry{
		{
			DoctorNothingFetched, "The machine took its address and then fetched nothing",
			"It knows where the boot program is, and did not ask for it.",
			"Look for a firewall that keeps TFTP (UDP 69) or HTTP (80) of the test network away; try the other of UEFI and BIOS mode; look for a proxy DHCP server that answers at port 4011.", core.Warning,
		},
		{
			DoctorProbeOnly, "The firmware asked how large the boot program is, and did not fetch it",
			"It has no room for it, or refuses its size.", "Update the machine's firmware; try the other of UEFI and BIOS mode.", core.Warning,
		},
		{
			DoctorTransferFails, "The boot program does not get through",
			"Its transfer is begun and breaks off, again and again.",
			"Look for packets that are too large on the way (MTU, VLAN tags, tunnels) and for a firewall that lets TFTP's first packet through and no other; try another cable and switch port.", core.Warning,
		},
		{
			DoctorLoaderSilent, "The boot program was sent, and nothing was heard of it",
			"It froze while it started its driver for the card, its port is blocked by spanning tree, or the firmware refused it without a word (Secure Boot).",
			"Boot once more: the next boot program is tried then. Make the switch port an edge port (portfast); update the firmware of the card.", core.Warning,
		},
		{
			DoctorLoaderRefused, "The firmware fetched the boot program and went on to the next entry of its boot order",
			"That is what it does when Secure Boot refuses a program that is not signed, or one whose signer the firmware does not know.",
			"Wait: the signed shim is offered when the firmware asks again. If that was refused, allow Microsoft's third-party UEFI CA in the setup, or switch Secure Boot off for the test.", core.Warning,
		},
		{
			DoctorLoaderUnheard, "The boot program runs and gets no address",
			"It asks again and again, although the firmware had one: the link goes down when the driver starts, and the switch blocks the port for a while (spanning tree), or waits for the other links of a bond (LACP).",
			"Make the switch port an edge port (portfast); let LACP fall back to a single port.", core.Warning,
		},
		{
			DoctorNoScript, "The boot program has an address and does not ask for its script",
			"HTTP does not get through, or its driver sends nothing.",
			"Look for a firewall that keeps HTTP (80) of the test network away; update the firmware of the card.", core.Warning,
		},
	}
}

// imageCauses lists what keeps it from the live image, and that from its run.
func imageCauses() []Entry {
	return []Entry{
		{
			DoctorImageStalled, "The live image is not fetched to its end",
			"The transfer was begun and came to a standstill.",
			"Try another cable and switch port; look for packets that are too large on the way (MTU); update the firmware of the card.", core.Warning,
		},
		{
			DoctorImageFailed, "The boot program could not load the live image",
			"It tried several times.",
			"Look whether the machine has the memory that the image needs (1 GiB); try another cable and switch port.", core.Warning,
		},
		{
			DoctorAgentSilent, "The live image was sent, and its agent was not heard",
			"The kernel did not start, or has no driver for the card.",
			"Look at the machine's screen or serial console. Is nothing shown, name its console in netboot.kernel_args; is there a panic or no network card, report it with what is on the screen.", core.Warning,
		},
		{
			DoctorSeedRefused, "The live image was refused its seed",
			"The seed is for one boot of one machine, ten minutes long.", "Boot the machine once more; look at the evidence if it comes back.", core.Warning,
		},
		{
			DoctorOrderExhausted, "The firmware tried its ways to boot and gave up",
			"It asked by PXE and by HTTP and fetched nothing by either.",
			"Put network boot (PXE, IPv4) first in its boot order; look at its screen: many firmwares wait there for a key.", core.Warning,
		},
	}
}
