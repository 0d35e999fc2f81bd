package cpu

// carrylessBlocks blocks of 128 bits multiply their halves as polynomials over
// GF(2): x <- low(x)*high(x) + swap(x) + k.
const (
	carrylessBlocks = 24
	carrylessSteps  = 12_000
)

// carrylessState: the lower half of a block comes first.
type carrylessState struct {
	x [carrylessBlocks][2]uint64
	k [2]uint64
}

func carryless() Kernel {
	return Kernel{
		Name: "carryless", What: "carry-less multiplication and shuffles",
		variants: func(f Features) []Variant {
			return append(carrylessFast(f), Variant{Name: "go", Lanes: 1, New: func() Block { return carrylessBlock(carrylessPlain) }})
		},
	}
}

func carrylessBlock(run func(s *carrylessState, steps int)) Block {
	s, out := new(carrylessState), make([]uint64, 2*carrylessBlocks)

	return func(seed uint64) []uint64 {
		rnd := stream(seed)
		rnd.fill(s.k[:])

		for i := range s.x {
			rnd.fill(s.x[i][:])
		}

		run(s, carrylessSteps)

		for i := range s.x {
			copy(out[2*i:], s.x[i][:])
		}

		return out
	}
}

func carrylessPlain(s *carrylessState, steps int) {
	for i := range s.x {
		low, high := s.x[i][0], s.x[i][1]

		for range steps {
			pl, ph := polynomial(low, high)
			low, high = pl^high^s.k[0], ph^low^s.k[1]
		}

		s.x[i] = [2]uint64{low, high}
	}
}

// polynomial is a*b without carries, four bits of b at a time.
func polynomial(a, b uint64) (low, high uint64) {
	var tableLow, tableHigh [16]uint64

	for i := 1; i < 16; i++ {
		half := i >> 1
		tableLow[i] = tableLow[half] << 1
		tableHigh[i] = tableHigh[half]<<1 | tableLow[half]>>63

		if i&1 != 0 {
			tableLow[i] ^= a
		}
	}

	for shift := 60; shift >= 0; shift -= 4 {
		high = high<<4 | low>>60
		low <<= 4
		nibble := b >> shift & 15
		low ^= tableLow[nibble]
		high ^= tableHigh[nibble]
	}

	return low, high
}
