package cpu

//go:noescape
func aesAVX(s *aesState, steps int)

//go:noescape
func aesAVX2(s *aesState, steps int)

//go:noescape
func aesAVX512(s *aesState, steps int)

func aesFast(f Features) (list []Variant) {
	if f.AVX512 && f.VAES {
		list = append(list, Variant{Name: "avx512", Lanes: 4, New: func() Block { return aesBlock(aesAVX512) }})
	}

	if f.VAES {
		list = append(list, Variant{Name: "avx2", Lanes: 2, New: func() Block { return aesBlock(aesAVX2) }})
	}

	if f.AES {
		list = append(list, Variant{Name: "aesni", Lanes: 1, New: func() Block { return aesBlock(aesAVX) }})
	}

	return list
}
