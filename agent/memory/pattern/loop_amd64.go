package pattern

import "golang.org/x/sys/cpu"

//go:noescape
func fillAVX2(mem, table []uint64, k *key)

//go:noescape
func checkAVX2(mem, table []uint64, k *key, got *chunk) (right int)

//go:noescape
func turnAVX2(mem, table []uint64, k *key, next []uint64, nextKey *key, got *chunk) (right int)

//go:noescape
func turnDownAVX2(mem, table []uint64, k *key, next []uint64, nextKey *key, got *chunk) (right int)

//go:noescape
func moveAVX2(dst, mem, table []uint64, k *key, got *chunk) (right int)

//go:noescape
func copyAVX2(dst, src []uint64)

//go:noescape
func triadAVX2(dst, a, b []float64)

//go:noescape
func flushOpt(mem []uint64)

//go:noescape
func flushPlain(mem []uint64)

func fence()

// hasFlushOpt reports CLFLUSHOPT (CPUID leaf 7, EBX bit 23).
func hasFlushOpt() bool

// flusher returns what has the caches write memory back and forget it.
func flusher() func(mem []uint64) {
	if hasFlushOpt() {
		return flushOpt
	}

	return flushPlain
}

// fastest returns the implementations that this processor can run, the best first.
func fastest() []loops {
	if !cpu.X86.HasAVX2 {
		return []loops{reference()}
	}

	avx2 := loops{
		name: "AVX2", fill: fillAVX2, check: checkAVX2, turn: turnAVX2, turnDown: turnDownAVX2, move: moveAVX2,
		flush: flusher(), fence: fence, copy: copyAVX2, triad: triadAVX2,
	}

	return []loops{avx2, reference()}
}
