package cpu

//go:noescape
func fmaAVX2(s *fmaState, steps int)

//go:noescape
func fmaAVX512(s *fmaState, steps int)

//go:noescape
func fmaTableAVX2(x *[fmaLanes]float64, table []float64)

//go:noescape
func fmaTableAVX512(x *[fmaLanes]float64, table []float64)

// peakAVX2 and peakAVX512 do nothing but multiply-adds, 48 an iteration: what the
// kernels are measured against.
//
//go:noescape
func peakAVX2(iterations int)

//go:noescape
func peakAVX512(iterations int)

func fmaFast(f Features) (list []Variant) {
	if f.AVX512 {
		list = append(list, Variant{Name: "avx512", Lanes: 8, New: func() Block { return fmaBlock(fmaAVX512) }})
	}

	if f.AVX2 {
		list = append(list, Variant{Name: "avx2", Lanes: 4, New: func() Block { return fmaBlock(fmaAVX2) }})
	}

	return list
}

func fmaTableFast(f Features, rows, passes int) (list []Variant) {
	if f.AVX512 {
		list = append(list, Variant{
			Name: "avx512", Lanes: 8, New: func() Block { return fmaTableBlock(fmaTableAVX512, rows, passes) },
		})
	}

	if f.AVX2 {
		list = append(list, Variant{
			Name: "avx2", Lanes: 4, New: func() Block { return fmaTableBlock(fmaTableAVX2, rows, passes) },
		})
	}

	return list
}

// Peak returns a function that does nothing but multiply-adds on registers, as wide
// as the CPU has them, and says how many floating-point operations that were; nil
// where there is none. It takes some hundred microseconds.
func Peak(f Features) func() float64 {
	const iterations = 4096

	switch {
	case f.AVX512:
		return func() float64 {
			peakAVX512(iterations)

			return iterations * 48 * 8 * 2
		}
	case f.AVX2:
		return func() float64 {
			peakAVX2(iterations)

			return iterations * 48 * 4 * 2
		}
	default:
		return nil
	}
}
