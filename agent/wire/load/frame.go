package load

import (
	"encoding/binary"
	"hash/crc32"
	"sync"
)

// What a frame is made of: a head of HeadSize bytes and a body. All numbers are
// little-endian.
//
//	 0  magic
//	 4  kind
//	 8  seed of the row
//	16  number in the row, from 0
//	24  when it was sent, in nanoseconds of the sender's own clock
//	32  length of the body
//	36  CRC-32C of the body
//	40  0
//	44  CRC-32C of the head up to here
const (
	HeadSize  = 48
	BodySize  = 128<<10 - HeadSize
	FrameSize = HeadSize + BodySize // of a stream

	magic = 0x314c5456 // "VTL1"
)

// The kinds of frames.
const (
	Data  uint32 = 1
	End   uint32 = 2 // the last one; its body is a line of JSON, filled up with zeros
	Knock uint32 = 3 // a datagram that shows where its sender is
	Echo  uint32 = 4 // a datagram that comes back as it is
)

// Head is the head of a frame.
type Head struct {
	Kind   uint32
	Seed   uint64
	Number uint64
	Sent   uint64 // nanoseconds of the sender's clock
	Length uint32
	CRC    uint32 // of the body
}

// Put writes a head into the first HeadSize bytes of b.
func (h Head) Put(b []byte) {
	_ = b[HeadSize-1]

	binary.LittleEndian.PutUint32(b, magic)
	binary.LittleEndian.PutUint32(b[4:], h.Kind)
	binary.LittleEndian.PutUint64(b[8:], h.Seed)
	binary.LittleEndian.PutUint64(b[16:], h.Number)
	binary.LittleEndian.PutUint64(b[24:], h.Sent)
	binary.LittleEndian.PutUint32(b[32:], h.Length)
	binary.LittleEndian.PutUint32(b[36:], h.CRC)
	binary.LittleEndian.PutUint32(b[40:], 0)
	binary.LittleEndian.PutUint32(b[44:], Checksum(b[:44]))
}

// ReadHead reads a head; ok is false where it is none, or damaged.
func ReadHead(b []byte) (h Head, ok bool) {
	if len(b) < HeadSize || binary.LittleEndian.Uint32(b) != magic || binary.LittleEndian.Uint32(b[44:]) != Checksum(b[:44]) {
		return Head{}, false
	}

	return Head{
		Kind: binary.LittleEndian.Uint32(b[4:]), Seed: binary.LittleEndian.Uint64(b[8:]), Number: binary.LittleEndian.Uint64(b[16:]),
		Sent: binary.LittleEndian.Uint64(b[24:]), Length: binary.LittleEndian.Uint32(b[32:]), CRC: binary.LittleEndian.Uint32(b[36:]),
	}, true
}

// castagnoli is the polynomial of CRC-32C (RFC 3720, appendix B.4), for which CPUs
// have an instruction.
var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // a table, never changed

// Checksum is the CRC-32C.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

const (
	turns    = 64   // bodies before they come again
	turnStep = 4096 // bytes between their beginnings
	noises   = 8    // that there are; each is 380 KiB
)

// made are the noises, each made when it is first wanted and never changed.
var made = func() (all [noises]func() []byte) { //nolint:gochecknoglobals // as above
	for i := range all {
		all[i] = sync.OnceValue(func() []byte { return makeNoise(uint64(i)) }) //nolint:gosec // under noises
	}

	return all
}()

func makeNoise(which uint64) []byte {
	b := make([]byte, (turns-1)*turnStep+(BodySize+7)/8*8)
	state := which ^ 0x9e3779b97f4a7c15

	for at := 0; at < len(b); at += 8 {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		binary.LittleEndian.PutUint64(b[at:], state)
	}

	return b
}

// Noise is what the bodies of a row are cut from. It is made once, so that neither end
// spends its time or memory on making noise; which body a frame has follows from the
// row's seed and its number, and what its checksum must be is known beforehand. Rows
// that share a noise are told apart by their heads. Safe for concurrent use.
type Noise struct {
	seed  uint64
	size  int
	bytes []byte
	sums  [turns]uint32
}

// NewNoise returns the noise of a row with bodies of size bytes, BodySize at most.
func NewNoise(seed uint64, size int) *Noise {
	n := &Noise{seed: seed, size: size, bytes: made[seed%noises]()}

	for turn := range n.sums {
		n.sums[turn] = Checksum(n.body(turn))
	}

	return n
}

// Seed is that of the row.
func (n *Noise) Seed() uint64 { return n.seed }

func (n *Noise) body(turn int) []byte { return n.bytes[turn*turnStep:][:n.size] }

// Body returns the body of a frame, which must not be changed, and its checksum.
func (n *Noise) Body(number uint64) ([]byte, uint32) {
	turn := int(number % turns)

	return n.body(turn), n.sums[turn]
}

// Put writes the head of the row's frame of that number into head and returns the body.
func (n *Noise) Put(head []byte, kind uint32, number, sent uint64) (body []byte) {
	body, sum := n.Body(number)
	Head{Kind: kind, Seed: n.seed, Number: number, Sent: sent, Length: uint32(n.size), CRC: sum}.Put(head) //nolint:gosec // BodySize at most

	return body
}
