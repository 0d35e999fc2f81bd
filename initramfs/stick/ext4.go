package stick

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"time"
)

// The data partition is an ext4 file system as of the kernel's
// Documentation/filesystems/ext4: 4 KiB blocks, extents, a journal, checksums of all
// metadata, and group descriptors spread over the groups (meta_bg), so that it can grow
// while it is mounted.
const (
	extBlock      = 4096
	extGroup      = 8 * extBlock // blocks of a group: as many as a bitmap of one block has bits
	extInodes     = 2048         // of a group
	extInodeSize  = 256
	extTable      = extInodes * extInodeSize / extBlock // blocks of a group's inodes
	extDesc       = 64
	extPerMeta    = extBlock / extDesc // groups whose descriptors share a block
	extRoot       = 2
	extJournal    = 8
	extLostFound  = 11
	extFirstInode = 11

	extLostBlocks = 4

	extCompat   = 0x4 | 0x20               // has_journal, dir_index
	extIncompat = 0x2 | 0x10 | 0x40 | 0x80 // filetype, meta_bg, extents, 64bit
	extReadOnly = 0x1 | 0x2 | 0x8 | 0x20 | 0x40 | 0x400
	// sparse_super, large_file, huge_file, dir_nlink, extra_isize, metadata_csum
)

// Least is how small a data partition may be, in bytes.
const Least = 16 * mib

// ext4 is a file system while it is laid out.
type ext4 struct {
	at       int64 // in the image
	blocks   int64
	groups   int64
	id       [16]byte
	seed     uint32
	now      uint32
	label    string
	journal  int64 // blocks
	bitmaps  [][]byte
	used     []int64 // blocks of each group
	lost     int64   // first block of lost+found; root's is before, the journal follows
	castle   *crc32.Table
	rootDir  int64
	jnlFirst int64
}

// ext4 puts an empty file system on the disk. blank says that the medium holds zeros
// there already.
func (d *Disk) ext4(at, size int64, id GUID, label string, now time.Time) error {
	if size < Least || len(label) > 16 {
		return errors.New("laying out the data partition: it is too small, or its label too long")
	}

	e := &ext4{
		at: at, blocks: size / extBlock, id: id, now: uint32(now.Unix()), label: label, //nolint:gosec // until 2106
		castle: crc32.MakeTable(crc32.Castagnoli), journal: 1024,
	}

	if size >= 256*mib {
		e.journal = 4096
	}

	// A last group that has no room for its own tables is left out.
	if rest := e.blocks % extGroup; rest > 0 && rest < extTable+64 {
		e.blocks -= rest
	}

	e.groups = (e.blocks + extGroup - 1) / extGroup
	e.seed = e.crc(^uint32(0), e.id[:])

	e.layOut()
	e.write(d)

	return nil
}

// crc is CRC32C as the kernel counts it, without the last inversion.
func (e *ext4) crc(seed uint32, data []byte) uint32 { return ^crc32.Update(^seed, e.castle, data) }

// hasSuper reports whether a group has a copy of the superblock (sparse_super).
func hasSuper(group int64) bool {
	if group <= 1 {
		return true
	}

	for _, base := range []int64{3, 5, 7} {
		n := base
		for n < group {
			n *= base
		}

		if n == group {
			return true
		}
	}

	return false
}

// head is where a group's tables begin, in blocks: copy of the superblock, then a
// block of descriptors, then its own.
func head(group int64) (desc int64, hasDesc bool, bitmaps int64) {
	first := group * extGroup
	if hasSuper(group) {
		first++
	}

	in := group % extPerMeta
	hasDesc = in == 0 || in == 1 || in == extPerMeta-1

	if hasDesc {
		return first, true, first + 1
	}

	return 0, false, first
}

// layOut says which blocks are used.
func (e *ext4) layOut() {
	e.bitmaps, e.used = make([][]byte, e.groups), make([]int64, e.groups)

	for g := range e.groups {
		e.bitmaps[g] = make([]byte, extBlock)
		_, _, own := head(g)
		e.mark(g*extGroup, own+2+extTable-g*extGroup)
	}

	_, _, own := head(0)
	e.rootDir = own + 2 + extTable
	e.lost = e.rootDir + 1
	e.jnlFirst = e.lost + extLostBlocks
	e.mark(e.rootDir, 1+extLostBlocks+e.journal)

	// What the last group lacks counts as used.
	last := e.groups - 1
	for b := e.blocks - last*extGroup; b < extGroup; b++ {
		e.bitmaps[last][b/8] |= 1 << (b % 8)
	}
}

func (e *ext4) mark(first, n int64) {
	for b := first; b < first+n; b++ {
		g, in := b/extGroup, b%extGroup
		e.bitmaps[g][in/8] |= 1 << (in % 8)
		e.used[g]++
	}
}

// size is how many blocks a group has.
func (e *ext4) size(g int64) int64 { return min(extGroup, e.blocks-g*extGroup) }

func (e *ext4) put(d *Disk, at int64, data []byte) { d.put(e.at+at*extBlock, data) }

