package cpu

//go:noescape
func multiplyAVX2(s *multiplyState, steps int)

//go:noescape
func multiplyAVX512(s *multiplyState, steps int)

//go:noescape
func exactAVX512(s *exactState, steps int)

func multiplyFast(f Features) (list []Variant) {
	if f.AVX512 {
		list = append(list, Variant{Name: "avx512", Lanes: 16, New: func() Block { return multiplyBlock(multiplyAVX512) }})
	}

	if f.AVX2 {
		list = append(list, Variant{Name: "avx2", Lanes: 8, New: func() Block { return multiplyBlock(multiplyAVX2) }})
	}

	return list
}

func exactFast(f Features) []Variant {
	if !f.IFMA {
		return nil
	}

	return []Variant{{Name: "avx512", Lanes: 8, New: func() Block { return exactBlock(exactAVX512) }}}
}
