package core

import (
	"net/netip"
	"time"
)

// ClientKind says which program on the machine under test is talking.
type ClientKind string

// The kinds of boot client told apart on the wire (DHCP options 60, 77, 93, 175).
const (
	ClientBIOS  ClientKind = "bios"  // PXE ROM, architecture 0
	ClientUEFI  ClientKind = "uefi"  // PXE, architecture 6, 7, 9, 10, 11, …
	ClientHTTP  ClientKind = "http"  // UEFI HTTP boot, 15, 16, 18, 19
	ClientIPXE  ClientKind = "ipxe"  // any iPXE
	ClientAgent ClientKind = "agent" // our agent's own DHCP (vendor class "vetting-agent")
	ClientOther ClientKind = "other" // an operating system
)

// BootClient is who asks, as far as one packet or request tells.
type BootClient struct {
	MAC    MAC        `json:"mac"`
	UUID   string     `json:"uuid,omitempty"` // DHCP option 97 or iPXE ${uuid}
	Kind   ClientKind `json:"kind"`
	Arch   int        `json:"arch"` // DHCP option 93; -1 when absent
	Vendor string     `json:"vendor,omitempty"`
	Addr   netip.Addr `json:"addr,omitzero"`
}

// Processor names the processor that the client says it runs on (IANA's registry of
// processor architecture types, RFC 5970 §3.3) where the live image, which is for x86-64, does
// not start on it; "" where it does, or nothing is told. EFI byte code stands for x86-64.
func (c BootClient) Processor() string {
	switch c.Arch {
	case 2:
		return "Itanium"
	case 6, 15:
		return "32-bit x86 under UEFI"
	case 10, 18, 21, 23:
		return "32-bit ARM"
	case 11, 19, 22, 24, 41:
		return "arm64"
	case 25, 26, 27, 28, 29, 30:
		return "RISC-V"
	case 37, 38, 39, 40:
		return "LoongArch"
	default:
		return ""
	}
}

// BootAction is what a machine may have from us now.
type BootAction string

// The boot actions.
const (
	BootIgnore BootAction = "ignore" // not registered: no answer at all
	BootLocal  BootAction = "local"  // registered, no run waits: quickly to its own disk
	BootVet    BootAction = "vet"    // a run waits: the live image
)

// Loader is a boot program of ours, by what it is rather than by its file. The ones for
// UEFI are a ladder, tried in this order; see core/ladder.
type Loader string

// The boot programs. The empty Loader leaves the choice to the ladder.
const (
	LoaderSNPOnly Loader = "snponly" // iPXE through the firmware's network driver; on BIOS undionly.kpxe
	LoaderIPXE    Loader = "ipxe"    // iPXE with drivers of its own; on BIOS ipxe.pxe
	LoaderUKI     Loader = "uki"     // no iPXE: kernel and image as one program of the firmware's; UEFI only
	LoaderShim    Loader = "shim"    // shim and GRUB, signed: what Secure Boot accepts; UEFI only
)

// Loaders lists the boot programs that can be chosen for a host.
func Loaders() []Loader { return []Loader{LoaderSNPOnly, LoaderIPXE, LoaderUKI, LoaderShim} }

// Home is a way in which a machine is sent to its own disk. Which one its firmware follows
// is known only by trying; see core/wayhome.
type Home string

// The ways home. The empty Home leaves the choice to what is found to work.
const (
	HomeMissing Home = "missing" // its firmware is told of a file that is not there, and goes on
	HomeExit    Home = "exit"    // a boot program of ours starts and gives the machine back to its firmware
	HomeDisk    Home = "disk"    // a boot program of ours starts what is on the disk
)

// Homes lists the ways home that can be chosen for a host.
func Homes() []Home { return []Home{HomeMissing, HomeExit, HomeDisk} }

// SaysSecureBoot ends the boot step of an agent that speaks from a machine whose firmware
// has Secure Boot on.
const SaysSecureBoot = "; Secure Boot is on"

