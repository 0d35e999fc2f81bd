// Package cpu makes CPUs work and knows what must come out. Each kernel turns a
// seed into a block of work of at most some milliseconds and the block into 64
// bits; whoever runs it compares these with the known answer, with those of other
// CPUs, and with those of the same CPU later. There is no tolerance: everything
// computed here is exact to the bit on any sound CPU, whatever its instruction set,
// since IEEE 754 leaves no room and the rest are integers.
//
// A kernel comes in variants: assembly for AVX-512 and AVX2 and the like, and plain
// Go, which is the reference for the others and runs everywhere. Which one runs is
// for the CPU to say that it runs on (Detect), since the cores of one package may
// differ.
package cpu
