package wipeprobe

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// squashfs tells the format of version 4 from the older ones by its version.
func (d *disk) squashfs() {
	b := d.at(0, 30)
	if b == nil {
		return
	}

	switch magic := string(b[:4]); {
	case magic == "hsqs" && le16(b[28:]) >= 4:
		d.found(Signature{"squashfs", Filesystem, 0, "", ""})
	case magic == "hsqs", magic == "sqsh":
		d.found(Signature{"squashfs3", Filesystem, 0, "", ""})
	}
}

// gfs tells GFS from GFS2, which have the same magic.
func (d *disk) gfs() {
	const super, formatOne = 64 << 10, 1309

	b := d.at(super, 272)
	if b == nil || be32(b) != 0x01161970 {
		return
	}

	name := "gfs2"
	if be32(b[24:]) == formatOne {
		name = "gfs"
	}

	d.found(Signature{name, Filesystem, super, text(b[160:224]), uuid(b[256:272])})
}

// scoutfs tells the device of the metadata from that of the data.
func (d *disk) scoutfs() {
	const super, meta = 64 << 10, 1

	b := d.at(super, 72)
	if b == nil || string(b[4:8]) != "\x8b\x42\x3c\x10" {
		return
	}

	name := "scoutfs_data"
	if binary.LittleEndian.Uint64(b[48:])&meta != 0 {
		name = "scoutfs_meta"
	}

	d.found(Signature{name, Filesystem, super + 4, "", uuid(b[56:72])})
}

// xfsLog looks for the first record of an external journal of XFS in the first 512
// sectors.
func (d *disk) xfsLog() {
	for at := int64(0); at < 512*minSector; at += minSector {
		b := d.at(at, 320)
		if b == nil || be32(b) != 0xfeedbabe {
			continue
		}

		if version, format := be32(b[8:]), be32(b[300:]); version >= 1 && version <= 3 && format >= 1 && format <= 3 {
			d.found(Signature{"xfs_external_log", Other, at, "", uuid(b[304:320])})

			return
		}
	}
}

// hfs looks for HFS, HFS+ and HFS+ inside of HFS.
func (d *disk) hfs() {
	const super, blockSize, embedded, plusBlockSize = 1 << 10, 20, 124, 40

	b := d.at(super, 130)
	if b == nil {
		return
	}

	plus := func(s string) bool { return s == "H+" || s == "HX" }

	switch magic := string(b[:2]); {
	case magic == "BD" && plus(string(b[embedded:embedded+2])):
		d.found(Signature{"hfsplus", Filesystem, super, "", ""})
	case magic == "BD" && be32(b[blockSize:]) != 0 && be32(b[blockSize:])%minSector == 0:
		d.found(Signature{"hfs", Filesystem, super, text(b[37 : 37+min(int(b[36]), 27)]), ""})
	case plus(magic):
		if size := be32(b[plusBlockSize:]); size >= minSector && size&(size-1) == 0 {
			d.found(Signature{"hfsplus", Filesystem, super, "", ""})
		}
	}
}

// udf looks for the descriptors with which a volume of ECMA-167 begins.
func (d *disk) udf() {
	const start = 32 << 10

	for _, length := range []int64{2 << 10, 4 << 10} {
		for i := range int64(64) {
			at := start + i*length + 1
			b := d.at(at, 5)

			switch string(b) {
			case "BEA01", "NSR02", "NSR03":
				d.found(Signature{"udf", Filesystem, at, "", ""})

				return
			case "BOOT2", "CD001", "CDW02", "TEA01":
				continue
			}

			break
		}
	}
}

// ufs looks for the Fast File System of the BSDs, of either byte order.
func (d *disk) ufs() {
	const magic, idAt, label = 1372, 144, 680

	const second = 0x19540119 // UFS2

	for _, super := range []int64{0, 8 << 10, 64 << 10, 256 << 10} {
		b := d.at(super, magic+4)
		if b == nil {
			continue
		}

		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			switch m := order.Uint32(b[magic:]); m {
			case second, 0x00011954, 0x00195612, 0x00095014, 0x00612195, 0x05231994:
				s := Signature{Name: "ufs", Usage: Filesystem, Offset: super + magic}

				if m == second {
					s.Label = text(b[label : label+32])
				}

				if x, y := order.Uint32(b[idAt:]), order.Uint32(b[idAt+4:]); x|y != 0 {
					s.UUID = fmt.Sprintf("%08x%08x", x, y)
				}

				d.found(s)

				return
			}
		}
	}
}

// sysv looks for the file system of System V.
func (d *disk) sysv() {
	for _, block := range []int64{0, 9, 15, 18} {
		super := block<<10 + 512

		if b := d.at(super, minSector); b != nil && (le32(b[504:]) == 0xfd187e20 || be32(b[504:]) == 0xfd187e20) {
			d.found(Signature{"sysv", Filesystem, super + 504, text(b[440:446]), ""})
		}
	}
}

// minix looks for the three versions of the Minix file system. Their magic has two
// bytes, so the sizes must make sense together.
func (d *disk) minix() {
	const super = 1 << 10

	// Parts of a superblock of ext or EROFS can look like one.
	b := d.at(super, 64)
	if b == nil || le16(b[56:]) == 0xef53 || le32(b) == 0xe0f5e1e2 {
		return
	}

	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		at := int64(super + 16)

		var inodes, imaps, zmaps, first, shift, zones uint32

		u16 := func(at int) uint32 { return uint32(order.Uint16(b[at:])) }

		switch version := u16(16); {
		case version == 0x137f, version == 0x138f, version == 0x2468, version == 0x2478:
			inodes, imaps, zmaps, first, shift, zones = u16(0), u16(4), u16(6), u16(8), u16(10), u16(2)
			if version == 0x2468 || version == 0x2478 {
				zones = order.Uint32(b[20:])
			}
		case u16(24) == 0x4d5a:
			at = super + 24
			inodes, imaps, zmaps, first, shift, zones = order.Uint32(b), u16(6), u16(8), u16(10), u16(12), order.Uint32(b[20:])
		default:
			continue
		}

		const bits = 8 << 10 // of a block

		if shift == 0 && inodes != 0 && imaps*bits >= inodes && first <= zones && zmaps*bits > zones-first {
			d.found(Signature{"minix", Filesystem, at, "", ""})

			return
		}
	}
}

// nilfs looks for the superblocks of NILFS2, at 1 KiB and 4 KiB before the end. Their
// magic has two bytes, so the checksum must be right.
func (d *disk) nilfs() {
	const length, sum = 1 << 10, 16

	for _, super := range []int64{1 << 10, d.size - 8*minSector} {
		b := d.at(super, length)
		if b == nil || le16(b[6:]) != 0x3434 {
			continue
		}

		bytes := int(le16(b[8:]))
		if bytes < sum+4 || bytes > length {
			continue
		}

		// The kernel's CRC has no inversion before and after.
		crc := ^le32(b[12:])
		crc = crc32.Update(crc, crc32.IEEETable, b[:sum])
		crc = crc32.Update(crc, crc32.IEEETable, make([]byte, 4))
		crc = crc32.Update(crc, crc32.IEEETable, b[sum+4:bytes])

		if ^crc == le32(b[sum:]) {
			d.found(Signature{"nilfs2", Filesystem, super + 6, text(b[168:248]), uuid(b[152:168])})
		}
	}
}
