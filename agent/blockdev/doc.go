// Package blockdev opens disks. It has the one function of the program that opens a
// block device for writing, and asks core/diskguard before it does, again when the
// device is open and before every single write whether the run still may; a test
// holds that there is no other.
//
// What comes of an open is a Device, which writes nothing outside the disk that was
// armed, nothing without a lease, and nothing once anything about the disk looks
// different. A descriptor stays with the disk it was opened on whatever happens to
// names, so that the worst a change of names can do is a refusal.
//
// Reading has its own, smaller door.
package blockdev
