package wipeprobe_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vetting/agent/wipeprobe"
)

const mib = 1 << 20

// fixture is what a format for which no tool is at hand writes.
type fixture struct {
	name  string // of the test, where it is not want's
	size  int64  // 64 MiB where it is not told
	bytes map[int64]string
	want  wipeprobe.Signature
	blkid bool // blkid of any version must find it as well
}

// put writes values into a block of n bytes.
func put(n int, at map[int]any) string {
	b := make([]byte, n)

	for offset, v := range at {
		switch v := v.(type) {
		case string:
			copy(b[offset:], v)
		case uint8:
			b[offset] = v
		case uint16:
			binary.LittleEndian.PutUint16(b[offset:], v)
		case uint32:
			binary.LittleEndian.PutUint32(b[offset:], v)
		case uint64:
			binary.LittleEndian.PutUint64(b[offset:], v)
		default:
			panic(v)
		}
	}

	return string(b)
}

const (
	uuidRaw  = "\x12\x34\x56\x78\x9a\xbc\xde\xf0\x01\x23\x45\x67\x89\xab\xcd\xef"
	uuidText = "12345678-9abc-def0-0123-456789abcdef"
	lvmRaw   = "abcdef0123456789ABCDEF0123456789"
	lvmText  = "abcdef-0123-4567-89AB-CDEF-0123-456789"
)

