package storage

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"math/rand/v2"
)

// BlockSize is how long a block is that describes itself.
const BlockSize = 4096

// Where the parts of a block are. All numbers are little-endian.
const (
	atMagic  = 0
	atSeed   = 8
	atDisk   = 16
	atOffset = 24
	atPass   = 32
	atBody   = 40
	atSum    = BlockSize - 4
)

func magic() []byte { return []byte("VETTING\x01") }

// Stamp is what a block says of itself.
type Stamp struct {
	Seed   uint64 // of the run
	Disk   uint64 // of the disk's serial number
	Offset uint64 // bytes from the disk's beginning
	Pass   uint32 // 1 for the first
}

// pattern makes blocks. Safe for concurrent use: it does not change.
type pattern struct {
	noise [BlockSize / 8]uint64
	table *crc32.Table
}

func newPattern() *pattern {
	p := &pattern{table: crc32.MakeTable(crc32.Castagnoli)}
	source := rand.New(rand.NewPCG(0x76657474, 0x696e67)) //nolint:gosec // contents are no secret

	for i := range p.noise {
		p.noise[i] = source.Uint64()
	}

	return p
}

// fill writes blocks into b, whose first is at the stamp's offset. b is whole blocks
// long.
func (p *pattern) fill(b []byte, s Stamp) {
	for len(b) >= BlockSize {
		p.block(b[:BlockSize:BlockSize], s)
		b = b[BlockSize:]
		s.Offset += BlockSize
	}
}

// block writes one block. The noise of a block is that of all of them with a key of
// its own, so that no disk can compress or share blocks; the second pass is the
// complement of the first, so that every bit was once 0 and once 1.
func (p *pattern) block(b []byte, s Stamp) {
	s.head(b)

	key := s.key()
	for i := atBody; i < atSum-4; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], p.noise[i/8]^key)
	}

	binary.LittleEndian.PutUint32(b[atSum-4:], uint32(key))
	binary.LittleEndian.PutUint32(b[atSum:], crc32.Checksum(b[:atSum], p.table))
}

func (s Stamp) head(b []byte) {
	copy(b[atMagic:], magic())
	binary.LittleEndian.PutUint64(b[atSeed:], s.Seed)
	binary.LittleEndian.PutUint64(b[atDisk:], s.Disk)
	binary.LittleEndian.PutUint64(b[atOffset:], s.Offset)
	binary.LittleEndian.PutUint64(b[atPass:], uint64(s.Pass))
}

// key is mixed of all but the pass (splitmix64, Steele et al. 2014), which says how
// often it is turned over.
func (s Stamp) key() uint64 {
	z := s.Seed ^ bits.RotateLeft64(s.Disk, 31) ^ s.Offset*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31

	if s.Pass%2 == 0 {
		return ^z
	}

	return z
}

// right reports whether a block is the one of this stamp, whole.
func (p *pattern) right(b []byte, s Stamp) bool {
	return binary.LittleEndian.Uint64(b[atOffset:]) == s.Offset && binary.LittleEndian.Uint64(b[atSeed:]) == s.Seed &&
		binary.LittleEndian.Uint64(b[atDisk:]) == s.Disk && binary.LittleEndian.Uint64(b[atPass:]) == uint64(s.Pass) &&
		binary.LittleEndian.Uint32(b[atSum:]) == crc32.Checksum(b[:atSum], p.table)
}

// read returns what a block says of itself, if it is whole and one of ours, of
// whatever run.
func (p *pattern) read(b []byte) (s Stamp, ok bool) {
	if len(b) < BlockSize || !bytes.Equal(b[:len(magic())], magic()) || binary.LittleEndian.Uint32(b[atSum:]) != crc32.Checksum(b[:atSum], p.table) {
		return s, false
	}

	return Stamp{
		Seed: binary.LittleEndian.Uint64(b[atSeed:]), Disk: binary.LittleEndian.Uint64(b[atDisk:]),
		Offset: binary.LittleEndian.Uint64(b[atOffset:]), Pass: binary.LittleEndian.Uint32(b[atPass:]),
	}, true
}

// blank reports whether all bytes are 0, or all are FFh.
func blank(b []byte) bool {
	if len(b) == 0 || b[0] != 0 && b[0] != 0xff {
		return false
	}

	// Equal to itself one byte on: all bytes are the first.
	return bytes.Equal(b[1:], b[:len(b)-1])
}

// diskID is the number of a disk in its blocks.
func diskID(serial string) uint64 {
	// FNV-1a, 64 bits.
	h := uint64(0xcbf29ce484222325)
	for _, c := range []byte(serial) {
		h = (h ^ uint64(c)) * 0x100000001b3
	}

	return h
}
