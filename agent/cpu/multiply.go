package cpu

import "math/bits"

// multiplyLanes 32-bit lanes run x <- rotl((x*m + a) ^ (x*m + a)>>15 ^ k, 7), each
// part of which is a bijection: an error never vanishes.
const (
	multiplyLanes = 128
	multiplySteps = 24_000
)

type multiplyState struct {
	x       [multiplyLanes]uint32
	m, a, k uint32
	_       uint32
}

func (s *multiplyState) seed(seed uint64) {
	rnd := stream(seed)

	s.m, s.a, s.k = uint32(rnd.next())|1, uint32(rnd.next()), uint32(rnd.next())
	rnd.fill32(s.x[:])
}

// multiply keeps the integer units of the vector registers busy.
func multiply() Kernel {
	return Kernel{
		Name: "multiply", What: "integer vector multiply, shift, rotate and logic",
		variants: func(f Features) []Variant {
			return append(multiplyFast(f), Variant{Name: "go", Lanes: 1, New: func() Block { return multiplyBlock(multiplyPlain) }})
		},
	}
}

func multiplyBlock(run func(s *multiplyState, steps int)) Block {
	s, out := new(multiplyState), make([]uint64, multiplyLanes)

	return func(seed uint64) []uint64 {
		s.seed(seed)
		run(s, multiplySteps)

		return widened(out, s.x[:])
	}
}

func multiplyPlain(s *multiplyState, steps int) {
	for i := range s.x {
		x := s.x[i]

		for range steps {
			x = x*s.m + s.a
			x = bits.RotateLeft32(x^x>>15^s.k, 7)
		}

		s.x[i] = x
	}
}

const (
	wideLanes = 8
	wideSteps = 60_000
)

// multiplyWide keeps the 64x64-bit multiplier of the scalar core busy.
func multiplyWide() Kernel {
	return Kernel{
		Name: "multiply-wide", What: "64-bit scalar multiply with both halves of the product",
		variants: plain(func() Block {
			var x [wideLanes]uint64

			return func(seed uint64) []uint64 {
				rnd := stream(seed)
				m, k := rnd.next()|1, rnd.next()
				rnd.fill(x[:])

				multiplyHalves(&x, m, k, wideSteps)

				return x[:]
			}
		}),
	}
}

func multiplyHalves(x *[wideLanes]uint64, m, k uint64, steps int) {
	for range steps {
		for i := range x {
			high, low := bits.Mul64(x[i], m)
			x[i] = (bits.RotateLeft64(high, 23) ^ low) + k
		}
	}
}

// exactLanes lanes run the 52-bit multiply-add of the floating-point multiplier on
// integers: x <- (k + low52(x*m)) ^ rotl(k + high52(x*m), 20).
const (
	exactLanes = 96
	exactSteps = 24_000
	exactMask  = 1<<52 - 1
)

type exactState struct {
	x    [exactLanes]uint64
	m, k uint64
}

// multiplyExact is what AVX-512 IFMA does; other CPUs do the same in plain Go.
func multiplyExact() Kernel {
	return Kernel{
		Name: "multiply-exact", What: "52-bit integer multiply-add",
		variants: func(f Features) []Variant {
			return append(exactFast(f), Variant{Name: "go", Lanes: 1, New: func() Block { return exactBlock(exactPlain) }})
		},
	}
}

func exactBlock(run func(s *exactState, steps int)) Block {
	s := new(exactState)

	return func(seed uint64) []uint64 {
		rnd := stream(seed)
		s.m, s.k = rnd.next()|1, rnd.next()
		rnd.fill(s.x[:])

		run(s, exactSteps)

		return s.x[:]
	}
}

func exactPlain(s *exactState, steps int) {
	m := s.m & exactMask

	for i := range s.x {
		x := s.x[i]

		for range steps {
			high, low := bits.Mul64(x&exactMask, m)
			high = high<<12 | low>>52
			x = (s.k + low&exactMask) ^ bits.RotateLeft64(s.k+high, 20)
		}

		s.x[i] = x
	}
}
