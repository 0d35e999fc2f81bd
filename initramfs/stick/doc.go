// Package stick makes the disk images that a machine boots from without a network: the
// field kit's USB stick, and the ISO image for the virtual media of a BMC. It writes
// every byte itself, so that it needs no tools, no root and no mounts.
//
// One image is at once a hard disk with a GPT (UEFI 2.10 §5.3), whose first partition
// is an EFI system partition, and a CD with an ISO 9660 file system (ECMA-119) and El
// Torito boot records. The files lie in the EFI system partition; the CD's directory
// points into it, so that nothing is there twice. UEFI starts EFI/BOOT/BOOTX64.EFI of
// the partition. BIOS starts ISOLINUX, from a CD by El Torito, from a stick by the code
// in the first sector.
//
// The field kit has a second partition for data, an ext4 file system with a journal and
// checksums. Nothing ever writes to the first one: what boots cannot be damaged by a
// stick that is pulled out.
package stick
