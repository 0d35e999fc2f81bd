package problem

import (
	"slices"

	"vetting/core"
)

// smarts lists the codes of the SMART stage.
func smarts() []Entry {
	return slices.Concat(smartHealth(), smartCounters(), smartInner(), smartTests())
}

// smartHealth lists what a disk says of itself.
func smartHealth() []Entry {
	return []Entry{
		{
			"smart/failing", "The disk predicts its own failure",
			"The drive's own threshold for failure is exceeded.",
			"Replace the disk.", core.Critical,
		},
		{
			"smart/attribute-failing", "An attribute of the disk has crossed its threshold",
			"The maker's own limit for this attribute is exceeded; a pre-failure attribute foretells the end of the drive.",
			"Replace the disk.", core.Critical,
		},
		{
			"smart/critical-warning", "The disk raises a critical warning",
			"NVMe: spare blocks, temperature, reliability, read-only mode or the backup capacitor is at fault.",
			"Replace the disk.", core.Critical,
		},
		{
			"smart/temperature", "The disk is too hot",
			"Heat shortens a drive's life and makes it slow itself down.",
			"Check the fans and the air flow before the disk bay.", core.Warning,
		},
		{
			"smart/throttled", "The disk slowed itself down on account of heat",
			"It reached a temperature at which it gives up speed to stay whole.",
			"Check the fans and the air flow before the disk bay.", core.Warning,
		},
		{
			"smart/locked", "The disk is locked by a password",
			"A locked drive answers no reads and no writes.",
			"Unlock the disk with its password, or erase it with the PSID on its label.", core.Critical,
		},
		{
			"smart/not-new", "The disk is not new",
			"Hours or power cycles are more than a test at the factory leaves.",
			"Accept it as used (SMART.policy: used), or send it back.", core.Warning,
		},
		{
			"smart/worn", "The disk's flash is worn",
			"A good part of the drive's rated life is used up.",
			"Accept it as used (SMART.policy: used), or replace it.", core.Warning,
		},
		{
			"smart/spare-low", "The disk has begun to use its spare blocks",
			"Blocks have gone bad and were replaced by spares.",
			"Accept it as used, or send it back.", core.Warning,
		},
		{
			"smart/spare-exhausted", "The disk has used up its spare blocks",
			"The next bad block cannot be replaced.",
			"Replace the disk.", core.Critical,
		},
	}
}

// smartCounters lists the error counters.
func smartCounters() []Entry {
	return []Entry{
		{
			"smart/reallocated", "The disk has replaced bad sectors",
			"A drive that has begun to replace sectors usually goes on.",
			"Replace the disk.", core.Critical,
		},
		{
			"smart/pending-sectors", "The disk has sectors it cannot read",
			"Their content is lost unless a later read succeeds.",
			"Replace the disk.", core.Critical,
		},
		{
			"smart/uncorrectable", "The disk has reported errors it could not correct",
			"Reads have failed in spite of all retries.",
			"Replace the disk.", core.Critical,
		},
		{
			"smart/media-errors", "The disk could not read some of its blocks",
			"NVMe counts data it could not give back.",
			"Replace the disk.", core.Critical,
		},
		{
			"smart/grown-defects", "The disk has replaced bad sectors",
			"SCSI: the list of defects has grown since the factory.",
			"Replace the disk.", core.Critical,
		},
		{
			"smart/end-to-end", "The disk has altered data inside itself",
			"The check between the drive's cache and its host has failed.",
			"Replace the disk.", core.Critical,
		},
		{
			"smart/spin-retries", "The disk had trouble spinning up",
			"Bearing, motor or power supply is weak.",
			"Check the power cable, then replace the disk.", core.Critical,
		},
		{
			"smart/crc-errors", "Data was damaged between disk and controller",
			"Nearly always the cable or the backplane, not the drive.",
			"Replace the cable or reseat the disk.", core.Warning,
		},
		{
			"smart/command-timeouts", "Commands to the disk timed out",
			"Power, cable or the drive's own electronics.",
			"Check power and cable of the disk.", core.Warning,
		},
		{
			"smart/increase", "An error counter of the disk grew while it was watched",
			"The fault is there now, not in the drive's past.",
			"Replace the disk.", core.Critical,
		},
		{
			"smart/error-log", "The disk's error log holds entries about commands",
			"None of them is about the medium; many drives log every optional command they do not have.",
			"Nothing to do.", core.Info,
		},
	}
}

