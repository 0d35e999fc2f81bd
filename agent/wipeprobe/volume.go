package wipeprobe

import "encoding/binary"

// lvm1 looks for a physical volume of LVM1, in either version of its format.
func (d *disk) lvm1() {
	b := d.at(0, 76)
	if b == nil || string(b[:2]) != "HM" || le16(b[2:]) != 1 && le16(b[2:]) != 2 {
		return
	}

	d.found(Signature{"LVM1_member", RAID, 0, "", parted(text(b[44:76]), 6, 4, 4, 4, 4, 4, 6)})
}

// luks looks for headers of LUKS: the first, and the second of LUKS2, which is where
// the area of the first ends, and from which a volume can be opened alone.
func (d *disk) luks() {
	places := []int64{0}
	for at := int64(0x4000); at <= 0x400000; at <<= 1 {
		places = append(places, at)
	}

	for i, at := range places {
		magic := "SKUL\xba\xbe"
		if i == 0 {
			magic = "LUKS\xba\xbe"
		}

		b := d.at(at, minSector)
		if b == nil || string(b[:len(magic)]) != magic {
			continue
		}

		s := Signature{"crypto_LUKS", Crypto, at, "", text(b[168:208])}
		if be16(b[6:]) == 2 {
			s.Label = text(b[24:72])
		}

		d.found(s)
	}
}

// fileVault looks for a physical volume of Apple's Core Storage.
func (d *disk) fileVault() {
	b := d.at(0, minSector)
	if b == nil || string(b[88:90]) != "CS" || le16(b[8:]) != 1 || le32(b[90:]) != 1 {
		return
	}

	d.found(Signature{"cs_fvault2", Crypto, 88, "", uuid(b[304:320])})
}

// bitLockerToGo looks for BitLocker on what looks like a FAT of Windows 98 otherwise.
func (d *disk) bitLockerToGo() {
	const where = 440

	b := d.at(0, minSector)
	if b == nil || string(b[:11]) != "\xeb\x58\x90MSWIN4.1" {
		return
	}

	if at := binary.LittleEndian.Uint64(b[where:]); at != 0 && at%64 == 0 && at < uint64(d.size) && d.is(int64(at), "-FVE-FS-") {
		d.found(Signature{"BitLocker", Crypto, 0, "", ""})
	}
}

// zfs looks for the four labels of a pool's member, two at each end. Each has a list
// of names and values at 16 KiB and a ring of uberblocks from 128 KiB on; either is
// enough.
func (d *disk) zfs() {
	const label, list, ring = 256 << 10, 16 << 10, 128 << 10

	tail := d.size/label*label - 2*label

	for _, at := range []int64{0, label, tail, tail + label} {
		if at < 0 {
			continue
		}

		if b := d.at(at+list, 112<<10); b != nil && b[0] == 1 && b[1] <= 1 {
			if name, guid, ok := zfsNames(b[4:]); ok {
				d.found(Signature{"zfs_member", Filesystem, at + list, name, guid})

				continue
			}
		}

		for block := at + ring; block < at+label; block += 1 << 10 {
			if d.is(block, "\x0c\xb1\xba\x00\x00\x00\x00\x00") || d.is(block, "\x00\x00\x00\x00\x00\xba\xb1\x0c") {
				d.found(Signature{"zfs_member", Filesystem, block, "", ""})

				break
			}
		}
	}
}
