package wipeprobe

import "encoding/binary"

// mdMagic starts the superblocks of Linux software RAID (MD_SB_MAGIC).
const mdMagic = 0xa92b4efc

// md looks for members of Linux software RAID: superblock 0.90 in the last 64 KiB
// that are aligned so, 1.0 in the last 8 to 12 KiB, 1.1 at the start, 1.2 at 4 KiB.
func (d *disk) md() {
	d.mdOld((d.size&^0xffff - 0x10000))

	for _, at := range []int64{d.size&^0xfff - 0x2000, 0, 0x1000} {
		if b := d.at(at, 128); b != nil && le32(b) == mdMagic && le32(b[4:]) == 1 {
			d.found(Signature{"linux_raid_member", RAID, at, text(b[32:64]), uuid(b[16:32])})
		}
	}
}

// mdOld looks at one place for superblock 0.90, which is in the byte order of the
// machine that wrote it. Its UUID is in four words.
func (d *disk) mdOld(at int64) {
	b := d.at(at, 64)

	switch {
	case b == nil:
	case le32(b) == mdMagic:
		id := reorder(b, 23, 22, 21, 20, 55, 54, 53, 52, 59, 58, 57, 56, 63, 62, 61, 60)
		d.found(Signature{"linux_raid_member", RAID, at, "", uuid(id)})
	case be32(b) == mdMagic:
		id := reorder(b, 20, 21, 22, 23, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63)
		d.found(Signature{"linux_raid_member", RAID, at, "", uuid(id)})
	}
}

// jmicron looks for a "JM" in the last sector whose words add up.
func (d *disk) jmicron() {
	const mode = 48 // RAID level; 5 is the last one

	b := d.end(minSector, 128)
	if b == nil || string(b[:2]) != "JM" || b[mode] > 5 {
		return
	}

	if sum := words(b); sum == 0 || sum == 1 {
		d.found(Signature{"jmicron_raid_member", RAID, d.size - minSector, "", ""})
	}
}

// silicon looks for the metadata of Silicon Image's Medley in the last sector.
func (d *disk) silicon() {
	const magic, number, sum = 0x60, 0x116, 0x13e

	b := d.end(minSector, minSector)
	if b == nil || le32(b[magic:]) != 0x2f000000 || b[number] >= 8 {
		return
	}

	if words(b[:sum])+le16(b[sum:]) == 0 {
		d.found(Signature{"silicon_medley_raid_member", RAID, d.size - minSector + magic, "", ""})
	}
}

// via looks for the metadata of VIA in the last sector, whose magic is that of every
// boot sector; the bytes before the last must add up to it.
func (d *disk) via() {
	const length = 50

	b := d.end(minSector, length+1)
	if b == nil || le16(b) != 0xaa55 || b[2] > 2 {
		return
	}

	var sum uint8
	for _, v := range b[:length] {
		sum += v
	}

	if sum == b[length] {
		d.found(Signature{"via_raid_member", RAID, d.size - minSector, "", ""})
	}
}

// words adds little-endian words up.
func words(b []byte) (sum uint16) {
	for ; len(b) > 1; b = b[2:] {
		sum += binary.LittleEndian.Uint16(b)
	}

	return sum
}
