package memory

import (
	"fmt"

	"vetting/agent/memory/pattern"
)

// Fault is a word of memory that did not hold what was written to it.
type Fault struct {
	Virtual  uint64 `json:"virtual"`  // address in the worker
	Physical uint64 `json:"physical"` // 0: not known
	Expected uint64 `json:"expected"`
	Got      uint64 `json:"got"`
	Node     int    `json:"node"`
	CPU      int    `json:"cpu"`  // that read it
	Step     string `json:"step"` // what was being done
	// Same counts how many of Reads further reads out of memory, past the caches,
	// gave what the first one gave.
	Same  int `json:"same"`
	Reads int `json:"reads"`
	// Failed counts how many of Tries further values written to the word did not
	// come back.
	Failed int `json:"failed"`
	Tries  int `json:"tries"`
	// Compared says that what was read is right, and that the comparison went wrong:
	// the processor is to blame, not the memory.
	Compared bool `json:"compared,omitempty"`
}

// Bits are those that flipped.
func (f *Fault) Bits() uint64 { return f.Expected ^ f.Got }

// Evidence tells all of it in a line.
func (f *Fault) Evidence() string {
	where := fmt.Sprintf("virtual address %#x, physical address not known", f.Virtual)
	if f.Physical != 0 {
		where = fmt.Sprintf("physical address %#x (virtual %#x)", f.Physical, f.Virtual)
	}

	text := fmt.Sprintf("%s on node %d: expected %016x, got %016x, xor %016x, read by CPU %d in %q",
		where, f.Node, f.Expected, f.Got, f.Bits(), f.CPU, f.Step)
	if f.Reads > 0 {
		text += fmt.Sprintf("; %d of %d further reads gave the same; %d of %d other values written there did not come back: %s",
			f.Same, f.Reads, f.Failed, f.Tries, f.kind())
	}

	return text
}

// kind says what such a fault usually is.
func (f *Fault) kind() string {
	switch {
	case f.Compared:
		return "the memory was right and the comparison wrong, which points to the CPU"
	case f.Failed > 0:
		return "the cell is bad"
	case f.Same > 0:
		return "a bit flipped while it was stored"
	default:
		return "it was misread once, which points to the bus, the cache or the CPU"
	}
}

// cell is a word of memory that is looked at closely.
type cell interface {
	// Read returns what memory holds, not the cache.
	Read() uint64
	// Write writes through to memory.
	Write(value uint64)
}

const (
	rereads = 16
	retries = 4 // with each of the values below
)

// examine looks closely at a word that was wrong: it reads it again, then writes
// other values and reads them back. It leaves what was expected.
func examine(c cell, f *Fault) {
	f.Reads, f.Tries, f.Same, f.Failed = rereads, 0, 0, 0

	for range rereads {
		if c.Read() == f.Got {
			f.Same++
		}
	}

	values := []uint64{
		f.Expected, ^f.Expected, f.Got, ^f.Got, zeros, ^uint64(zeros), stripe, ^uint64(stripe), pairs, ^uint64(pairs),
		f.Bits(), ^f.Bits(), // the bits that flipped against all others
	}

	for range retries {
		for _, value := range values {
			c.Write(value)

			f.Tries++
			if c.Read() != value {
				f.Failed++
			}
		}
	}

	c.Write(f.Expected)
}

// word is a cell of an area.
type word struct {
	kernel pattern.Kernel
	area   pattern.Area
	index  int
}

func (w word) Read() uint64 {
	w.kernel.Flush(w.area, w.index)

	return w.area.Read(w.index)
}

func (w word) Write(value uint64) {
	w.area.Write(w.index, value)
	w.kernel.Flush(w.area, w.index)
}
