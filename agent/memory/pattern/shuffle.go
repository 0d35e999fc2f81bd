package pattern

import "math/bits"

// shuffle counts through 0 to n-1, each once, in an order that looks random and is
// always the same.
type shuffle struct {
	n, at, mask uint64
	half        uint
}

func newShuffle(n int) *shuffle {
	width := uint(bits.Len(uint(max(n-1, 1))))

	return &shuffle{n: uint64(n), mask: 1<<width - 1, half: max(width/2, 1)}
}

// next returns the next number. Steps that are one-to-one on as many bits as n
// takes (multiplying by an odd number, XOR with a shift) mix the counter; what
// falls outside is mixed again until it falls inside, which keeps it one-to-one.
func (s *shuffle) next() int {
	x := s.at
	s.at++

	for {
		for range 2 {
			x = (x*0x9e3779b97f4a7c15 + 0x7f4a7c15) & s.mask
			x ^= x >> s.half
		}

		if x < s.n {
			return int(x)
		}
	}
}
