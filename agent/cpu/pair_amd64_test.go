package cpu

// Pair is a piece of assembly and what must come of it.
type Pair struct {
	Name string
	Has  bool
	// Run does so many steps from a seed in both ways.
	Run func(seed uint64, steps int) (fast, plain []uint64)
}

// Pairs lists the assembly for a CPU.
func Pairs(f Features) []Pair {
	return []Pair{
		{"fma avx512", f.AVX512, fmaPair(fmaAVX512)},
		{"fma avx2", f.AVX2, fmaPair(fmaAVX2)},
		{"fma table avx512", f.AVX512, fmaTablePair(fmaTableAVX512)},
		{"fma table avx2", f.AVX2, fmaTablePair(fmaTableAVX2)},
		{"multiply avx512", f.AVX512, multiplyPair(multiplyAVX512)},
		{"multiply avx2", f.AVX2, multiplyPair(multiplyAVX2)},
		{"multiply-exact avx512", f.IFMA, exactPair(exactAVX512)},
		{"aes avx512", f.AVX512 && f.VAES, aesPair(aesAVX512)},
		{"aes avx2", f.VAES, aesPair(aesAVX2)},
		{"aes aesni", f.AES, aesPair(aesAVX)},
		{"carryless avx512", f.AVX512 && f.VCLMUL, carrylessPair(carrylessAVX512)},
		{"carryless avx2", f.VCLMUL, carrylessPair(carrylessAVX2)},
		{"carryless clmul", f.CLMUL, carrylessPair(carrylessAVX)},
		{"gather avx512", f.AVX512, gatherPair(gatherAVX512)},
		{"gather avx2", f.AVX2, gatherPair(gatherAVX2)},
		{"division avx512", f.AVX512, divisionPair(divisionAVX512)},
		{"division avx2", f.AVX2, divisionPair(divisionAVX2)},
	}
}
