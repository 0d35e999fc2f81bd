package cpu

import (
	"encoding/binary"
	"math"
)

// stream is SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
// Generators, 2014): a few instructions a number, any seed good.
type stream uint64

// Mix scatters the bits of a number.
func Mix(v uint64) uint64 {
	s := stream(v)

	return s.next()
}

func (s *stream) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb

	return z ^ z>>31
}

// brisk is a weaker generator on the same state, for large tables of operands.
func (s *stream) brisk() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s) * 0xd6e8feb86659fd93

	return z ^ z>>32
}

func (s *stream) fill(words []uint64) {
	for i := range words {
		words[i] = s.next()
	}
}

func (s *stream) fill32(words []uint32) {
	for i := range words {
		words[i] = uint32(s.next() >> 32)
	}
}

// float draws a number whose 48 low bits are random and whose 16 high bits, with
// sign and exponent, are given.
func (s *stream) float(high uint64) float64 {
	return math.Float64frombits(high<<48 | s.next()>>16)
}

// bytes fills b, whose length must be a multiple of eight.
func (s *stream) bytes(b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, s.next())
	}
}

// digest folds words into 64 bits. For what was folded before, each step is a
// bijection of the word, so that one wrong word never goes unseen.
type digest uint64

func (d *digest) word(v uint64) {
	h := (uint64(*d) ^ v) * 0x9e3779b97f4a7c15
	*d = digest(h ^ h>>29)
}

// Digest folds what a block gave into 64 bits.
func Digest(words []uint64) uint64 {
	var d digest

	for _, w := range words {
		d.word(w)
	}

	return uint64(d)
}

// floats copies the bits of numbers into out.
func floats(out []uint64, list []float64) []uint64 {
	for i, v := range list {
		out[i] = math.Float64bits(v)
	}

	return out[:len(list)]
}

// widened copies shorter numbers into out.
func widened(out []uint64, list []uint32) []uint64 {
	for i, v := range list {
		out[i] = uint64(v)
	}

	return out[:len(list)]
}

// packed copies bytes into out, eight to a word and the rest one to a word. A nil out
// is made.
func packed(out []uint64, b []byte) []uint64 {
	if out == nil {
		out = make([]uint64, len(b)/8+len(b)%8)
	}

	n := 0

	for ; len(b) >= 8; b = b[8:] {
		out[n] = binary.LittleEndian.Uint64(b)
		n++
	}

	for _, c := range b {
		out[n] = uint64(c)
		n++
	}

	return out[:n]
}
