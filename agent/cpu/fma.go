package cpu

import "math"

// The multiply-add kernels run x <- x*x + c in many lanes at once. The map is
// chaotic: an error that outlives the rounding of the next step, as all but those in
// the last bits of a small x do, is an error in all bits of the lane some sixty steps
// later; and all bits of the operands are in use all the time.
const (
	fmaLanes = 96
	fmaTerms = 16 // lanes l and l+16 share their c

	fmaSteps = 100_000
)

// fmaState is the lanes of a block.
type fmaState struct {
	x [fmaLanes]float64
	c [fmaTerms]float64
}

// seed sets the lanes. c lies between -2 and -1.992, where the map has next to no
// stable cycles (measured: none in 24,000 lanes), which would swallow an error; |x|
// stays below 2 for ever.
func (s *fmaState) seed(seed uint64) {
	rnd := stream(seed)

	for i := range s.c {
		s.c[i] = math.Float64frombits(0xbfff_e000<<32 | rnd.next()>>16)
	}

	for i := range s.x {
		s.x[i] = rnd.float(0x3ff0 | rnd.next()&0x8007) // ±[1, 1.5)
	}
}

// fma keeps the multiply-add units busy from registers alone.
func fma() Kernel {
	return Kernel{
		Name: "fma", What: "multiply-add units from registers", Flops: 2 * fmaLanes * fmaSteps,
		variants: func(f Features) []Variant {
			return append(fmaFast(f), Variant{Name: "go", Lanes: 1, New: func() Block { return fmaBlock(fmaPlain) }})
		},
	}
}

func fmaBlock(run func(s *fmaState, steps int)) Block {
	s, out := new(fmaState), make([]uint64, fmaLanes)

	return func(seed uint64) []uint64 {
		s.seed(seed)
		run(s, fmaSteps)

		return floats(out, s.x[:])
	}
}

// fmaPlain is the reference: four lanes at a time, so that their latencies
// overlap.
func fmaPlain(s *fmaState, steps int) {
	for l := 0; l < fmaLanes; l += 4 {
		x := s.x[l : l+4 : l+4]
		c := s.c[l%fmaTerms : l%fmaTerms+4 : l%fmaTerms+4]
		x0, x1, x2, x3 := x[0], x[1], x[2], x[3]
		c0, c1, c2, c3 := c[0], c[1], c[2], c[3]

		for range steps {
			x0 = math.FMA(x0, x0, c0)
			x1 = math.FMA(x1, x1, c1)
			x2 = math.FMA(x2, x2, c2)
			x3 = math.FMA(x3, x3, c3)
		}

		x[0], x[1], x[2], x[3] = x0, x1, x2, x3
	}
}

// fmaMemory is multiply-add with one operand from memory: c changes with each step,
// row after row of a table that is as large as the cache it is to come from.
type fmaMemory struct {
	x     [fmaLanes]float64
	table []float64 // rows of fmaLanes numbers
	chunk int       // rows that are done at one go: below a millisecond
	pass  int       // how often the table is gone through
}

// The tables: sizes are fixed, since the answers must be the same on every CPU.
const (
	rowBytes   = 8 * fmaLanes
	l1Rows     = 16    // 12 KiB
	l2Rows     = 256   // 192 KiB
	l3Rows     = 4096  // 3 MiB
	streamRows = 16384 // 12 MiB
)

func fmaL1() Kernel {
	return fmaTable("fma-l1", "multiply-add units and first-level cache", l1Rows, 6144)
}

func fmaL2() Kernel {
	return fmaTable("fma-l2", "multiply-add units and second-level cache", l2Rows, 320)
}

func fmaL3() Kernel { return fmaTable("fma-l3", "multiply-add units and last-level cache", l3Rows, 8) }

func fmaStream() Kernel {
	return fmaTable("fma-stream", "multiply-add units and memory path", streamRows, 2)
}

func fmaTable(name, what string, rows, passes int) Kernel {
	return Kernel{
		Name: name, What: what, Flops: float64(2 * fmaLanes * rows * passes), Bytes: rows * rowBytes,
		variants: func(f Features) []Variant {
			return append(fmaTableFast(f, rows, passes), Variant{
				Name: "go", Lanes: 1, New: func() Block { return fmaTableBlock(fmaTablePlain, rows, passes) },
			})
		},
	}
}

// maxChunk bounds the rows that one call of assembly goes through, since such a
// call cannot be interrupted by the garbage collector.
const maxChunk = 512

func fmaTableBlock(run func(x *[fmaLanes]float64, table []float64), rows, passes int) Block {
	m := &fmaMemory{table: aligned(rows * fmaLanes), chunk: min(rows, maxChunk), pass: passes}
	out := make([]uint64, fmaLanes)

	return func(seed uint64) []uint64 {
		m.seed(seed)

		for range m.pass {
			for at := 0; at < len(m.table); at += m.chunk * fmaLanes {
				run(&m.x, m.table[at:at+m.chunk*fmaLanes])
			}
		}

		return floats(out, m.x[:])
	}
}

// seed fills table and lanes. c lies between -1.875 and -1.8125: with a c that
// changes, |x| stays below 2 only if the largest |c| is no fixed point of the
// smallest's map.
func (m *fmaMemory) seed(seed uint64) {
	rnd := stream(seed)

	for i := range m.table {
		m.table[i] = math.Float64frombits(0xbffd<<48 | rnd.brisk()>>16)
	}

	for i := range m.x {
		m.x[i] = rnd.float(0x3ff0 | rnd.next()&0x8007)
	}
}

func fmaTablePlain(x *[fmaLanes]float64, table []float64) {
	for ; len(table) >= fmaLanes; table = table[fmaLanes:] {
		row := (*[fmaLanes]float64)(table)

		for l := 0; l < fmaLanes; l += 4 {
			x[l] = math.FMA(x[l], x[l], row[l])
			x[l+1] = math.FMA(x[l+1], x[l+1], row[l+1])
			x[l+2] = math.FMA(x[l+2], x[l+2], row[l+2])
			x[l+3] = math.FMA(x[l+3], x[l+3], row[l+3])
		}
	}
}
