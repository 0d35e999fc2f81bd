// Package collect records a machine so that it can be looked at elsewhere: the
// part of sysfs and procfs that the product reads, the SMBIOS tables, the
// kernel's log, and what disks, network drivers and the BMC answered to each
// command. A recording is a folder of text files, or the same folder as a
// .tar.zst; it replays through the same probes as the machine itself. Users send
// one with a bug report, and tests keep a collection of them (agent/machines).
package collect
