package cpu

// Block does one block of a kernel's work and returns what came out, which is valid
// until the next call. It is not safe for concurrent use: it owns the memory that it
// works on.
type Block func(seed uint64) []uint64

// Variant is one way to do a kernel's work.
type Variant struct {
	// Name says by which instructions: "avx512", "avx2", "go".
	Name string
	// Lanes is how many results one instruction makes; 1 for scalar code.
	Lanes int
	// New sets up the memory for blocks. The first block may be slower.
	New func() Block
}

// Kernel is a kind of work that a CPU must get right.
type Kernel struct {
	// Name is one word: "fma", "aes".
	Name string
	// What says for people which parts of a CPU it uses.
	What string
	// Flops counts the 64-bit floating-point operations of a block, a multiply-add
	// as two; 0 where none are counted.
	Flops float64
	// Bytes is the memory that blocks of it need.
	Bytes int

	variants func(Features) []Variant
}

// Variants lists the ways in which a CPU can do it, the best first. The last is
// plain Go and always there.
func (k Kernel) Variants(f Features) []Variant { return k.variants(f) }

// Best is the variant for a CPU.
func (k Kernel) Best(f Features) Variant { return k.variants(f)[0] }

// Kernels lists all kernels, the hottest first.
func Kernels() []Kernel {
	return []Kernel{
		fma(), fmaL1(), fmaL2(), fmaL3(), fmaStream(),
		multiply(), multiplyWide(), multiplyExact(),
		aes(), carryless(), gather(), division(),
		sha(), signature(), modexp(),
		deflate(), zstandard(), moves(), sorting(), hashing(),
	}
}

// Find looks a kernel up by its name.
func Find(name string) (Kernel, bool) {
	for _, k := range Kernels() {
		if k.Name == name {
			return k, true
		}
	}

	return Kernel{}, false
}

// plain is the list of a kernel that has no assembly of its own.
func plain(setup func() Block) func(Features) []Variant {
	return func(Features) []Variant { return []Variant{{Name: "go", Lanes: 1, New: setup}} }
}
