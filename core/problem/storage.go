package problem

import (
	"slices"

	"vetting/core"
)

// Codes of the gates before a disk is overwritten.
const (
	StorageNotLive        = "storage/not-live"
	StorageNotDestructive = "storage/not-destructive"
	StorageNoLease        = "storage/no-lease"
	StorageNoSerial       = "storage/no-serial"
	StorageProtected      = "storage/protected"
	StorageNotExpected    = "storage/not-expected"
	StorageNotArmed       = "storage/not-armed"
	StorageOtherDisk      = "storage/other-disk"
	StorageNeverSeen      = "storage/never-seen"
	StorageSameSerial     = "storage/same-serial"
	StorageRemovable      = "storage/removable"
	StorageNetworked      = "storage/networked"
	StorageVolume         = "storage/controller-volume"
	StorageReadOnly       = "storage/read-only"
	StorageReserved       = "storage/reserved"
	StorageUnknown        = "storage/unknown"
	StorageSectorSize     = "storage/sector-size"
	StorageKit            = "storage/own-kit"
	StorageTwin           = "storage/twin"
	StorageInUse          = "storage/in-use"
	StorageNotProbed      = "storage/not-probed"
	StorageForeignData    = "storage/foreign-data"
	StorageOverrideOver   = "storage/override-over"
	StorageNotExclusive   = "storage/not-exclusive"
	StorageChanged        = "storage/changed"
)

// storages lists the codes of the Storage stage.
func storages() []Entry { return slices.Concat(storageRun(), storageDisk(), storageUse()) }

// storageRun lists what a run lacks to write to any disk.
func storageRun() []Entry {
	return []Entry{
		{
			StorageNotLive, "Nothing is written: the system does not run in memory alone",
			"Only the appliance's own live system, with no disk under it, may overwrite disks.",
			"Boot the host by the appliance, not from a disk.", core.Critical,
		},
		{
			StorageNotDestructive, "Nothing is written: the profile does not say so",
			"Disks are armed, but the profile of the run reads only.",
			"Start a run whose profile says Storage.mode: destructive, or arm no disk.", core.Critical,
		},
		{
			StorageNoLease, "Nothing is written: the appliance does not allow it now",
			"Writing needs a lease of a minute that the appliance renews with each heartbeat, while the run is in a stage and has disks armed.",
			"Check the link between host and appliance, then retry the stage.", core.Critical,
		},
	}
}

// storageDisk lists what makes a disk one that is not written.
func storageDisk() []Entry {
	return []Entry{
		{
			StorageNoSerial, "A disk without a serial number is not written",
			"Without one nobody can say which disk was meant.",
			"Test it with a tool of its maker, or leave it read-only.", core.Critical,
		},
		{
			StorageProtected, "The disk is protected",
			"It is on the profile's list of disks that are never written.",
			"Take it out of Storage.protect if it may be overwritten.", core.Critical,
		},
		{
			StorageNotExpected, "The disk is not one of this host's",
			"Neither the spec of the host nor its last inventory has a disk with this serial number.",
			"Check whose disk it is; run an inventory or put it into the spec first.", core.Critical,
		},
		{
			StorageNotArmed, "The disk is not armed",
			"Only disks that were chosen for this run are written.",
			"Start a run that arms it, by its serial number.", core.Critical,
		},
		{
			StorageOtherDisk, "The disk is not the one that was armed",
			"The serial number is the one that was armed; WWN, model or size is not.",
			"Check which disk is in the slot; run an inventory again and arm what it shows.", core.Critical,
		},
		{
			StorageNeverSeen, "The disk was armed before it was ever seen",
			"Only its serial number is known; WWN and size, which must fit too, are not.",
			"Vet the host once without arming, or put size and WWN into its spec; then arm the disk.", core.Critical,
		},
		{
			StorageSameSerial, "Two disks have the same serial number",
			"Nobody can say which of the two was armed: neither is written.",
			"Take one of them out and start a new run.", core.Critical,
		},
		{
			StorageRemovable, "A removable or USB disk is not written",
			"It need not belong to the machine.",
			"Unplug it, or attach the disk to a controller of the machine.", core.Critical,
		},
		{
			StorageNetworked, "A disk that is reached over a network is not written",
			"Others may have it in use.",
			"Take it off the network of this host, or leave it unarmed.", core.Critical,
		},
		{
			StorageVolume, "A volume of a RAID controller is not written",
			"The controller hides the disks; the volume's serial number is not theirs.",
			"Set the controller to pass its disks through (HBA or JBOD mode).", core.Critical,
		},
		{
			StorageReadOnly, "The disk is read-only",
			"The disk, or the kernel, refuses to write to it.",
			"Remove its write protection; a disk that went read-only by itself is at its end: replace it.", core.Critical,
		},
		{
			StorageReserved, "The disk is reserved by a cluster",
			"Somebody has registered or reserved it (persistent reservation).",
			"Release it from the cluster that it belongs to, then retry the stage.", core.Critical,
		},
		{
			StorageUnknown, "Something about the disk could not be found out",
			"What is not known counts against writing.",
			"Look at the evidence; retry the stage, or replace the disk if it does not answer.", core.Critical,
		},
		{
			StorageSectorSize, "The disk's sectors have a size that no system can use",
			"520 or 528 bytes: it comes out of a storage array.",
			"Reformat it: sg_format --format --size=512 (or 4096).", core.Critical,
		},
		{
			StorageKit, "The disk is the kit's own",
			"Its label says that it holds vetting itself.",
			"Unplug it, or leave it unarmed.", core.Critical,
		},
	}
}

// storageUse lists what is in the way of writing to a disk now.
func storageUse() []Entry {
	return []Entry{
		{
			StorageTwin, "The disk is there twice",
			"Two ways lead to one disk (multipath), or two disks claim to be one.",
			"Leave one path to the disk, then retry the stage.", core.Critical,
		},
		{
			StorageInUse, "The disk is in use",
			"It is mounted, swapped to, or part of an array, a volume group or an encrypted device.",
			"Stop what uses it, then retry the stage.", core.Critical,
		},
		{
			StorageNotProbed, "The disk was not looked at for data",
			"Before a disk is overwritten it is read in many places; that did not succeed.",
			"Look at the evidence and the log, then retry the stage.", core.Critical,
		},
		{
			StorageForeignData, "The disk holds data",
			"Somebody's filesystem, array or other data is on it. It was not touched.",
			"If the data may go, override the wipe probe for this disk; else take it out.", core.Critical,
		},
		{
			StorageOverrideOver, "The override of the wipe probe is over",
			"It counts for fifteen minutes.",
			"Override the wipe probe for this disk again.", core.Critical,
		},
		{
			StorageNotExclusive, "The disk could not be had alone",
			"Another program has it open, or it could not be opened for writing.",
			"Find out what uses it, then retry the stage.", core.Critical,
		},
		{
			StorageChanged, "The disk is another one than a moment ago",
			"What was opened is not what was looked at. Nothing was written.",
			"Retry the stage; do not swap disks meanwhile.", core.Critical,
		},
	}
}