// BootDecision is the one answer every boot service (DHCP, TFTP, HTTP) acts on.
type BootDecision struct {
	Action BootAction `json:"action"`
	Host   MAC        `json:"host,omitempty"` // primary MAC of the host
	Name   string     `json:"name,omitempty"`
	Run    RunID      `json:"run,omitempty"`
	Loader Loader     `json:"loader,omitempty"` // what its firmware is to load; empty: the lowest rung of the ladder
	Chain  string     `json:"chain,omitempty"`  // of BootLocal: where its iPXE is sent instead of to its disk
	Home   Home       `json:"home,omitempty"`   // of BootLocal without Chain: how it is sent to its disk; empty: as most firmware likes it
	Kernel string     `json:"kernel,omitempty"` // arguments that the run's profile wants, parted by blanks; none is secret

	Overlays []Overlay `json:"overlays,omitempty"` // archives that the run wants beside the image
}

// Lease is an address given to a MAC. Bindings are kept: a host has the same
// address for good.
type Lease struct {
	MAC     MAC        `json:"mac"`
	Addr    netip.Addr `json:"addr"`
	Expires time.Time  `json:"expires"`
	Granted time.Time  `json:"granted"`
}

// NoBoot is the name of a file that nobody has: a firmware that is told to fetch it goes on
// to its own disk at once.
const NoBoot = "no-boot"

// BootStep is one thing seen of a boot, for the boot trace.
type BootStep struct {
	Time   time.Time  `json:"time"`
	MAC    MAC        `json:"mac"`
	Kind   string     `json:"kind"` // "discover", "offer", "request", "ack", "tftp", "script", "kernel", "initrd", "seed", "sighting", "power", …
	Detail string     `json:"detail,omitempty"`
	Addr   netip.Addr `json:"addr,omitzero"`
	Bytes  int64      `json:"bytes,omitempty"`
	Share  int        `json:"share,omitempty"` // of a file that is sent, in percent; 100: all of it
	Client BootClient `json:"client,omitzero"`

	Way  PowerMethod `json:"way,omitempty"`  // of "power"
	Op   PowerOp     `json:"op,omitempty"`   // likewise
	Code string      `json:"code,omitempty"` // problem code when it did not work; empty: it did
}

// Ladder is what is known of the boot programs that a machine can start. The zero
// Ladder knows nothing. core/ladder reads and writes it.
type Ladder struct {
	Rung    Loader    `json:"rung,omitempty"`    // given last
	Worked  Loader    `json:"worked,omitempty"`  // by which our agent came last
	Fetched time.Time `json:"fetched,omitzero"`  // when it was sent whole; zero: it was not, or it has done its work
	Heard   bool      `json:"heard,omitempty"`   // it has said something since
	Ran     bool      `json:"ran,omitempty"`     // since it was offered, it has come as far as asking what to boot
	Refused bool      `json:"refused,omitempty"` // the firmware starts only what is signed
	Again   bool      `json:"again,omitempty"`   // the one that worked was silent once and is given once more
}

// Homeward is what is known of the ways in which a machine comes to its own disk. The zero
// Homeward knows nothing. core/wayhome reads and writes it.
type Homeward struct {
	Class   string     `json:"class,omitempty"`   // what the machine starts with; the rest is of that alone
	Way     Home       `json:"way,omitempty"`     // given last; empty: the first one
	Worked  Home       `json:"worked,omitempty"`  // the last after which its system was heard, or, of the first one, it did not come back at once
	Kind    ClientKind `json:"kind,omitempty"`    // who asked first in this boot
	MAC     MAC        `json:"mac,omitempty"`     // likewise, by which port
	Began   time.Time  `json:"began,omitzero"`    // when that was
	Sent    time.Time  `json:"sent,omitzero"`     // when it went the way; zero: it has not yet
	Several bool       `json:"several,omitempty"` // it has several disks, as far as is known
	Again   bool       `json:"again,omitempty"`   // the way failed once and is given once more
}

// BootTrace is the last steps seen of a host's boots, oldest first: the record
// under its MAC, and, with the new steps only, the data of an EventBoot.
type BootTrace struct {
	Steps  []BootStep `json:"steps"`
	Ladder Ladder     `json:"ladder,omitzero"` // of the record only

	Homeward Homeward `json:"homeward,omitzero"` // likewise
}

// Seed is what the agent must know to find and trust its appliance. It travels
// in the per-run initrd segment.
type Seed struct {
	Run       RunID
	MAC       MAC
	BootToken string
	Expires   time.Time
}
