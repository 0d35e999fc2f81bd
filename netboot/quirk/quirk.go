// Package quirk is the list of what boot programs and firmware get wrong, or do in a way
// of their own, with what we do about each. It imports nothing: the code that does it is
// where it belongs, and each entry has a test there that is named after its ID.
package quirk

// Quirk is an entry of the list.
type Quirk struct {
	ID      string // "Q1": a test TestQuirkQ1… holds what Ours says
	Who     string // machine, firmware, program
	Symptom string
	Ours    string // what we do
	Source  string // where it is told of; "measured": seen on the wire, the recording is in testdata
}

// All returns the list, in the order of the IDs.
func All() []Quirk {
	return append(firmware(), surroundings()...)
}

// firmware are quirks of what runs on the machine before our first program.
func firmware() []Quirk {
	return []Quirk{
		{"Q1", "old ROMs: ThinkPad T460, Kontron, Jetway, Z77X", "ask TFTP for `name\\xff`: they read option 67 on to a NUL", "67 ends in NUL; TFTP strips what cannot be printed", "netboot.xyz #1198, bootimus PR #117"},
		{"Q2", "U-Boot, old BIOS ROMs; others the other way round", "read the header's `file` only, or option 67 only", "the name in the header, and as 67 for who asks for it", "siderolabs/booter PR #12"},
		{"Q3", "EDK2", "option 60 without 43: one REQUEST more, to port 4011, PXE-E16 without an answer", "no option 60 to UEFI; port 4011 answers all the same", "edk2 #8149, measured"},
		{"Q4", "EDK2 before April 2017: Dell T430, T130", "drops a proxy's offer that has discovery control", "the first offer has none; only who never asks port 4011 gets it", "edk2 #6944"},
		{"Q5", "HP laptops, X11SSE-F, DL380 G9", "never merge a proxy's offer with an address", "the diagnosis says so and names the mode dhcp", "bootimus #77, #51; netboot #43"},
		{"Q6", "EDK2, all", "collects offers for 4 s before it goes on", "counted in; no diagnosis before", "measured"},
		{"Q7", "EDK2, Intel UNDI", "RRQ for the size, ERROR 8, then RRQ again", "a size probe, no failure; only options that were asked are answered", "measured; maas #1437353, node-tftp PR #14"},
		{"Q8", "VLAN tags, tunnels, QEMU's UEFI of old", "blocks of 1468 bytes never arrive", "the next transfer is made with 1408, 1024, 512; four bytes less for each VLAN tag", "crowbar PR #1078"},
		{"Q9", "EDK2 with windows", "answers every doubled ACK: 112,498 packets instead of 3,194", "a repeated ACK is answered once in a window, then by the clock only", "measured"},
		{"Q10", "clients without blksize", "the number of a block rolls over at 32 MiB", "it rolls to 0; who names no block size is refused such a file", "RFC 1350, measured"},
		{"Q11", "firmware that writes `\\`, `//`, a drive, options in capitals", "\"file not found\"", "names are cleaned, option names compared without case and echoed as sent", "tftpd-hpa, dnsmasq"},
		{"Q12", "shim, GRUB", "look for revocations and modules of their own", "\"file not found\" at once", "measured"},
		{"Q13", "GRUB", "takes the same TCP ports at every boot and never closes: the second boot times out", "a machine's old connections are ended when its firmware or boot program asks for an address", "measured"},
		{"Q14", "UEFI HTTP boot before 2022", "breaks when the connection closes after HEAD or 404", "it never closes; no redirects either", "edk2 #9920, smee #229"},
		{"Q15", "iPXE after UEFI HTTP boot", "cannot resolve names", "all URLs have our address in figures", "ipxe #1316"},
		{"Q16", "EFI iPXE, every one", "looks for `autoexec.ipxe`; a left-over image gets into the initrd", "there is one that only asks DHCP; boot scripts begin with `imgfree`", "measured; FOG PR #1190"},
		{"Q17", "iPXE with the driver of some cards: Supermicro AS-3015MR, E810, CX-6 Lx", "freezes at \"initialising devices\"", "UEFI machines get the program that uses the firmware's driver; the diagnosis tells a freeze", "ipxe #1479, #937; ipxedust #208"},
		{"Q18", "iPXE with Intel's driver", "leaves the card's frame size low: no jumbo frames in the system", "likewise: the firmware's driver by default", "metal-stack pixie 635e5f9"},
		{"Q19", "PowerEdge, ThinkSystem", "`exit` drops into the set-up menu", "every script ends `exit 1`, or `sanboot` on BIOS", "netboot.xyz #1276, tinkerbell PR #984"},
		{"Q20", "EFI iPXE", "`sanboot --drive` is of BIOS machines only", "behind a question for the platform; without a drive of BIOS on UEFI, and only once firmware did not go home otherwise", "ipxe #447, #1334"},
		{"Q24", "Raspberry Pi", "calls itself a BIOS PC and looks for files of its own", "\"file not found\" at once", "smee dhcp.go"},
		{"Q25", "ROMs with option 97 missing, short or filled with a placeholder", "ignored by other servers", "accepted; placeholders are no identity", "pixiecore #21"},
		{"Q26", "clients with ciaddr in DISCOVER", "an address of an earlier life", "ignored there, and beside option 50", "dnsmasq"},
		{"Q27", "Microsoft's clients", "end their host name in NUL and want texts back so", "accepted; the text that we send, 67, ends so", "dnsmasq"},
		{"Q28", "UEFI PXE", "its menu code is broken", "no menus, ever", "dnsmasq"},
		{"Q31", "ASUS KNPA-U16, HP 745 G3", "bugs of UNDI that older iPXE stumbles over", "iPXE of Debian 13 in the image, undionly.kpxe and ipxe.pxe both served", "ipxe 0c482060d, 276d7c31c"},
	}
}

