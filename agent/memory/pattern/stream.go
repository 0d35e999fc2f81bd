package pattern

import (
	"math"
	"unsafe"
)

// streamBytes is what one call of a loop handles: far below a millisecond.
const streamBytes = 1 << 20

// One is the content that Triad calculates with: the number 1 everywhere.
func One() Content {
	p := Solid(math.Float64bits(1))
	p.name = "the number 1"

	return Content{Pattern: p}
}

// Copy copies src to dst, which is as large, as STREAM's copy does: it moves twice
// the area's bytes.
func (k Kernel) Copy(dst, src Area) {
	for at := 0; at < len(dst.words); at += streamBytes / 8 {
		end := min(at+streamBytes/8, len(dst.words))
		k.copy(dst.words[at:end], src.words[at:end])
	}

	k.fence()
}

// Triad sets dst to a + 3·b, which are as large and hold numbers, as STREAM's triad
// does: it moves three times the area's bytes.
func (k Kernel) Triad(dst, a, b Area) {
	d, x, y := numbers(dst), numbers(a), numbers(b)

	for at := 0; at < len(d); at += streamBytes / 8 {
		end := min(at+streamBytes/8, len(d))
		k.triad(d[at:end], x[at:end], y[at:end])
	}

	k.fence()
}

// numbers sees an area as numbers of 64 bits.
func numbers(a Area) []float64 {
	first := (*float64)(unsafe.Pointer(unsafe.SliceData(a.words))) //nolint:gosec // both have 8 bytes

	return unsafe.Slice(first, len(a.words)) //nolint:gosec // as many as there are words
}
