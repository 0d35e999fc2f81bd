package load

import (
	"bytes"
	"hash/crc32"
)

// Checker reads the stream of a row as it comes, in pieces of any size, and verifies
// every byte. Not safe for concurrent use.
type Checker struct {
	Frames   uint64 // whole ones of data
	Bad      uint64 // of them: damaged, or out of their row
	FirstBad uint64 // number in the stream of the first bad one
	Bytes    uint64 // of all that came

	noise *Noise
	head  [HeadSize]byte
	had   int // bytes of the frame that came
	sum   uint32
	last  []byte // body of the frame of the kind End, while it comes
	ended bool
}

// NewChecker returns the checker of a row.
func NewChecker(noise *Noise) *Checker { return &Checker{noise: noise} }

// Feed takes what came next. What follows the last frame is left.
func (c *Checker) Feed(p []byte) {
	c.Bytes += uint64(len(p))

	for len(p) > 0 && !c.ended {
		if c.had < HeadSize {
			n := copy(c.head[c.had:], p)
			c.had += n
			p = p[n:]
			c.sum = 0

			continue
		}

		n := min(len(p), FrameSize-c.had)
		c.sum = crc32.Update(c.sum, castagnoli, p[:n])

		if h, ok := ReadHead(c.head[:]); c.last != nil || c.had == HeadSize && ok && h.Kind == End {
			c.last = append(c.last, p[:n]...)
		}

		c.had += n
		p = p[n:]

		if c.had == FrameSize {
			c.judge()
		}
	}
}

// judge looks at a frame that is whole.
func (c *Checker) judge() {
	c.had = 0
	head, ok := ReadHead(c.head[:])

	if ok && head.Kind == End && head.Seed == c.noise.seed && head.Number == c.Frames && head.CRC == c.sum {
		c.ended = true

		return
	}

	c.last = nil
	_, want := c.noise.Body(c.Frames)

	if !ok || head.Kind != Data || head.Seed != c.noise.seed || head.Number != c.Frames || head.CRC != want || c.sum != want {
		if c.Bad == 0 {
			c.FirstBad = c.Frames
		}

		c.Bad++
	}

	c.Frames++
}

// Ended returns the line in the last frame, once it has come.
func (c *Checker) Ended() (line []byte, ok bool) {
	if !c.ended {
		return nil, false
	}

	line, _, _ = bytes.Cut(c.last, []byte{0})

	return line, true
}

// Ending makes the last frame of a row: that of the given number, with a line of at
// most BodySize bytes in it.
func Ending(seed, number uint64, line []byte) []byte {
	frame := make([]byte, FrameSize)
	copy(frame[HeadSize:], line)
	Head{Kind: End, Seed: seed, Number: number, Length: BodySize, CRC: Checksum(frame[HeadSize:])}.Put(frame)

	return frame
}
