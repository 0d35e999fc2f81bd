// Package wipeprobe looks whether a disk has anything on it that somebody may want
// back: signatures of file systems, RAID sets, volume managers, encryption and
// partition tables, and blocks that are not blank. It reads, and knows no devices.
//
// A magic is enough: a superblock whose checksum is wrong is damaged data, not none.
// Only where a magic is so short that it is met by chance is more asked for. So
// nothing is missed that blkid finds, and a finding means "ask first", not "mountable".
package wipeprobe
