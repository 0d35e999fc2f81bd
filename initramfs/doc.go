// Package initramfs carries the boot image inside the binary: the kernel, the
// segments of its first file system and the iPXE programs, as initramfs/build
// left them in the folder blobs.
package initramfs