func fixtures() []fixture {
	const size = 64 * mib

	fs, raid, crypto, other, table := wipeprobe.Filesystem, wipeprobe.RAID, wipeprobe.Crypto, wipeprobe.Other, wipeprobe.PartitionTable

	md := func(at int64) string {
		b := []byte(put(256, map[int]any{
			0: uint32(0xa92b4efc), 4: uint32(1), 16: uuidRaw, 32: "host:0", 144: uint64(at / 512), 80: uint64(1024),
		}))

		var sum uint64
		for i := 0; i < len(b); i += 4 {
			sum += uint64(binary.LittleEndian.Uint32(b[i:]))
		}

		binary.LittleEndian.PutUint32(b[216:], uint32(sum>>32)+uint32(sum))

		return string(b)
	}

	jm := []byte(put(128, map[int]any{0: "JM", 2: uint16(0x0101), 48: uint8(1)}))
	sum := uint16(0)
	for i := 0; i < len(jm); i += 2 {
		sum += binary.LittleEndian.Uint16(jm[i:])
	}
	binary.LittleEndian.PutUint16(jm[4:], -sum)

	// 0x2f00 is the one word of the magic that is not zero.
	silicon := put(512, map[int]any{0x60: uint32(0x2f000000), 0x13e: uint16(0x10000 - 0x2f00)})
	via := put(51, map[int]any{0: uint16(0xaa55), 2: uint8(1), 50: uint8(0)}) // 0x55 + 0xaa + 1 is 0x100

	nvidia := []byte(put(120, map[int]any{0: "NVIDIA  ", 8: uint32(30), 16: uint16(100)}))
	checksum := uint32(0)
	for i := 0; i < len(nvidia); i += 4 {
		checksum -= binary.LittleEndian.Uint32(nvidia[i:])
	}
	binary.LittleEndian.PutUint32(nvidia[12:], checksum)

	return []fixture{
		{
			name: "md 0.90", blkid: true, want: wipeprobe.Signature{Name: "linux_raid_member", Usage: raid, Offset: size - 0x10000, UUID: uuidText},
			bytes: map[int64]string{size - 0x10000: put(128, map[int]any{
				0: uint32(0xa92b4efc), 8: uint32(90), 20: uint32(0x12345678), 32: uint32(1024),
				52: uint32(0x9abcdef0), 56: uint32(0x01234567), 60: uint32(0x89abcdef),
			})},
		},
		{
			name: "md 0.90 of a big-endian machine", blkid: true,
			want: wipeprobe.Signature{Name: "linux_raid_member", Usage: raid, Offset: size - 0x10000, UUID: uuidText},
			bytes: map[int64]string{size - 0x10000: put(128, map[int]any{
				0: "\xa9\x2b\x4e\xfc", 11: uint8(90), 20: uuidRaw[:4], 34: uint8(4), 52: uuidRaw[4:],
			})},
		},
		{
			name: "md 1.0", blkid: true, bytes: map[int64]string{size - 0x2000: md(size - 0x2000)},
			want: wipeprobe.Signature{Name: "linux_raid_member", Usage: raid, Offset: size - 0x2000, Label: "host:0", UUID: uuidText},
		},
		{
			name: "md 1.1", blkid: true, bytes: map[int64]string{0: md(0)},
			want: wipeprobe.Signature{Name: "linux_raid_member", Usage: raid, Label: "host:0", UUID: uuidText},
		},
		{
			name: "md 1.2", blkid: true, bytes: map[int64]string{4096: md(4096)},
			want: wipeprobe.Signature{Name: "linux_raid_member", Usage: raid, Offset: 4096, Label: "host:0", UUID: uuidText},
		},
		{
			name: "md 1.0 whose size is no multiple of 4 KiB", size: size + 3*512, blkid: true,
			bytes: map[int64]string{size - 0x2000: md(size - 0x2000)},
			want:  wipeprobe.Signature{Name: "linux_raid_member", Usage: raid, Offset: size - 0x2000, Label: "host:0", UUID: uuidText},
		},
		{
			bytes: map[int64]string{size - 512: "\xde\x11\xde\x11\x00\x00\x00\x00Linux-MD0123456789abcdef01.02.00"},
			want:  wipeprobe.Signature{Name: "ddf_raid_member", Usage: raid, Offset: size - 512, UUID: "Linux-MD0123456789abcdef"},
		},
		{
			bytes: map[int64]string{size - 1024: "Intel Raid ISM Cfg Sig. 1.3.00"}, blkid: true,
			want: wipeprobe.Signature{Name: "isw_raid_member", Usage: raid, Offset: size - 1024},
		},
		{
			name: "isw of 4 KiB sectors", bytes: map[int64]string{size - 8192: "Intel Raid ISM Cfg Sig. 1.3.00"},
			want: wipeprobe.Signature{Name: "isw_raid_member", Usage: raid, Offset: size - 8192},
		},
		{bytes: map[int64]string{size - 512: "$XIDE$"}, blkid: true, want: wipeprobe.Signature{Name: "lsi_mega_raid_member", Usage: raid, Offset: size - 512}},
		{bytes: map[int64]string{size - 512: via}, blkid: true, want: wipeprobe.Signature{Name: "via_raid_member", Usage: raid, Offset: size - 512}},
		{bytes: map[int64]string{size - 512: silicon}, blkid: true, want: wipeprobe.Signature{Name: "silicon_medley_raid_member", Usage: raid, Offset: size - 512 + 0x60}},
		{bytes: map[int64]string{size - 1024: string(nvidia)}, blkid: true, want: wipeprobe.Signature{Name: "nvidia_raid_member", Usage: raid, Offset: size - 1024}},
		{
			bytes: map[int64]string{size - 3087*512: "Promise Technology, Inc."}, blkid: true,
			want: wipeprobe.Signature{Name: "promise_fasttrack_raid_member", Usage: raid, Offset: size - 3087*512},
		},
		{bytes: map[int64]string{size - 11*512: "\xfd\x16\x78\x5a"}, blkid: true, want: wipeprobe.Signature{Name: "hpt45x_raid_member", Usage: raid, Offset: size - 11*512}},
		{bytes: map[int64]string{4640: "\xf0\x16\x78\x5a"}, blkid: true, want: wipeprobe.Signature{Name: "hpt37x_raid_member", Usage: raid, Offset: 4640}},
		{bytes: map[int64]string{size - 512: "\x37\xfc\x4d\x1e"}, want: wipeprobe.Signature{Name: "adaptec_raid_member", Usage: raid, Offset: size - 512}},
		{bytes: map[int64]string{size - 512: string(jm)}, blkid: true, want: wipeprobe.Signature{Name: "jmicron_raid_member", Usage: raid, Offset: size - 512}},

		{
			bytes: map[int64]string{0: put(512, map[int]any{0: "HM", 2: uint16(1), 44: lvmRaw})}, blkid: true,
			want: wipeprobe.Signature{Name: "LVM1_member", Usage: raid, UUID: lvmText},
		},
		{
			bytes: map[int64]string{512: put(512, map[int]any{0: "LABELONE", 24: "LVM2 001", 32: lvmRaw})},
			want:  wipeprobe.Signature{Name: "LVM2_member", Usage: raid, Offset: 536, UUID: lvmText},
		},
		{bytes: map[int64]string{0: "SnAp"}, blkid: true, want: wipeprobe.Signature{Name: "DM_snapshot_cow", Usage: other}},
		{
			bytes: map[int64]string{0: put(512, map[int]any{0: "integrt", 8: uint8(1)})}, blkid: true,
			want: wipeprobe.Signature{Name: "DM_integrity", Usage: crypto},
		},
		{
			name: "the second header of LUKS2 alone", blkid: true,
			bytes: map[int64]string{0x8000: put(512, map[int]any{0: "SKUL\xba\xbe\x00\x02", 24: "mine", 168: uuidText, 262: "\x80\x00"})},
			want:  wipeprobe.Signature{Name: "crypto_LUKS", Usage: crypto, Offset: 0x8000, Label: "mine", UUID: uuidText},
		},
		{
			name: "BitLocker of Windows Vista", bytes: map[int64]string{0: "\xeb\x52\x90-FVE-FS-"}, blkid: true,
			want: wipeprobe.Signature{Name: "BitLocker", Usage: crypto},
		},
		{
			name: "BitLocker of Windows 7", blkid: true,
			bytes: map[int64]string{
				0:    put(512, map[int]any{0: "\xeb\x58\x90-FVE-FS-", 176: uint64(4096)}),
				4096: put(512, map[int]any{0: "-FVE-FS-", 10: uint16(2), 64: uint32(48)}),
			},
			want: wipeprobe.Signature{Name: "BitLocker", Usage: crypto},
		},
		{
			name: "BitLocker To Go", blkid: true,
			bytes: map[int64]string{
				0:    put(512, map[int]any{0: "\xeb\x58\x90MSWIN4.1", 440: uint64(8192)}),
				8192: put(512, map[int]any{0: "-FVE-FS-", 10: uint16(2), 64: uint32(48)}),
			},
			want: wipeprobe.Signature{Name: "BitLocker", Usage: crypto},
		},
		{
			bytes: map[int64]string{0: put(512, map[int]any{8: uint16(1), 10: uint16(0x10), 88: "CS", 90: uint32(1), 168: uint32(16), 304: uuidRaw})},
			want:  wipeprobe.Signature{Name: "cs_fvault2", Usage: crypto, Offset: 88, UUID: uuidText},
		},
		{
			bytes: map[int64]string{0: "bluestore block device\n" + uuidText + "\n"}, blkid: true,
			want: wipeprobe.Signature{Name: "ceph_bluestore", Usage: other, UUID: uuidText},
		},
		{
			name: "drbd 8", blkid: true, bytes: map[int64]string{size - 4096: put(4096, map[int]any{36: "", 40: uuidRaw[:8], 60: "\x83\x74\x02\x6b", 82: uint8(0x10)})},
			want: wipeprobe.Signature{Name: "drbd", Usage: raid, Offset: size - 4096 + 60, UUID: "123456789abcdef0"},
		},
		{
			name: "drbd 9", blkid: true, bytes: map[int64]string{size - 4096: put(4096, map[int]any{48: uuidRaw[:8], 60: "\x83\x74\x02\x6d", 82: uint8(0x10)})},
			want: wipeprobe.Signature{Name: "drbd", Usage: raid, Offset: size - 4096 + 60, UUID: "123456789abcdef0"},
		},
		{
			bytes: map[int64]string{0: "$DRBDmgr=q\n" + strings.Repeat("ab", 16) + "\n"}, blkid: true,
			want: wipeprobe.Signature{Name: "drbdmanage_control_volume", Usage: other, UUID: strings.Repeat("ab", 16)},
		},
		{
			bytes: map[int64]string{0: put(512, map[int]any{0: "DRBDdlh*", 16: uuidRaw})}, blkid: true,
			want: wipeprobe.Signature{Name: "drbdproxy_datalog", Usage: fs, UUID: uuidText},
		},
		{
			bytes: map[int64]string{0: put(512, map[int]any{0: "dmvdo001", 40: uuidRaw})}, blkid: true,
			want: wipeprobe.Signature{Name: "vdo", Usage: other, UUID: uuidText},
		},
		{
			name: "stratis, first copy", bytes: map[int64]string{512: put(512, map[int]any{4: "!Stra0tis\x86\xff\x02^\x41rh", 64: strings.Repeat("0123456789abcdef", 2)})},
			want: wipeprobe.Signature{Name: "stratis", Usage: raid, Offset: 516, UUID: "01234567-89ab-cdef-0123-456789abcdef"},
		},
		{
			name: "stratis, second copy", bytes: map[int64]string{4608: put(512, map[int]any{4: "!Stra0tis\x86\xff\x02^\x41rh"})},
			want: wipeprobe.Signature{Name: "stratis", Usage: raid, Offset: 4612},
		},
		{
			bytes: map[int64]string{mib: put(1024, map[int]any{0: uint32(0xc001d00d), 532: uuidText[:35]})}, blkid: true,
			want: wipeprobe.Signature{Name: "VMFS_volume_member", Usage: raid, Offset: mib, UUID: uuidText[:35]},
		},
		{
			bytes: map[int64]string{2 * mib: put(512, map[int]any{0: uint32(0x2fabf15e), 9: uuidRaw, 29: "datastore1"})}, blkid: true,
			want: wipeprobe.Signature{Name: "VMFS", Usage: fs, Offset: 2 * mib, Label: "datastore1", UUID: "78563412-f0debc9a-2301-456789abcdef"},
		},
		{
			name: "zfs, both ends", blkid: true, bytes: zfsLabels(0, 256<<10, size-512<<10, size-256<<10),
			want: wipeprobe.Signature{Name: "zfs_member", Usage: fs, Offset: 16 << 10, Label: "tank", UUID: "1311768467463790320"},
		},
		{
			name: "zfs, the last label alone", bytes: zfsLabels(size - 256<<10),
			want: wipeprobe.Signature{Name: "zfs_member", Usage: fs, Offset: size - 240<<10, Label: "tank", UUID: "1311768467463790320"},
		},
		{
			name: "zfs, the third label at an odd size", size: size + 100<<10, bytes: zfsLabels(size - 512<<10),
			want: wipeprobe.Signature{Name: "zfs_member", Usage: fs, Offset: size - 496<<10, Label: "tank", UUID: "1311768467463790320"},
		},
		{
			name: "zfs, one uberblock alone", bytes: map[int64]string{256<<10 + 130<<10: "\x0c\xb1\xba\x00\x00\x00\x00\x00"},
			want: wipeprobe.Signature{Name: "zfs_member", Usage: fs, Offset: 386 << 10},
		},

		{name: "swsuspend", bytes: map[int64]string{1024: put(512, map[int]any{0: uint32(1), 4: uint32(9)}), 4086: "S1SUSPEND"}, blkid: true, want: wipeprobe.Signature{Name: "swsuspend", Usage: other, Offset: 4086}},
		{name: "swap of version 0", bytes: map[int64]string{4086: "SWAP-SPACE"}, blkid: true, want: wipeprobe.Signature{Name: "swap", Usage: other, Offset: 4086}},
		{
			bytes: map[int64]string{0: put(512, map[int]any{0: "\xfe\xed\xba\xbe", 8: "\x00\x00\x00\x02", 12: "\x00\x00\x02\x00", 300: "\x00\x00\x00\x01", 304: uuidRaw})},
			blkid: true, want: wipeprobe.Signature{Name: "xfs_external_log", Usage: other, UUID: uuidText},
		},
		{name: "bcachefs", bytes: map[int64]string{4096: put(512, map[int]any{24: "\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef", 56: uuidRaw, 72: "b"})}, want: wipeprobe.Signature{Name: "bcachefs", Usage: fs, Offset: 4120, Label: "b", UUID: uuidText}},
		{name: "reiserfs 3.5", bytes: map[int64]string{8192: put(512, map[int]any{20: "ReIsErFs", 44: uint16(4096), 24: ""})}, want: wipeprobe.Signature{Name: "reiserfs", Usage: fs, Offset: 8212}},
		{
			bytes: map[int64]string{65536: put(512, map[int]any{0: "ReIsEr4", 18: uint16(16), 20: uuidRaw, 36: "four"})}, blkid: true,
			want: wipeprobe.Signature{Name: "reiser4", Usage: fs, Offset: 65536, Label: "four", UUID: uuidText},
		},
		{
			bytes: map[int64]string{32768: put(2048, map[int]any{0: "\x01CD001\x01", 40: "DEBIAN 12                       "})},
			want:  wipeprobe.Signature{Name: "iso9660", Usage: fs, Offset: 32769, Label: "DEBIAN 12"},
		},
		{name: "High Sierra", bytes: map[int64]string{32777: "CDROM"}, want: wipeprobe.Signature{Name: "iso9660", Usage: fs, Offset: 32777}},
		{bytes: map[int64]string{8192: "\x49\xe8\x95\xf9", 8704: "\x49\x18\x91\xf9"}, blkid: true, want: wipeprobe.Signature{Name: "hpfs", Usage: fs, Offset: 8192}},
		{bytes: map[int64]string{1024: put(512, map[int]any{0: "BD", 22: "\x02\x00", 36: uint8(3), 37: "Mac"})}, blkid: true, want: wipeprobe.Signature{Name: "hfs", Usage: fs, Offset: 1024, Label: "Mac"}},
		{bytes: map[int64]string{1024: put(512, map[int]any{0: "H+\x00\x04", 42: "\x10\x00"})}, blkid: true, want: wipeprobe.Signature{Name: "hfsplus", Usage: fs, Offset: 1024}},
		{name: "HFS+ in HFS", bytes: map[int64]string{1024: put(512, map[int]any{0: "BD", 22: "\x02\x00", 124: "H+"})}, want: wipeprobe.Signature{Name: "hfsplus", Usage: fs, Offset: 1024}},
		{name: "UFS2", bytes: map[int64]string{65536: put(2048, map[int]any{1372: uint32(0x19540119), 144: uint32(0x12345678), 148: uint32(0x9abcdef0), 680: "root"})}, blkid: true, want: wipeprobe.Signature{Name: "ufs", Usage: fs, Offset: 65536 + 1372, Label: "root", UUID: "123456789abcdef0"}},
		{name: "UFS1 of a big-endian machine", bytes: map[int64]string{8192: put(2048, map[int]any{1372: "\x00\x01\x19\x54"})}, blkid: true, want: wipeprobe.Signature{Name: "ufs", Usage: fs, Offset: 8192 + 1372}},
		{bytes: map[int64]string{9<<10 + 512: put(512, map[int]any{504: uint32(0xfd187e20), 440: "root"})}, blkid: true, want: wipeprobe.Signature{Name: "sysv", Usage: fs, Offset: 9<<10 + 512 + 504, Label: "root"}},
		{bytes: map[int64]string{2048: "\x2b\x55\x44"}, blkid: true, want: wipeprobe.Signature{Name: "xenix", Usage: fs, Offset: 2048}},
		{bytes: map[int64]string{0: "\x00\x00\x00ReFS\x00"}, blkid: true, want: wipeprobe.Signature{Name: "ReFS", Usage: fs}},
		{bytes: map[int64]string{8192: "OracleCFS"}, want: wipeprobe.Signature{Name: "ocfs", Usage: fs, Offset: 8192}},
		{bytes: map[int64]string{4096: put(512, map[int]any{0: "OCFSV2", 272: "cluster", 336: uuidRaw})}, blkid: true, want: wipeprobe.Signature{Name: "ocfs2", Usage: fs, Offset: 4096, Label: "cluster", UUID: uuidText}},
		{bytes: map[int64]string{32: "ORCLDISKDATA01"}, blkid: true, want: wipeprobe.Signature{Name: "oracleasm", Usage: fs, Offset: 32, Label: "DATA01"}},
		{bytes: map[int64]string{1024: "\xf5\xfc\x01\xa5"}, blkid: true, want: wipeprobe.Signature{Name: "vxfs", Usage: fs, Offset: 1024}},
		{bytes: map[int64]string{4096: put(512, map[int]any{0: "SPB5", 348: uuidRaw})}, blkid: true, want: wipeprobe.Signature{Name: "nss", Usage: fs, Offset: 4096, UUID: uuidText}},
		{bytes: map[int64]string{65536: put(512, map[int]any{0: "\x01\x16\x19\x70", 24: "\x00\x00\x05\x1d\x00\x00\x05\x79", 160: "c:old"})}, blkid: true, want: wipeprobe.Signature{Name: "gfs", Usage: fs, Offset: 65536, Label: "c:old"}},
		{bytes: map[int64]string{65536: put(512, map[int]any{0: "\x01\x16\x19\x70", 24: "\x00\x00\x07\x09\x00\x00\x07\x6c", 160: "c:new", 256: uuidRaw})}, blkid: true, want: wipeprobe.Signature{Name: "gfs2", Usage: fs, Offset: 65536, Label: "c:new", UUID: uuidText}},
		{bytes: map[int64]string{0: put(512, map[int]any{0: "\x31\x18\x10\x06", 108: uuidRaw})}, want: wipeprobe.Signature{Name: "ubifs", Usage: fs, UUID: uuidText}},
		{bytes: map[int64]string{0: "UBI#"}, want: wipeprobe.Signature{Name: "ubi", Usage: raid}},
		{bytes: map[int64]string{0: put(128, map[int]any{32: "NXSB", 72: uuidRaw})}, want: wipeprobe.Signature{Name: "apfs", Usage: fs, Offset: 32, UUID: uuidText}},
		{bytes: map[int64]string{0: put(128, map[int]any{0: "SFOZ", 8: "zoned", 40: uuidRaw})}, want: wipeprobe.Signature{Name: "zonefs", Usage: fs, Label: "zoned", UUID: uuidText}},
		{bytes: map[int64]string{0: put(128, map[int]any{0: "mpoolDev", 8: "pool", 40: uuidRaw})}, want: wipeprobe.Signature{Name: "mpool", Usage: fs, Label: "pool", UUID: uuidText}},
		{bytes: map[int64]string{0: put(160, map[int]any{0: "BeOS", 32: "1SFB"})}, want: wipeprobe.Signature{Name: "befs", Usage: fs, Offset: 32, Label: "BeOS"}},
		{bytes: map[int64]string{65536: put(128, map[int]any{4: "\x8b\x42\x3c\x10", 48: uint8(1), 56: uuidRaw})}, want: wipeprobe.Signature{Name: "scoutfs_meta", Usage: fs, Offset: 65540, UUID: uuidText}},
		{bytes: map[int64]string{65536: put(128, map[int]any{4: "\x8b\x42\x3c\x10", 56: uuidRaw})}, want: wipeprobe.Signature{Name: "scoutfs_data", Usage: fs, Offset: 65540, UUID: uuidText}},
		{bytes: map[int64]string{0: "EXFS"}, want: wipeprobe.Signature{Name: "exfs", Usage: fs}},
		{name: "squashfs 3", bytes: map[int64]string{0: put(96, map[int]any{0: "hsqs", 28: uint16(3)})}, blkid: true, want: wipeprobe.Signature{Name: "squashfs3", Usage: fs}},
		{bytes: map[int64]string{0: put(64, map[int]any{0: "-rom1fs-", 16: "rom"})}, want: wipeprobe.Signature{Name: "romfs", Usage: fs, Label: "rom"}},
		{name: "the second copy of btrfs alone", size: 80 * mib, bytes: map[int64]string{64 * mib: put(4096, map[int]any{64: "_BHRfS_M", 32: uuidRaw, 299: "pool"})}, want: wipeprobe.Signature{Name: "btrfs", Usage: fs, Offset: 64*mib + 64, Label: "pool", UUID: uuidText}},

		{name: "GPT of 4 KiB sectors", bytes: map[int64]string{4096: put(512, map[int]any{0: "EFI PART", 56: uuidRaw})}, want: wipeprobe.Signature{Name: "gpt", Usage: table, Offset: 4096, UUID: "78563412-bc9a-f0de-0123-456789abcdef"}},
		{name: "backup GPT of 4 KiB sectors", bytes: map[int64]string{size - 4096: "EFI PART"}, want: wipeprobe.Signature{Name: "gpt", Usage: table, Offset: size - 4096}},
		{name: "backup GPT", bytes: map[int64]string{size - 512: "EFI PART"}, want: wipeprobe.Signature{Name: "gpt", Usage: table, Offset: size - 512}},
		{name: "protective table alone", blkid: true, bytes: map[int64]string{0: put(512, map[int]any{450: uint8(0xee), 454: uint32(1), 458: uint32(99), 510: uint16(0xaa55)})}, want: wipeprobe.Signature{Name: "PMBR", Usage: table, Offset: 510}},
		{
			bytes: map[int64]string{0: put(512, map[int]any{440: uint32(0xcafe), 446: uint8(0x80), 450: uint8(7), 454: uint32(1), 458: uint32(99), 466: uint8(0x8e), 474: uint32(9), 510: uint16(0xaa55)})},
			blkid: true, want: wipeprobe.Signature{Name: "dos", Usage: table, Offset: 510, Label: "types 0x07 0x8e", UUID: "0000cafe"},
		},
		{bytes: map[int64]string{0: "\xc9\xc2\xd4\xc1"}, blkid: true, want: wipeprobe.Signature{Name: "aix", Usage: table}},
		{bytes: map[int64]string{0: put(512, map[int]any{0: "ER\x02\x00"}), 512: "PM"}, blkid: true, want: wipeprobe.Signature{Name: "mac", Usage: table}},
		{bytes: map[int64]string{16312: put(72, map[int]any{0: uint32(0x032957), 4: uint32(1)})}, blkid: true, want: wipeprobe.Signature{Name: "ultrix", Usage: table, Offset: 16312}},
		{bytes: map[int64]string{512: "\x57\x45\x56\x82"}, want: wipeprobe.Signature{Name: "bsd", Usage: table, Offset: 512}},
		{bytes: map[int64]string{14848: put(160, map[int]any{4: uint32(0xca5e600d), 156: uint32(0x600ddeee)})}, want: wipeprobe.Signature{Name: "unixware", Usage: table, Offset: 14852}},
		{bytes: map[int64]string{512: put(64, map[int]any{12: uint32(0x600ddeee), 16: uint32(1)})}, blkid: true, want: wipeprobe.Signature{Name: "solaris", Usage: table, Offset: 524}},
		{bytes: map[int64]string{8192: "\xe5\xd6\xd3\xf1\xe5\xd6\xd3\xf1"}, want: wipeprobe.Signature{Name: "dasd", Usage: table, Offset: 8196}},
		{
			bytes: map[int64]string{0: put(512, map[int]any{0x1c2: "\x00\x01\x00\x00", 0x1c6: "\x01GEM\x00\x00\x00\x02\x00\x00\x10\x00"})}, blkid: true,
			want: wipeprobe.Signature{Name: "atari", Usage: table, Offset: 0x1c6},
		},
	}
}