func (e *ext4) write(d *Disk) {
	var free int64

	descs := make([]byte, up(e.groups, extPerMeta)*extDesc)

	for g := range e.groups {
		free += e.size(g) - e.used[g]
		copy(descs[g*extDesc:], e.group(d, g))
	}

	for g := range e.groups {
		if at, has, _ := head(g); has {
			meta := g / extPerMeta * extBlock
			e.put(d, at, descs[meta:meta+extBlock])
		}

		if hasSuper(g) {
			super := e.super(g, free)
			if g == 0 {
				super = append(make([]byte, 1024), super...)
			}

			e.put(d, g*extGroup, append(super, make([]byte, extBlock-len(super))...))
		}
	}

	e.put(d, e.rootDir, e.folder(extRoot, extRoot, true))

	for i := range int64(extLostBlocks) {
		e.put(d, e.lost+i, e.folder(extLostFound, extRoot, i == 0))
	}

	e.put(d, e.jnlFirst, e.journalHead())
	d.blank(e.at+(e.jnlFirst+1)*extBlock, (e.journal-1)*extBlock)
}

// group writes the bitmaps of a group, and of the first one the inodes, and returns its
// descriptor.
func (e *ext4) group(d *Disk, g int64) []byte {
	const (
		inodeUninit = 0x1 // its inodes were never used; the kernel blanks the table later
		zeroed      = 0x4
	)

	_, _, own := head(g)
	inodes := append(make([]byte, extInodes/8), slices.Repeat([]byte{0xff}, extBlock-extInodes/8)...)
	desc, le := make([]byte, extDesc), binary.LittleEndian
	freeInodes, dirs, flags, unused := int64(extInodes), uint16(0), uint16(inodeUninit), int64(extInodes)

	if g == 0 {
		inodes[0], inodes[1] = 0xff, 0x07 // 1 to 11
		freeInodes, dirs, flags, unused = extInodes-extFirstInode, 2, zeroed, extInodes-extFirstInode
		e.put(d, own+2, e.table())
	}

	e.put(d, own, e.bitmaps[g])
	e.put(d, own+1, inodes)

	split := func(at int, v int64) {
		le.PutUint32(desc[at:], uint32(v&0xffffffff)) //nolint:gosec // the lower half
		le.PutUint32(desc[at+32:], uint32(v>>32))     //nolint:gosec // the upper half
	}
	split(0, own)
	split(4, own+1)
	split(8, own+2)

	le.PutUint16(desc[0x0c:], uint16(e.size(g)-e.used[g])) //nolint:gosec // a group has 32768 blocks
	le.PutUint16(desc[0x0e:], uint16(freeInodes))          //nolint:gosec // at most 2048
	le.PutUint16(desc[0x10:], dirs)
	le.PutUint16(desc[0x12:], flags)
	le.PutUint16(desc[0x1c:], uint16(unused)) //nolint:gosec // at most 2048

	sum := e.crc(e.seed, e.bitmaps[g])
	le.PutUint16(desc[0x18:], uint16(sum&0xffff)) //nolint:gosec // the lower half
	le.PutUint16(desc[0x38:], uint16(sum>>16))    //nolint:gosec // the upper half
	sum = e.crc(e.seed, inodes[:extInodes/8])
	le.PutUint16(desc[0x1a:], uint16(sum&0xffff)) //nolint:gosec // the lower half
	le.PutUint16(desc[0x3a:], uint16(sum>>16))    //nolint:gosec // the upper half

	sum = e.crc(e.crc(e.seed, le.AppendUint32(nil, uint32(g))), desc) //nolint:gosec // a number of a group
	le.PutUint16(desc[0x1e:], uint16(sum&0xffff))                     //nolint:gosec // the lower half

	return desc
}

// table are the inodes of the first group.
func (e *ext4) table() []byte {
	out := make([]byte, extTable*extBlock)
	put := func(n int64, inode []byte) { copy(out[(n-1)*extInodeSize:], inode) }

	put(extRoot, e.inode(extRoot, 0o40755, 3, e.rootDir, 1))
	put(extJournal, e.inode(extJournal, 0o100600, 1, e.jnlFirst, e.journal))
	put(extLostFound, e.inode(extLostFound, 0o40700, 2, e.lost, extLostBlocks))

	return out
}

// inode is one whose content is a single stretch of blocks.
func (e *ext4) inode(n uint32, mode, links uint16, first, blocks int64) []byte {
	const extents = 0x80000

	i, le := make([]byte, extInodeSize), binary.LittleEndian
	le.PutUint16(i, mode)
	le.PutUint32(i[0x04:], uint32(blocks*extBlock)) //nolint:gosec // at most the journal's
	le.PutUint32(i[0x08:], e.now)
	le.PutUint32(i[0x0c:], e.now)
	le.PutUint32(i[0x10:], e.now)
	le.PutUint16(i[0x1a:], links)
	le.PutUint32(i[0x1c:], uint32(blocks*extBlock/sector)) //nolint:gosec // at most the journal's
	le.PutUint32(i[0x20:], extents)

	x := i[0x28:]
	le.PutUint16(x, 0xf30a)
	le.PutUint16(x[2:], 1)
	le.PutUint16(x[4:], 4)
	le.PutUint16(x[16:], uint16(blocks))           //nolint:gosec // at most 4096
	le.PutUint16(x[18:], uint16(first>>32))        //nolint:gosec // the upper half
	le.PutUint32(x[20:], uint32(first&0xffffffff)) //nolint:gosec // the lower half

	le.PutUint16(i[0x80:], 32)
	le.PutUint32(i[0x90:], e.now)

	sum := e.crc(e.owner(n), i)
	le.PutUint16(i[0x7c:], uint16(sum&0xffff)) //nolint:gosec // the lower half
	le.PutUint16(i[0x82:], uint16(sum>>16))    //nolint:gosec // the upper half

	return i
}

