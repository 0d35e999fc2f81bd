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

// BootAction is what a machine may have from us now.
type BootAction string

// The boot actions.
const (
	BootIgnore BootAction = "ignore" // not registered: no answer at all
	BootLocal  BootAction = "local"  // registered, no run waits: quickly to its own disk
	BootVet    BootAction = "vet"    // a run waits: the live image
)

// BootDecision is the one answer every boot service (DHCP, TFTP, HTTP) acts on.
type BootDecision struct {
	Action BootAction `json:"action"`
	Host   MAC        `json:"host,omitempty"` // primary MAC of the host
	Name   string     `json:"name,omitempty"`
	Run    RunID      `json:"run,omitempty"`
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

// BootTrace is the last steps seen of a host's boots, oldest first: the record
// under its MAC, and, with the new steps only, the data of an EventBoot.
type BootTrace struct {
	Steps []BootStep `json:"steps"`
}

// Seed is what the agent must know to find and trust its appliance. It travels
// in the per-run initrd segment.
type Seed struct {
	Run       RunID
	MAC       MAC
	BootToken string
	Expires   time.Time
}