// zfsLabels writes labels of a pool: names and values, and a ring of uberblocks.
func zfsLabels(places ...int64) map[int64]string {
	pair := func(name string, kind uint32, value []byte) []byte {
		pad := func(b []byte) []byte { return append(b, make([]byte, (4-len(b)%4)%4)...) }
		be := binary.BigEndian.AppendUint32
		body := append(pad([]byte(name)), be(be(nil, kind), 1)...)
		body = append(body, value...)

		return append(be(be(be(nil, uint32(12+len(body))), 64), uint32(len(name))), body...)
	}
	number := func(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

	list := slices.Concat([]byte{1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
		pair("version", 8, number(5000)), pair("name", 9, append(binary.BigEndian.AppendUint32(nil, 4), "tank"...)),
		pair("state", 8, number(0)), pair("txg", 8, number(4)), pair("pool_guid", 8, number(0x123456789abcdef0)), pair("guid", 8, number(7)),
		make([]byte, 8))

	all := map[int64]string{}
	for _, at := range places {
		all[at+16<<10] = string(list)

		for i := range int64(8) {
			all[at+128<<10+i<<10] = put(40, map[int]any{0: uint64(0xbab10c), 8: uint64(5000), 16: uint64(4)})
		}
	}

	return all
}

// sparse is a disk of zeros with some bytes on it.
type sparse struct {
	size  int64
	bytes map[int64]string
}

func (s sparse) ReadAt(p []byte, at int64) (int, error) {
	clear(p)

	for offset, text := range s.bytes {
		if skip := at - offset; skip >= 0 && skip < int64(len(text)) {
			copy(p, text[skip:])
		} else if skip < 0 && -skip < int64(len(p)) {
			copy(p[-skip:], text)
		}
	}

	return len(p), nil
}

func TestFindsWhatNoToolIsAtHandFor(t *testing.T) {
	t.Parallel()

	for _, f := range fixtures() {
		if f.name == "" {
			f.name = f.want.Name
		}

		if f.size == 0 {
			f.size = 64 * mib
		}

		t.Run(f.name, func(t *testing.T) {
			t.Parallel()

			got, err := wipeprobe.Probe(t.Context(), sparse{f.size, f.bytes}, f.size, 512)
			if err != nil {
				t.Fatal(err)
			}

			if !slices.Contains(got.Signatures, f.want) || got.Blank() {
				t.Errorf("found %+v, want %+v", got.Signatures, f.want)
			}

			for _, s := range got.Signatures {
				if s.Name != f.want.Name {
					t.Errorf("found %+v as well", s)
				}
			}
		})
	}
}

// TestBlkidKnowsTheFixtures holds the fixtures against blkid, so that they are not
// merely what the probe looks for.
func TestBlkidKnowsTheFixtures(t *testing.T) {
	t.Parallel()
	needs(t)

	for i, f := range fixtures() {
		image := filepath.Join(t.TempDir(), "image")

		file, err := os.Create(image)
		if err != nil {
			t.Fatal(err)
		}

		size := f.size
		if size == 0 {
			size = 64 * mib
		}

		err = file.Truncate(size)
		for at, text := range f.bytes {
			_, e := file.WriteAt([]byte(text), at)
			err = errors.Join(err, e)
		}

		if err := errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}

		said := blkid(t, image)
		names := []string{said["TYPE"], said["PTTYPE"]}

		if !slices.Contains(names, f.want.Name) && f.blkid {
			t.Errorf("%d %s: blkid says %q", i, f.want.Name, said)
		}

		compare(t, probeFile(t, image), said, wipefs(t, image))
	}
}

func TestReadsTheListOfMagics(t *testing.T) {
	t.Parallel()

	rows, err := wipeprobe.ParseMagics(wipeprobe.MagicText)
	if err != nil || len(rows) < 80 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}

	for _, bad := range []string{"x\n", "a\tb\tc\td\te\tf\tg\n", "a\tb\t0\t0\t\"\t-\t-\n"} {
		if rows, err := wipeprobe.ParseMagics(bad); err == nil {
			t.Errorf("%q read as %+v", bad, rows)
		}
	}
}