// surroundings are quirks of switches, networks, other servers and what else stands around.
func surroundings() []Quirk {
	return []Quirk{
		{"Q21", "switch ports in a bond (LACP)", "suspended until LACP speaks", "scripts try again; the diagnosis names it", "ipxe #157, SONiC #1305"},
		{"Q22", "switches with spanning tree", "the link is up, and nothing passes for 30 s, at every start of a driver", "scripts try again; our own search for servers is repeated after 31 s", "ipxe #1337, MAAS KB"},
		{"Q23", "iPXE beside a proxy", "takes the plain offer first and has no file name", "our script asks DHCP again until it knows where to go", "pixiecore README"},
		{"Q29", "other boot servers", "refuse a stranger at the script only: the boot program is served", "one decision, asked at every step", "tinkerbell #223"},
		{"Q30", "clients without an address; servers with several cards", "answers to 0.0.0.0 or out of the wrong card are lost", "255.255.255.255, from a socket bound to the card", "PyPXE PR #190"},
		{"Q32", "UEFI boot orders", "changed by installers; efibootmgr ignored on Supermicro X10, X11", "one boot from the network is asked of the BMC", "efibootmgr #19, maas #1642298"},
		{"Q33", "installed systems started by a network GRUB", "fail where \\EFI\\BOOT\\grubx64.efi is missing", "the machine goes back to its firmware; only where that has failed is its disk started, the installed system's own program first", "maas #1853906"},
		{"Q34", "BMCs", "forget a boot device after 60 s, or the kind of boot", "set before power, and the kind kept", "racker PR #36, bmclib PR #209"},
		{"Q35", "switches with DHCP snooping", "drop our offers", "the diagnosis of a machine that takes none names it", "MAAS discourse 14975"},
		{"Q36", "boot servers behind address translation", "the DISCOVER comes through and TFTP times out: its transfer leaves from another address", "transfers leave from the address that was asked; `vetting doctor` fetches our own files to see that", "smee #504"},
	}
}
