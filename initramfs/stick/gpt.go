package stick

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"unicode/utf16"
)

// GUID is a GUID in the order of its text; on the disk its first three parts are
// little-endian (UEFI 2.10 appendix A).
type GUID [16]byte

func (g GUID) disk() (d [16]byte) {
	d = g
	d[0], d[1], d[2], d[3] = g[3], g[2], g[1], g[0]
	d[4], d[5], d[6], d[7] = g[5], g[4], g[7], g[6]

	return d
}

// typeESP is the type of an EFI system partition.
func typeESP() GUID {
	return GUID{0xc1, 0x2a, 0x73, 0x28, 0xf8, 0x1f, 0x11, 0xd2, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b}
}

// typeLinux is the type of a partition with a file system of Linux.
func typeLinux() GUID {
	return GUID{0x0f, 0xc6, 0x3d, 0xaf, 0x84, 0x83, 0x47, 0x72, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4}
}

// partition is a part of the disk, in bytes.
type partition struct {
	kind, id GUID
	at, size int64
	name     string
}

const (
	gptEntries   = 128
	gptEntrySize = 128
	gptSectors   = gptEntries * gptEntrySize / sector // of the entries
	gptFirst     = 2 + gptSectors                     // usable LBA
)

// gpt puts the partition tables on the disk: the protective MBR with boot code, and
// the GPT at both ends. code is up to 446 bytes.
func (d *Disk) gpt(id GUID, code []byte, parts []partition) error {
	if len(code) > 446 || d.Size%sector != 0 || d.Size < 2*mib {
		return errors.New("laying out the partition table: the boot code is too long, or the disk is too small or odd")
	}

	last := d.Size/sector - 1
	entries := make([]byte, gptEntries*gptEntrySize)

	for i, p := range parts {
		e := entries[i*gptEntrySize:]
		kind, own := p.kind.disk(), p.id.disk()
		copy(e, kind[:])
		copy(e[16:], own[:])
		binary.LittleEndian.PutUint64(e[32:], uint64(p.at/sector))            //nolint:gosec // within the disk
		binary.LittleEndian.PutUint64(e[40:], uint64((p.at+p.size)/sector-1)) //nolint:gosec // within the disk

		for k, unit := range utf16.Encode([]rune(p.name)) {
			binary.LittleEndian.PutUint16(e[56+2*k:], unit)
		}
	}

	d.putTable(0, mbr(code, last))
	d.putTable(sector, gptHeader(id, entries, 1, last, 2, last))
	d.putTable(2*sector, entries)
	d.putTable((last-gptSectors)*sector, entries)
	d.putTable(last*sector, gptHeader(id, entries, last, 1, last-gptSectors, last))

	return nil
}

// mbr is the protective MBR (§5.2.3). Its entry is marked active, which the standard
// tells firmware to ignore and some BIOSes want before they start a stick.
func mbr(code []byte, last int64) []byte {
	out := make([]byte, sector)
	copy(out, code)

	e := out[446:]
	copy(e, []byte{0x80, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0})
	binary.LittleEndian.PutUint32(e[12:], uint32(min(last, 0xffffffff))) //nolint:gosec // capped
	out[510], out[511] = 0x55, 0xaa

	return out
}

// gptHeader is the header that lies at self, table 5-5; last is the disk's last LBA.
func gptHeader(id GUID, entries []byte, self, other, table, last int64) []byte {
	const size = 92

	h, guid, le := make([]byte, sector), id.disk(), binary.LittleEndian
	copy(h, "EFI PART")
	le.PutUint32(h[8:], 0x00010000)
	le.PutUint32(h[12:], size)
	le.PutUint64(h[24:], uint64(self))              //nolint:gosec // an LBA
	le.PutUint64(h[32:], uint64(other))             //nolint:gosec // an LBA
	le.PutUint64(h[40:], gptFirst)                  // first usable
	le.PutUint64(h[48:], uint64(last-gptSectors-1)) //nolint:gosec // an LBA
	copy(h[56:], guid[:])
	le.PutUint64(h[72:], uint64(table)) //nolint:gosec // an LBA
	le.PutUint32(h[80:], gptEntries)
	le.PutUint32(h[84:], gptEntrySize)
	le.PutUint32(h[88:], crc32.ChecksumIEEE(entries))
	le.PutUint32(h[16:], crc32.ChecksumIEEE(h[:size]))

	return h
}

// String is the usual form: "c12a7328-f81f-11d2-ba4b-00a0c93ec93b".
func (g GUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", g[:4], g[4:6], g[6:8], g[8:10], g[10:])
}