// TestKnowsAllThatBlkidKnows holds the names against those of the installed blkid.
func TestKnowsAllThatBlkidKnows(t *testing.T) {
	t.Parallel()
	needs(t)

	out, err := exec.CommandContext(t.Context(), "blkid", "-k").Output()
	if err != nil {
		t.Fatal(err)
	}

	source := new(bytes.Buffer)

	for _, name := range []string{"magic.tsv", "raid.go", "volume.go", "filesystem.go", "ext.go", "fat.go", "partition.go"} {
		part, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}

		source.Write(part)
	}

	if known := strings.Fields(string(out)); len(known) < 70 {
		t.Fatalf("blkid knows %d formats; the test proves nothing", len(known))
	}

	for name := range strings.FieldsSeq(string(out)) {
		if !strings.Contains(source.String(), "\n"+name+"\t") && !strings.Contains(source.String(), `"`+name+`"`) {
			t.Errorf("blkid knows %s", name)
		}
	}
}

// TestIgnoresWhatIsNone writes bytes that only look like a format.
func TestIgnoresWhatIsNone(t *testing.T) {
	t.Parallel()

	for name, b := range map[string]map[int64]string{
		"boot code without a table": {0: put(512, map[int]any{446: uint8(0x12), 510: uint16(0xaa55)})},
		"JM without a checksum":     {64*mib - 512: "JM\x01\x01\x01"},
		"via with a wrong checksum": {64*mib - 512: put(512, map[int]any{0: uint16(0xaa55), 2: uint8(1), 50: uint8(7)})},
		"NILFS2 without a checksum": {1024: put(1024, map[int]any{6: uint16(0x3434), 8: uint16(280)})},
		"Minix without sizes":       {1024: put(64, map[int]any{16: uint16(0x137f)})},
		"ext without sizes":         {1024: put(512, map[int]any{0x38: uint16(0xef53), 0x18: uint32(0x1000)})},
		"jump without a FAT":        {0: "\xeb\x3c\x90"},
		"HFS without sizes":         {1024: "BD"},
		"HM of no version of LVM1":  {0: "HM\x09"},
		"md of version 2":           {4096: put(128, map[int]any{0: uint32(0xa92b4efc), 4: uint32(2)})},
	} {
		got, err := wipeprobe.Probe(t.Context(), sparse{64 * mib, b}, 64*mib, 512)
		if err != nil {
			t.Fatal(err)
		}

		// It is not blank, and that is said.
		if len(got.Signatures) > 0 || got.NonBlank == 0 || got.Blank() {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
