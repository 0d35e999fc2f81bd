// Package ukitest has an EFI stub for tests: a PE file of the shape of systemd's, with one
// section and room for more, that does nothing.
package ukitest

import "encoding/binary"

// Stub returns the stub.
func Stub() []byte {
	const (
		pe, optional, table = 0x80, 0x80 + 24, 0x80 + 24 + 240
		headers, raw, virt  = 0x400, 0x200, 0x1000
	)

	b := make([]byte, headers+raw)
	word := func(at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }
	half := func(at int, v uint16) { binary.LittleEndian.PutUint16(b[at:], v) }

	copy(b, "MZ")
	word(0x3c, pe)
	copy(b[pe:], "PE\x00\x00")
	half(pe+4, 0x8664) // IMAGE_FILE_MACHINE_AMD64
	half(pe+6, 1)
	half(pe+20, 240)
	half(pe+22, 0x0206)
	half(optional, 0x20b)
	word(optional+16, virt) // AddressOfEntryPoint
	word(optional+32, virt)
	word(optional+36, raw)
	word(optional+56, 2*virt)
	word(optional+60, headers)
	word(optional+64, 0xdead) // a checksum of what was
	half(optional+68, 10)     // EFI application
	word(optional+108, 16)

	copy(b[table:], ".text")
	word(table+8, 0x100)
	word(table+12, virt)
	word(table+16, raw)
	word(table+20, headers)
	word(table+36, 0x60000020)

	return b
}
