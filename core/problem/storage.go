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
	StorageZoned          = "storage/host-managed-zones"
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

// Codes of the test itself.
const (
	StorageCanary      = "storage/canary-missed"
	StorageReadError   = "storage/read-error"
	StorageWriteError  = "storage/write-error"
	StorageCorrupt     = "storage/corrupt"
	StorageDropped     = "storage/dropped-write"
	StorageMisplaced   = "storage/misplaced-write"
	StorageSwapped     = "storage/swapped-blocks"
	StorageWrapped     = "storage/fake-capacity"
	StorageCrossed     = "storage/crossed-disks"
	StorageUnsteady    = "storage/unsteady-read"
	StorageVanished    = "storage/vanished"
	StorageAppeared    = "storage/appeared"
	StorageNotTested   = "storage/not-tested"
	StorageMissing     = "storage/expected-disk-missing"
	StorageSlowRequest = "storage/slow-request"
	StorageSlowZones   = "storage/slow-zones"
	StorageHidden      = "storage/hidden-area"
	StorageNotErased   = "storage/not-discarded"
	StorageOffClass    = "storage/off-class"
	StorageShingled    = "storage/shingled"
)

// storages lists the codes of the Storage stage.
func storages() []Entry {
	return slices.Concat(storageRun(), storageDisk(), storageUse(), storageWrong(), storageRest())
}

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
	return slices.Concat(storageChoice(), storageKind())
}

// storageChoice lists what says that a disk was not chosen, or is not the one that was.
func storageChoice() []Entry {
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
	}
}

// storageKind lists disks that are never written for what they are.
func storageKind() []Entry {
	return []Entry{
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
			StorageZoned, "A disk whose zones are the host's to manage was NOT tested",
			"Its zones (ZBC, ZAC, ZNS) are written from their beginnings alone, which this test does not do.",
			"Leave it unarmed, and test it with a tool that knows zones.", core.Critical,
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
			"Do not swap disks meanwhile, and do it again: a held run by another try of the stage, a machine that a stick vets by another vetting, a stick by another usb write.", core.Critical,
		},
	}
}

// storageWrong lists what a disk can do to data.
func storageWrong() []Entry {
	return []Entry{
		{
			StorageReadError, "The disk cannot be read in places",
			"It could not give back what it holds.", "Replace {part}.", core.Critical,
		},
		{
			StorageWriteError, "The disk cannot be written in places",
			"It refused, or lost, what it was to keep.", "Replace {part}.", core.Critical,
		},
		{
			StorageCorrupt, "The disk gives back other data than was written",
			"Bits have changed and nothing said so: the disk, its cable, the controller or the machine's memory alters data unnoticed.",
			"Run Memory again; then replace the cable, the controller, {part}.", core.Critical,
		},
		{
			StorageDropped, "Writes to the disk got lost",
			"The disk said that it had written, and what was there before is still there.", "Replace {part}.", core.Critical,
		},
		{
			StorageMisplaced, "The disk wrote data to the wrong place",
			"A block is whole and stands where another belongs.", "Replace {part}.", core.Critical,
		},
		{
			StorageSwapped, "The disk swapped data",
			"Two blocks are whole and each stands where the other belongs.", "Replace {part}.", core.Critical,
		},
		{
			StorageWrapped, "The disk is smaller than it says",
			"What is written behind its real end overwrites its beginning: a counterfeit, or a fault of its firmware.",
			"Send {part} back; do not put it to use.", core.Critical,
		},
		{
			StorageCrossed, "Data of one disk is on another",
			"A controller or expander mixed up two disks.", "Update the controller's firmware; replace the controller.", core.Critical,
		},
		{
			StorageUnsteady, "The disk gave other data the second time",
			"Nobody writes to it: the disk, its cable, the controller or the machine's memory alters data unnoticed.",
			"Run Memory again; then replace the cable, the controller, {part}.", core.Critical,
		},
		{
			StorageVanished, "The disk vanished in the midst of the test",
			"It does not answer any more.", "Check its power and its cable, reseat it; if it comes back, replace {part}.", core.Critical,
		},
	}
}

// storageRest lists what is slow, and what was not tested.
func storageRest() []Entry {
	return []Entry{
		{
			StorageAppeared, "A disk appeared in the midst of the test: it was NOT tested",
			"It was plugged in, or found late; nothing was written to it.",
			"If it belongs to the machine, retry the stage, so that {part} is tested too; else take it out.", core.Warning,
		},
		{
			StorageSlowRequest, "A request to the disk took far too long",
			"It retries, is reset, or waits for its link.",
			"Look at SMART and the kernel's log; replace the cable, then {part}.", core.Warning,
		},
		{
			StorageSlowZones, "Parts of the disk are much slower than the rest",
			"A weak head, or many sectors that were replaced.",
			"Run the extended self-test of {part}; replace it if it is to be trusted.", core.Warning,
		},
		{
			StorageHidden, "A part of the disk is hidden",
			"A host protected area or a device configuration overlay makes it smaller than it is: what is in there was NOT tested.",
			"Make it whole again (hdparm -N, --dco-restore) and test it, or accept it.", core.Warning,
		},
		{
			StorageShingled, "The disk's tracks overlap (SMR)",
			"It rearranges them by itself, so that some writes wait for seconds and long ones get slow: that is not held against it. Arrays that are rebuilt onto such disks may take days, or throw them out.",
			"Nothing to do, if a disk of this kind was ordered; else send it back.", core.Info,
		},
		{
			StorageOffClass, "The disks are slower than those of its class",
			"Hosts of this kind read faster.",
			"Compare the disks with each other; look at their cables and at the link of the controller.", core.Warning,
		},
		{
			StorageNotErased, "What the test wrote is still on the disk",
			"The profile asks to give it up at the end, and the disk did not.",
			"Erase it by hand (blkdiscard, nvme format) where that matters.", core.Warning,
		},
		{
			StorageCanary, "The test of the disk is blind",
			"Planted faults were not found: it proves nothing.", "Retry the stage; report it if it comes back.", core.Critical,
		},
		{
			StorageNotTested, "A disk was not tested",
			"What was not tested is not vouched for; the evidence says why.", "Look at the evidence, then retry the stage.", core.Critical,
		},
		{
			StorageMissing, "An expected disk could not be tested: it is not there",
			"It is in the host's spec or is armed, or was there when the host was last looked at, which is a warning.", "Check the disk, its slot and its cable.", core.Critical,
		},
	}
}