// smartInner lists what drives for data centres count inside themselves.
func smartInner() []Entry {
	return []Entry{
		{
			"smart/bad-blocks", "The drive has retired blocks of its flash",
			"It replaces them by spares, which it has few of; the drive for data centres counts them itself.",
			"Accept it as used (SMART.policy: used), or send it back; replace it when no spare is left.", core.Warning,
		},
		{
			"smart/rebuilt-data", "The drive had to put data together from its other dies",
			"A page could not be read by itself, and its redundancy saved the data.",
			"Watch whether it grows; replace the disk if it does.", core.Warning,
		},
		{
			"smart/link-errors", "The drive's PCI Express link had errors that were corrected, or was trained again",
			"Contacts, riser or backplane are not well.",
			"Reseat the disk; then replace riser or backplane.", core.Warning,
		},
		{
			"smart/incomplete-shutdown", "The drive could not finish a shutdown",
			"Its capacitors did not last when the power failed: what it had said was written may be lost.",
			"Replace the disk where data must outlive a power failure.", core.Warning,
		},
		{
			"smart/capacitor", "The drive's capacitors are weak",
			"They hold the energy with which it saves its cache when the power fails.",
			"Replace the disk where data must outlive a power failure.", core.Warning,
		},
	}
}

// smartTests lists what came of the self-tests.
func smartTests() []Entry {
	return []Entry{
		{
			"smart/self-test-failed", "The disk failed its self-test",
			"The drive tested itself and found itself bad.",
			"Replace the disk.", core.Critical,
		},
		{
			"smart/self-test-broken", "The disk's self-test gave no result",
			"It was aborted, or never came to an end.",
			"Retry the stage; if it stays so, test the disk in another machine.", core.Warning,
		},
		{
			"smart/no-self-test", "The disk has no self-test",
			"The drive says that it does not support one; its counters were judged.",
			"Nothing to do: the disk's counters were judged.", core.Info,
		},
		{
			"smart/earlier-self-test-failed", "The disk's log holds a failed self-test",
			"Somebody tested the drive before, and it failed.",
			"Run the extended self-test; replace the disk if it fails.", core.Warning,
		},
		{
			"smart/not-readable", "A disk's health cannot be read",
			"A RAID controller or bridge hides the drive, or it has no SMART: it was NOT tested.",
			"Set the RAID controller to pass disks through (HBA mode), or connect the disk to a SATA or NVMe port.", core.Warning,
		},
		{
			"smart/not-compared", "A disk's error counters cannot be read any more",
			"It told them before the disks were put to work, and does not answer now: what the work did to it is not known.",
			"Check the disk, its cable and its slot; then retry the stage.", core.Warning,
		},
		{
			"smart/usb-storage", "USB storage is plugged in",
			"It was NOT tested, and is easily forgotten in a machine.",
			"Pull it out if it does not belong to the machine.", core.Info,
		},
		{
			"smart/networked", "A disk that is reached over a network was NOT tested",
			"It is not in this machine, and others may have it in use: Fibre Channel, iSCSI, SRP or NVMe over Fabrics.",
			"Test it on the machine that it is in.", core.Info,
		},
		{
			"smart/expected-disk-missing", "An expected disk could not be tested: it is not there",
			"The spec or the last inventory names a drive that does not answer. One that only the inventory names is no error.",
			"Check the disk, its slot and its cable.", core.Warning,
		},
	}
}
