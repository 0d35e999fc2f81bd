package cpu

import "unsafe"

// line is the size of a cache line, and of the widest registers.
const line = 64

// aligned returns n zeros of which the first stands at the begin of a cache line.
func aligned(n int) []float64 {
	const each = 8

	raw := make([]float64, n+line/each)
	skip := (line - int(uintptr(unsafe.Pointer(&raw[0]))%line)) % line / each //nolint:gosec // an address is only looked at

	return raw[skip : skip+n : skip+n]
}

// aligned32 is aligned for 32-bit numbers.
func aligned32(n int) []uint32 {
	const each = 4

	raw := make([]uint32, n+line/each)
	skip := (line - int(uintptr(unsafe.Pointer(&raw[0]))%line)) % line / each //nolint:gosec // an address is only looked at

	return raw[skip : skip+n : skip+n]
}
