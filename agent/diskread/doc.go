// Package diskread keeps disks busy reading, and looks whether they give the same
// data twice. It writes nothing: disks are opened for reading alone, around the
// page cache.
//
// A worker reads all disks at once, one thread each, zone by zone from all over the
// disk; each zone is read twice and the two are compared by checksum. A disk that
// somebody else has open is read and not compared, since its content may change.
package diskread
