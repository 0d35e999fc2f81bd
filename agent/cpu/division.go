package cpu

import "math"

// divisionLanes lanes run x <- sqrt(x/c) with a c that changes from step to step,
// and add up all that comes by. The map itself forgets; the sum does not.
const (
	divisionLanes = 32
	divisionRows  = 16
	divisionSteps = 2_048 // a multiple of divisionRows
)

type divisionState struct {
	x   [divisionLanes]float64
	sum [divisionLanes]uint64
	c   [divisionRows * divisionLanes]float64
}

func division() Kernel {
	return Kernel{
		Name: "division", What: "floating-point division and square root", Flops: 2 * divisionLanes * divisionSteps,
		variants: func(f Features) []Variant {
			return append(divisionFast(f), Variant{Name: "go", Lanes: 1, New: func() Block { return divisionBlock(divisionPlain) }})
		},
	}
}

func divisionBlock(run func(s *divisionState, rounds int)) Block {
	s, out := new(divisionState), make([]uint64, 2*divisionLanes)

	return func(seed uint64) []uint64 {
		rnd := stream(seed)

		for i := range s.c {
			s.c[i] = rnd.float(0x3ff0 | rnd.next()&0xf) // [1, 2)
		}

		for i := range s.x {
			s.x[i], s.sum[i] = rnd.float(0x3ff0|rnd.next()&0xf), 0
		}

		run(s, divisionSteps/divisionRows)

		floats(out, s.x[:])
		copy(out[divisionLanes:], s.sum[:])

		return out
	}
}

// divisionPlain goes through all rows of c, so often.
func divisionPlain(s *divisionState, rounds int) {
	for range rounds {
		for at := 0; at < len(s.c); at += divisionLanes {
			row := (*[divisionLanes]float64)(s.c[at:])

			for i := range s.x {
				s.x[i] = math.Sqrt(s.x[i] / row[i])
				s.sum[i] += math.Float64bits(s.x[i])
			}
		}
	}
}
