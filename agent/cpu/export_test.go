package cpu

import "math"

func flipped(x float64, bit int) float64 {
	return math.Float64frombits(math.Float64bits(x) ^ 1<<bit)
}

func fmaPair(run func(*fmaState, int)) func(uint64, int) (fast, plain []uint64) {
	return func(seed uint64, steps int) (fast, plain []uint64) {
		var a, b fmaState

		a.seed(seed)
		b.seed(seed)
		run(&a, steps)
		fmaPlain(&b, steps)

		return bitsOf(a.x[:]), bitsOf(b.x[:])
	}
}

func bitsOf(list []float64) (words []uint64) {
	for _, x := range list {
		words = append(words, math.Float64bits(x))
	}

	return words
}

func fmaTablePair(run func(*[fmaLanes]float64, []float64)) func(uint64, int) (fast, plain []uint64) {
	return func(seed uint64, rows int) (fast, plain []uint64) {
		a := fmaMemory{table: aligned(rows * fmaLanes)}
		b := fmaMemory{table: aligned(rows * fmaLanes)}

		a.seed(seed)
		b.seed(seed)
		run(&a.x, a.table)
		fmaTablePlain(&b.x, b.table)

		return bitsOf(a.x[:]), bitsOf(b.x[:])
	}
}

func multiplyPair(run func(*multiplyState, int)) func(uint64, int) (fast, plain []uint64) {
	return func(seed uint64, steps int) (fast, plain []uint64) {
		var a, b multiplyState

		a.seed(seed)
		b.seed(seed)
		run(&a, steps)
		multiplyPlain(&b, steps)

		return wide(a.x[:]), wide(b.x[:])
	}
}

func wide(list []uint32) (words []uint64) {
	for _, x := range list {
		words = append(words, uint64(x))
	}

	return words
}

func exactPair(run func(*exactState, int)) func(uint64, int) (fast, plain []uint64) {
	return func(seed uint64, steps int) (fast, plain []uint64) {
		var a exactState

		rnd := stream(seed)
		a.m, a.k = rnd.next()|1, rnd.next()
		rnd.fill(a.x[:])

		b := a

		run(&a, steps)
		exactPlain(&b, steps)

		return a.x[:], b.x[:]
	}
}

func aesPair(run func(*aesState, int)) func(uint64, int) (fast, plain []uint64) {
	t := aesTables()

	return func(seed uint64, steps int) (fast, plain []uint64) {
		var a, b aesState

		a.seed(seed)
		b.seed(seed)
		run(&a, steps)
		t.run(&b, steps)

		for i := range a.x {
			fast, plain = append(fast, wide(a.x[i][:])...), append(plain, wide(b.x[i][:])...)
		}

		return fast, plain
	}
}

func carrylessPair(run func(*carrylessState, int)) func(uint64, int) (fast, plain []uint64) {
	return func(seed uint64, steps int) (fast, plain []uint64) {
		var a carrylessState

		rnd := stream(seed)
		rnd.fill(a.k[:])

		for i := range a.x {
			rnd.fill(a.x[i][:])
		}

		b := a

		run(&a, steps)
		carrylessPlain(&b, steps)

		for i := range a.x {
			fast, plain = append(fast, a.x[i][:]...), append(plain, b.x[i][:]...)
		}

		return fast, plain
	}
}

func gatherPair(run func(*gatherState, int)) func(uint64, int) (fast, plain []uint64) {
	table := aligned32(gatherTable)

	return func(seed uint64, steps int) (fast, plain []uint64) {
		a := new(gatherState)
		a.table = &table[0]

		rnd := stream(seed)
		rnd.fill32(table)
		rnd.fill32(a.x[:])
		a.k = uint32(rnd.next())
		a.shuffle(rnd.next())

		b := *a

		run(a, steps)
		gatherPlain(&b, table, steps)

		return wide(a.x[:]), wide(b.x[:])
	}
}

func divisionPair(run func(*divisionState, int)) func(uint64, int) (fast, plain []uint64) {
	return func(seed uint64, rounds int) (fast, plain []uint64) {
		a := new(divisionState)

		rnd := stream(seed)
		for i := range a.c {
			a.c[i] = rnd.float(0x3ff0 | rnd.next()&0xf)
		}

		for i := range a.x {
			a.x[i] = rnd.float(0x3ff0 | rnd.next()&0xf)
		}

		b := *a

		run(a, rounds)
		divisionPlain(&b, rounds)

		return append(bitsOf(a.x[:]), a.sum[:]...), append(bitsOf(b.x[:]), b.sum[:]...)
	}
}

// FMAFlip flips a bit of a lane that has so many steps to go, and tells whether the
// digest changed.
func FMAFlip(seed uint64, lane, bit, steps int) bool {
	var a fmaState

	a.seed(seed)
	fmaPlain(&a, 100)

	b := a
	b.x[lane] = flipped(b.x[lane], bit)

	fmaPlain(&a, steps)
	fmaPlain(&b, steps)

	return a.x != b.x
}
