package cpu

//go:noescape
func divisionAVX2(s *divisionState, rounds int)

//go:noescape
func divisionAVX512(s *divisionState, rounds int)

func divisionFast(f Features) (list []Variant) {
	if f.AVX512 {
		list = append(list, Variant{Name: "avx512", Lanes: 8, New: func() Block { return divisionBlock(divisionAVX512) }})
	}

	if f.AVX2 {
		list = append(list, Variant{Name: "avx2", Lanes: 4, New: func() Block { return divisionBlock(divisionAVX2) }})
	}

	return list
}
