package diskguard

import (
	"time"

	"vetting/core"
)

// Facts are all that the decision rests on.
type Facts struct {
	Now time.Time
	// Lease is until when the appliance lets this run write. It gives one to nobody
	// but the agent of a registered host whose run is claimed, has disks armed and is
	// in a stage.
	Lease time.Time
	// Destructive: the profile of the run says so.
	Destructive bool
	// Live: the system runs in memory, started by the appliance or the kit, and not
	// from a disk of the machine.
	Live bool
	// Expected are the disks that the appliance told of when the run was claimed, and
	// which of them are armed.
	Expected []core.ExpectedDisk
	// Protected are serial numbers and WWNs that are never written.
	Protected []string

	Disk   Disk
	Others []Disk // the other disks that are there now

	Probe    Probe
	Override Override
	Opened   *Opened // nil until it is open for writing
}

// Disk is a disk as it was seen last, by its own word and the kernel's.
type Disk struct {
	Name      string // of the kernel, this boot: "sda"
	Number    string // of its device node: "8:0"
	Attached  string // the kernel's own count of disks when it came; empty before Linux 5.15
	Serial    string
	WWN       string // lower-case hex
	Model     string
	SizeBytes uint64
	Block     int    // bytes of a logical block
	Transport string // "sata", "sas", "nvme", "scsi", "virtio"; others are refused
	Removable bool
	ReadOnly  bool
	// Network is how the disk is reached over a network: "fc", "iscsi", "nvme/tcp".
	Network string
	// Zoned: its zones are the host's to manage, and cannot be written at will.
	Zoned bool
	// Volume: it is made by a controller out of disks that it hides.
	Volume bool
	// Paths are the other names under which the same disk is there.
	Paths []string
	// Reserved says who holds a persistent reservation, or has registered for one.
	Reserved string
	// Unknown are facts that could not be read, in words. Each is a reason.
	Unknown []string
	Users
}

// Users are those who have the disk, or a part of it, in use.
type Users struct {
	Holders []string // devices that are made of it: "dm-0", "md127"
	Mounts  []string // mount points
	Swap    []string // names of what the system swaps to
}

// Probe is what was found on the disk.
type Probe struct {
	Done bool // it was read, without an error
	At   time.Time
	// Signatures are what somebody's data begins with: "ext4 (filesystem) at 1080".
	Signatures []string
	// Labels are the names of filesystems and partitions.
	Labels []string
	// Samples were read from all over the disk; Foreign of them are neither blank nor
	// written by an earlier test of ours.
	Samples, Foreign int
	// BlankOnly: data without a signature counts as foreign, too.
	BlankOnly bool
}

// Override is an operator's word that the data on this very disk may go.
type Override struct {
	Given bool
	Until time.Time
}

// OverrideLife is how long an override counts once the agent has it.
const OverrideLife = 15 * time.Minute

// ProbeLife is how old the probe's findings may be.
const ProbeLife = 5 * time.Minute

// Opened is what the open descriptor says.
type Opened struct {
	Exclusive bool // nobody else has it open so, and nobody can
	Number    string
	Serial    string
	WWN       string
	SizeBytes uint64
	Block     int
	ReadOnly  bool
}

// KitLabel begins the labels of the field kit's own sticks.
const KitLabel = "VETTING"
