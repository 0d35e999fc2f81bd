package wipeprobe

import (
	"bytes"
	"fmt"
	"slices"
)

// fat looks for FAT12, FAT16 and FAT32 by the name that most tools write, by sizes
// that make sense together where there is none, and for the copy of FAT32's boot
// sector at sector 6.
func (d *disk) fat() {
	if b := d.at(0, minSector); b != nil && (fatNamed(b) || fatSizes(b)) {
		label, serial := fatNames(b)
		d.found(Signature{"vfat", Filesystem, 0, label, serial})
	}

	for _, sector := range []int64{512, 4096} {
		if b := d.at(6*sector, minSector); b != nil && string(b[0x52:0x5a]) == "FAT32   " {
			label, serial := fatNames(b)
			d.found(Signature{"vfat", Filesystem, 6 * sector, label, serial})
		}
	}
}

// fatNamed reports whether a boot sector says that it is one of FAT.
func fatNamed(b []byte) bool {
	short, long := b[0x36:0x3e], b[0x52:0x5a]

	return string(long) == "FAT32   " || bytes.HasPrefix(long, []byte("MSWIN")) || bytes.HasPrefix(short, []byte("MSDOS")) ||
		slices.Contains([]string{"FAT16   ", "FAT12   ", "FAT     "}, string(short))
}

// fatSizes reports whether the numbers in a boot sector can be those of a FAT. Boot
// sectors of JFS and HPFS look like one.
func fatSizes(b []byte) bool {
	if le16(b[510:]) != 0xaa55 || string(b[0x36:0x3e]) == "JFS     " || string(b[0x36:0x3e]) == "HPFS    " {
		return false
	}

	sector, cluster := uint32(le16(b[11:])), uint32(b[13])
	reserved, fats, media := uint32(le16(b[14:])), uint32(b[16]), b[21]

	if fats == 0 || reserved == 0 || media < 0xf8 && media != 0xf0 ||
		cluster == 0 || cluster&(cluster-1) != 0 || sector < 512 || sector > 4096 || sector&(sector-1) != 0 {
		return false
	}

	sectors, length := uint32(le16(b[19:])), uint32(le16(b[22:]))
	if sectors == 0 {
		sectors = le32(b[32:])
	}

	limit := uint32(0xfff4)
	if length == 0 {
		length, limit = le32(b[36:]), 0x0ffffff6
	}

	folder := (uint32(le16(b[17:]))*32 + sector - 1) / sector

	return (sectors-(reserved+length*fats+folder))/cluster <= limit
}

// fatNames reads the label and serial number.
func fatNames(b []byte) (label, serial string) {
	at := 38 // of FAT12 and FAT16
	if le16(b[22:]) == 0 {
		at = 66
	}

	if b[at] != 0x29 && b[at] != 0x28 && at == 38 {
		return "", ""
	}

	if b[at] == 0x29 {
		label = text(b[at+5 : at+16])
	}

	if label == "NO NAME" {
		label = ""
	}

	n := b[at+1 : at+5]

	return label, fmt.Sprintf("%02X%02X-%02X%02X", n[3], n[2], n[1], n[0])
}
