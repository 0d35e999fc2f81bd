package wipeprobe

import (
	"fmt"
	"slices"
	"strings"
)

// protective is the type of the partition that covers a disk with a GPT.
const protective = 0xee

// mbr looks for a table of partitions in the boot sector. The boot sectors of FAT
// and NTFS end as one does and are none.
func (d *disk) mbr() {
	const table, entry, id = 446, 16, 440

	b := d.at(0, minSector)
	if b == nil || le16(b[510:]) != 0xaa55 || d.bootsFAT() || d.has("aix") {
		return
	}

	var types []string

	for at := table; at < 510; at += entry {
		kind := b[at+4]

		if kind == protective {
			d.found(Signature{"PMBR", PartitionTable, 510, "", ""})

			return
		}

		if b[at]&^0x80 != 0 {
			return // neither active nor not: boot code without a table
		}

		if kind != 0 || le32(b[at+12:]) != 0 {
			types = append(types, fmt.Sprintf("%#02x", kind))
		}
	}

	s := Signature{Name: "dos", Usage: PartitionTable, Offset: 510, Label: "no partitions"}
	if types != nil {
		s.Label = "types " + strings.Join(types, " ")
	}

	if n := le32(b[id:]); n != 0 {
		s.UUID = fmt.Sprintf("%08x", n)
	}

	d.found(s)
}

// bootsFAT reports whether the first sector is known as one of FAT.
func (d *disk) bootsFAT() bool {
	return slices.ContainsFunc(d.signatures, func(s Signature) bool { return s.Name == "vfat" && s.Offset < minSector })
}

// sun looks for a label of SunOS, whose words cancel each other out.
func (d *disk) sun() {
	b := d.at(0, minSector)
	if b == nil || be16(b[508:]) != 0xdabe {
		return
	}

	var sum uint16
	for at := 0; at < minSector; at += 2 {
		sum ^= be16(b[at:])
	}

	if sum == 0 {
		d.found(Signature{"sun", PartitionTable, 508, "", ""})
	}
}

// mac looks for the map of partitions of Apple's older machines.
func (d *disk) mac() {
	b := d.at(0, minSector)
	if b == nil || string(b[:2]) != "ER" {
		return
	}

	size := int64(be16(b[2:]))
	if size >= 136 && (d.is(size, "PM") || d.is(size, "TS")) {
		d.found(Signature{"mac", PartitionTable, 0, "", ""})
	}
}

// atari looks for the root sector of an Atari: it has no magic, but at least one
// partition within the size that it tells.
func (d *disk) atari() {
	const table, entry, sizeAt, badAt = 0x1c6, 12, 0x1c2, 0x1f6

	b := d.at(0, minSector)
	if b == nil || d.has("dos", "PMBR") || d.bootsFAT() {
		return
	}

	sectors := be32(b[sizeAt:])
	if sectors < 2 || int64(sectors) > d.size/minSector {
		return
	}

	inside := func(at int) bool {
		start, length := be32(b[at:]), be32(b[at+4:])

		return start > 0 && length > 0 && uint64(start)+uint64(length) <= uint64(sectors)
	}

	if be32(b[badAt:])|be32(b[badAt+4:]) != 0 && !inside(badAt) {
		return
	}

	for at := table; at < badAt; at += entry {
		if b[at]&1 != 0 && letters(b[at+1:at+4]) && inside(at+4) {
			d.found(Signature{"atari", PartitionTable, int64(at), "", ""})

			return
		}
	}
}

// letters reports whether a name is of letters and digits of Latin-1.
func letters(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool {
		return (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c < 0xc0
	})
}
