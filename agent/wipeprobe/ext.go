package wipeprobe

// ext looks for ext2, ext3, ext4 and external journals of them, by the superblock and
// by its first copy, which is where the second group of blocks begins.
func (d *disk) ext() {
	const magic, blockSize, group = 0x38, 0x18, 0x5a

	places := []struct {
		super int64
		shift uint32 // the block size is 1 KiB << shift
	}{{1 << 10, 0}, {8193 << 10, 0}, {32 << 20, 1}, {128 << 20, 2}}

	for i, p := range places {
		b := d.at(p.super, 0x180)
		if b == nil || le16(b[magic:]) != 0xef53 {
			continue
		}

		shift := le32(b[blockSize:])
		if i == 0 && shift > 0xff || i > 0 && (shift != p.shift || le16(b[group:]) != 1) {
			continue
		}

		d.found(Signature{extName(b), extUsage(b), p.super + magic, text(b[0x78:0x88]), uuid(b[0x68:0x78])})
	}
}

// Features of a superblock that tell the kinds apart.
const (
	extJournal    = 1 << 2 // compatible
	extJournalDev = 1 << 3 // incompatible
	extTest       = 1 << 2 // flags

	ext2ReadOnly = 1 | 1<<1 | 1<<2
	ext2Open     = 1<<1 | 1<<4
	ext3Open     = ext2Open | 1<<2
)

// extName tells which of the family a superblock is of.
func extName(b []byte) string {
	compatible, open, readOnly := le32(b[0x5c:]), le32(b[0x60:]), le32(b[0x64:])

	switch {
	case open&extJournalDev != 0:
		return "jbd"
	case le32(b[0x160:])&extTest != 0:
		return "ext4dev"
	case readOnly&^ext2ReadOnly != 0, open&^ext3Open != 0:
		return "ext4"
	case compatible&extJournal != 0:
		return "ext3"
	default:
		return "ext2"
	}
}

// extUsage is what that is used for.
func extUsage(b []byte) string {
	if extName(b) == "jbd" {
		return Other
	}

	return Filesystem
}
