// Package overlay makes, checks and keeps overlays: archives of an operator's that
// the kernel unpacks beside the boot image. Whatever is handed in is taken apart,
// checked and written anew, so that what the kernel gets was written by this package:
// regular files, folders and symlinks below /overlay/NAME, owned by root, without
// set-uid bits, and nothing that could take the place of a file of the image.
package overlay
