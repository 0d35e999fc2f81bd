package cpu

//go:noescape
func carrylessAVX(s *carrylessState, steps int)

//go:noescape
func carrylessAVX2(s *carrylessState, steps int)

//go:noescape
func carrylessAVX512(s *carrylessState, steps int)

func carrylessFast(f Features) (list []Variant) {
	if f.AVX512 && f.VCLMUL {
		list = append(list, Variant{Name: "avx512", Lanes: 4, New: func() Block { return carrylessBlock(carrylessAVX512) }})
	}

	if f.VCLMUL {
		list = append(list, Variant{Name: "avx2", Lanes: 2, New: func() Block { return carrylessBlock(carrylessAVX2) }})
	}

	if f.CLMUL {
		list = append(list, Variant{Name: "clmul", Lanes: 1, New: func() Block { return carrylessBlock(carrylessAVX) }})
	}

	return list
}
