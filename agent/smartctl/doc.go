// Package smartctl asks the smartctl of an optional tool pack for disks behind RAID
// controllers, whose drivers let nobody talk to a disk with the commands of package
// disk. It reads smartctl's JSON; that smartctl ends with an error means nothing by
// itself, since bits of its status are about the disk.
package smartctl
