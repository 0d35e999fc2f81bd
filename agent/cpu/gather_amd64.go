package cpu

//go:noescape
func gatherAVX2(s *gatherState, steps int)

//go:noescape
func gatherAVX512(s *gatherState, steps int)

func gatherFast(f Features) (list []Variant) {
	if f.AVX512 {
		list = append(list, Variant{Name: "avx512", Lanes: 16, New: func() Block {
			return gatherBlock(func(s *gatherState, _ []uint32, steps int) { gatherAVX512(s, steps) })
		}})
	}

	if f.AVX2 {
		list = append(list, Variant{Name: "avx2", Lanes: 8, New: func() Block {
			return gatherBlock(func(s *gatherState, _ []uint32, steps int) { gatherAVX2(s, steps) })
		}})
	}

	return list
}