// owner is what the checksums of an inode's blocks begin with; its generation is 0.
func (e *ext4) owner(n uint32) uint32 {
	return e.crc(e.crc(e.seed, binary.LittleEndian.AppendUint32(nil, n)), make([]byte, 4))
}

// folder is a block of a directory: with its own entries in the first one, and
// lost+found in the root.
func (e *ext4) folder(self, parent uint32, first bool) []byte {
	const tail = 12

	out, le, at := make([]byte, extBlock), binary.LittleEndian, 0
	last := 0
	add := func(inode uint32, name string) {
		size := (8 + len(name) + 3) &^ 3
		le.PutUint32(out[at:], inode)
		le.PutUint16(out[at+4:], uint16(size)) //nolint:gosec // of a short name
		out[at+6] = byte(len(name))

		if inode != 0 {
			out[at+7] = 2 // a directory
		}

		copy(out[at+8:], name)
		last, at = at, at+size
	}

	switch {
	case !first:
		add(0, "")
	case self == extRoot:
		add(self, ".")
		add(parent, "..")
		add(extLostFound, "lost+found")
	default:
		add(self, ".")
		add(parent, "..")
	}

	le.PutUint16(out[last+4:], uint16(extBlock-tail-last)) //nolint:gosec // within a block

	end := out[extBlock-tail:]
	le.PutUint16(end[4:], tail)
	end[7] = 0xde
	le.PutUint32(end[8:], e.crc(e.owner(self), out[:extBlock-tail]))

	return out
}

// super is the superblock as a group holds it.
func (e *ext4) super(group, free int64) []byte {
	s, le := make([]byte, 1024), binary.LittleEndian

	for at, v := range map[int]int64{
		0x00: extInodes * e.groups, 0x04: e.blocks & 0xffffffff, 0x150: e.blocks >> 32, 0x0c: free & 0xffffffff, 0x158: free >> 32,
		0x10: extInodes*e.groups - extFirstInode,
		0x18: 2, 0x1c: 2, // 1024 << 2
		0x20: extGroup, 0x24: extGroup, 0x28: extInodes,
		0x30: int64(e.now), 0x40: int64(e.now), 0x108: int64(e.now), // written, checked, made
		0x4c: 1, 0x54: extFirstInode, 0x5c: extCompat, 0x60: extIncompat, 0x64: extReadOnly,
		0xe0: extJournal, 0x14c: e.journal * extBlock,
		0x160: 1, // signed characters in hashes
	} {
		le.PutUint32(s[at:], uint32(v)) //nolint:gosec // halves, and numbers far below 2^32
	}

	for at, v := range map[int]uint16{
		0x36: 0xffff, // no check by count
		0x38: 0xef53,
		0x3a: 1,                                 // clean
		0x3c: 2,                                 // read-only on errors
		0x58: extInodeSize, 0x5a: uint16(group), //nolint:gosec // where it is larger nobody reads it
		0xfe: extDesc, 0x15c: 32, 0x15e: 32, // of an inode's further fields
	} {
		le.PutUint16(s[at:], v)
	}

	copy(s[0x68:], e.id[:])
	copy(s[0x78:0x88], e.label)
	copy(s[0xec:0xfc], e.id[:])                                                                 // the seed of names' hashes
	copy(s[0x10c:0x148], e.inode(extJournal, 0o100600, 1, e.jnlFirst, e.journal)[0x28:0x28+60]) // a copy
	s[0xfc], s[0xfd] = 1, 1                                                                     // half MD4; that there is a copy
	s[0x175] = 1                                                                                // CRC32C
	le.PutUint32(s[0x3fc:], e.crc(^uint32(0), s[:0x3fc]))

	return s
}

// journalHead is the superblock of the journal (JBD2, version 2), big-endian.
func (e *ext4) journalHead() []byte {
	j, be := make([]byte, extBlock), binary.BigEndian
	be.PutUint32(j, 0xc03b3998)
	be.PutUint32(j[4:], 4)
	be.PutUint32(j[12:], extBlock)
	be.PutUint32(j[16:], uint32(e.journal)) //nolint:gosec // at most 4096
	be.PutUint32(j[20:], 1)                 // first block of the log
	be.PutUint32(j[24:], 1)                 // first sequence
	copy(j[48:], e.id[:])
	be.PutUint32(j[64:], 1) // users

	return j
}
