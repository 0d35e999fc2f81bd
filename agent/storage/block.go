package storage

import (
	"bytes"
	"crypto/subtle"
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
//
// The checksum of a block that is made is not taken over its bytes: CRC-32C is linear, and
// so that of a block is that of the noise, of its key and of its head together. What is
// read is always gone through byte by byte.
type pattern struct {
	table *crc32.Table
	noise [BlockSize]byte // from atBody to the last four bytes before the checksum
	plain uint32          // checksum of a block of noise alone
	keys  [8][256]uint32  // what each byte of a key adds to it
	heads [4][256]uint32  // what each byte of a head's checksum adds to that of a head before zeros
	none  uint32          // that of the head whose checksum is 0
}

func newPattern() *pattern {
	p := &pattern{table: crc32.MakeTable(crc32.Castagnoli)}
	source := rand.New(rand.NewPCG(0x76657474, 0x696e67)) //nolint:gosec // contents are no secret

	for i := 0; i < BlockSize; i += 8 {
		if n := source.Uint64(); i >= atBody && i < atSum-4 {
			binary.LittleEndian.PutUint64(p.noise[i:], n)
		}
	}

	var block [BlockSize]byte // zeros

	rest := block[:atSum-atBody]
	empty := crc32.Checksum(block[:atSum], p.table)
	p.plain, p.none = crc32.Checksum(p.noise[:atSum], p.table), crc32.Update(0, p.table, rest)

	for i := range p.heads {
		p.heads[i] = combinations(func(bit byte) uint32 { return crc32.Update(uint32(bit)<<(8*i), p.table, rest) ^ p.none })
	}

	for i := range p.keys {
		p.keys[i] = combinations(func(bit byte) uint32 {
			repeat(block[atBody:atSum], uint64(bit)<<(8*i))

			return crc32.Checksum(block[:atSum], p.table) ^ empty
		})
	}

	// A block is three parts on one another, two of them with zeros around: with an odd
	// number of them what a checksum begins and ends with is there once.
	p.plain ^= empty

	return p
}

// combinations is a linear function of a byte, by what it makes of each bit.
func combinations(of func(bit byte) uint32) (all [256]uint32) {
	for v := 1; v < len(all); v++ {
		low := v & -v
		if all[v] = all[v&(v-1)]; v == low {
			all[v] = of(byte(v))
		} else {
			all[v] ^= all[low]
		}
	}

	return all
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

	key, body := s.key(), b[atBody:atSum]
	repeat(body, key)
	subtle.XORBytes(body, body, p.noise[atBody:atSum])

	sum, head := p.plain^p.none, crc32.Checksum(b[:atBody], p.table)
	for i := range p.heads {
		sum ^= p.heads[i][byte(head>>(8*i))]
	}

	for i := range p.keys {
		sum ^= p.keys[i][byte(key>>(8*i))]
	}

	binary.LittleEndian.PutUint32(b[atSum:], sum)
}

// repeat fills b, of 64 bytes at least, with a key over and over.
func repeat(b []byte, key uint64) {
	const first = 64

	for i := 0; i < first; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], key)
	}

	for n := first; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
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
