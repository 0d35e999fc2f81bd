package pattern

import "sync/atomic"

// chunk is what was read where something was wrong.
type chunk = [chunkWords]uint64

// loops are one implementation of the inner loops. mem is a multiple of a chunk,
// tables are at least as long. Those that compare stop before the first chunk (in
// their direction) that does not hold table ^ key, keep what they read of it in
// got, and return how many words were right. Nothing is written to a chunk that
// is wrong.
type loops struct {
	name string
	// fill writes table ^ k.
	fill func(mem, table []uint64, k *key)
	// check compares with table ^ k.
	check func(mem, table []uint64, k *key, got *chunk) (right int)
	// turn compares, and writes next ^ nextKey.
	turn func(mem, table []uint64, k *key, next []uint64, nextKey *key, got *chunk) (right int)
	// turnDown is turn from the last chunk to the first.
	turnDown func(mem, table []uint64, k *key, next []uint64, nextKey *key, got *chunk) (right int)
	// move compares mem, and writes what was read to dst, which is as long.
	move func(dst, mem, table []uint64, k *key, got *chunk) (right int)
	// flush has the caches write mem back and forget it.
	flush func(mem []uint64)
	// fence waits until all writes have left the processor.
	fence func()
	// copy, scale and triad are the loops of STREAM (McCalpin), for the bandwidth:
	// dst = src and dst = a + 3·b over as many numbers as dst has, a multiple of a chunk.
	copy  func(dst, src []uint64)
	triad func(dst, a, b []float64)
}

// reference is the plain implementation, which the others must equal.
func reference() loops {
	return loops{
		name: "plain Go", fill: fillPlain, check: checkPlain, turn: turnPlain, turnDown: turnDownPlain, move: movePlain,
		flush: flusher(), fence: func() {}, copy: func(dst, src []uint64) { copy(dst, src) }, triad: triadPlain,
	}
}

func fillPlain(mem, table []uint64, k *key) {
	table = table[:len(mem)]
	for w := range mem {
		mem[w] = table[w] ^ k[w%keyWords]
	}
}

// differ loads a chunk and reports whether it differs from table ^ k.
//
//go:noinline
func differ(mem, table []uint64, k *key, got *chunk) bool {
	from, want := (*chunk)(mem), (*chunk)(table)
	*got = *from

	var diff uint64
	for w := 0; w < chunkWords; w += keyWords {
		for lane := range keyWords {
			diff |= got[w+lane] ^ want[w+lane] ^ k[lane]
		}
	}

	return diff != 0
}

func checkPlain(mem, table []uint64, k *key, got *chunk) (right int) {
	for at := 0; at < len(mem); at += chunkWords {
		if differ(mem[at:], table[at:], k, got) {
			return at
		}
	}

	return len(mem)
}

func turnPlain(mem, table []uint64, k *key, next []uint64, nextKey *key, got *chunk) (right int) {
	for at := 0; at < len(mem); at += chunkWords {
		if differ(mem[at:], table[at:], k, got) {
			return at
		}

		fillPlain(mem[at:at+chunkWords], next[at:], nextKey)
	}

	return len(mem)
}

func turnDownPlain(mem, table []uint64, k *key, next []uint64, nextKey *key, got *chunk) (right int) {
	for at := len(mem) - chunkWords; at >= 0; at -= chunkWords {
		if differ(mem[at:], table[at:], k, got) {
			return len(mem) - chunkWords - at
		}

		fillPlain(mem[at:at+chunkWords], next[at:], nextKey)
	}

	return len(mem)
}

func movePlain(dst, mem, table []uint64, k *key, got *chunk) (right int) {
	for at := 0; at < len(mem); at += chunkWords {
		if differ(mem[at:], table[at:], k, got) {
			return at
		}

		copy(dst[at:at+chunkWords], got[:])
	}

	return len(mem)
}

func triadPlain(dst, a, b []float64) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] + 3*b[i]
	}
}

// load and store go to memory when they are told: the compiler may neither leave
// them out nor join them.
//
//go:noinline
func load(word *uint64) uint64 { return atomic.LoadUint64(word) }

//go:noinline
func store(word *uint64, value uint64) { atomic.StoreUint64(word, value) }
