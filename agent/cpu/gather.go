package cpu

import "math/bits"

// gatherLanes lanes look up a table by their own top bits, rotate, add, and change
// places within their group of eight.
const (
	gatherLanes = 64
	gatherGroup = 8
	gatherTable = 4096
	gatherShift = 20 // the upper twelve bits select
	gatherSteps = 12_000
)

type gatherState struct {
	x     [gatherLanes]uint32
	place [2 * gatherGroup]uint32 // where a lane's next value comes from; then the same plus eight
	k     uint32
	_     uint32
	table *uint32 // of gatherTable numbers
}

func gather() Kernel {
	return Kernel{
		Name: "gather", What: "scattered loads and lane permutations", Bytes: 4 * gatherTable,
		variants: func(f Features) []Variant {
			return append(gatherFast(f), Variant{Name: "go", Lanes: 1, New: func() Block { return gatherBlock(gatherPlain) }})
		},
	}
}

func gatherBlock(run func(s *gatherState, table []uint32, steps int)) Block {
	s, table, out := new(gatherState), aligned32(gatherTable), make([]uint64, gatherLanes)
	s.table = &table[0]

	return func(seed uint64) []uint64 {
		rnd := stream(seed)

		rnd.fill32(table)
		rnd.fill32(s.x[:])
		s.k = uint32(rnd.next())
		s.shuffle(rnd.next())

		run(s, table, gatherSteps)

		return widened(out, s.x[:])
	}
}

// shuffle picks the permutation (Fisher and Yates).
func (s *gatherState) shuffle(chance uint64) {
	for i := range gatherGroup {
		s.place[i] = uint32(i)
	}

	for i := gatherGroup - 1; i > 0; i-- {
		j := int(chance % uint64(i+1))
		chance /= uint64(i + 1)
		s.place[i], s.place[j] = s.place[j], s.place[i]
	}

	for i := range gatherGroup {
		s.place[gatherGroup+i] = s.place[i] + gatherGroup
	}
}

func gatherPlain(s *gatherState, table []uint32, steps int) {
	t := (*[gatherTable]uint32)(table)

	for at := 0; at < gatherLanes; at += gatherGroup {
		x := (*[gatherGroup]uint32)(s.x[at:])

		for range steps {
			var y [gatherGroup]uint32

			for i, v := range x {
				y[i] = (bits.RotateLeft32(v, 11) ^ t[v>>gatherShift]) + s.k
			}

			for i := range x {
				x[i] = y[s.place[i]&(gatherGroup-1)]
			}
		}
	}
}
