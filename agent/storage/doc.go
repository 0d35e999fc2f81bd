// Package storage tests disks: it reads them, and writes and verifies those that are
// armed.
//
// What it writes are blocks of 4 KiB that say themselves which they are: run, disk,
// offset and pass, with noise between and a CRC-32C over all of it. A block that comes
// back wrong tells what happened to it: bits that changed, a write that never arrived,
// one that arrived somewhere else, a disk that is smaller than it says. Disks that are
// not armed are read, and part of it is read twice and compared.
//
// A worker tests all disks at once, as many on one controller as its link carries.
// Armed disks are opened by agent/blockdev, which asks for the lease before every
// write; a test that has none waits, and goes on when it has one again.
package storage
