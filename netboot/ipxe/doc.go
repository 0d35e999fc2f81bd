// Package ipxe talks to iPXE in its own language: it writes the boot scripts.
// Every script frees what was loaded before (a left-over autoexec image would be
// put in front of the initrd, FOG PR #1190), retries, and ends in "exit 1", since
// a plain exit drops UEFI firmware into its set-up menu.
package ipxe
