//go:build linux

package lab

import (
	"encoding/binary"
	"strconv"

	"vetting/cmd/vetting-lab/bmc"
)

// Identity is what a machine says of itself through SMBIOS (DSP0134).
type Identity struct {
	UUID         string
	Manufacturer string
	Product      string
	Serial       string
	BoardSerial  string
	AssetTag     string
	DIMMs        []DIMM
	Supplies     []string // slots of power supplies, all of them filled
}

// DIMM is a memory slot; MiB 0 is an empty one.
type DIMM struct {
	Slot   string
	MiB    uint16
	Maker  string
	Part   string
	Serial string
}

// supplyTable is SMBIOS type 39 (DSP0134 7.40): the i-th power supply, hot-replaceable and
// present.
func supplyTable(i int, slot string) []byte {
	const handle, characteristics, none = 0x2700, 1<<0 | 1<<1 | 3<<7, 0xffff

	t := make([]byte, 0x16)
	t[0], t[1] = 39, byte(len(t))
	binary.LittleEndian.PutUint16(t[2:], uint16(handle+i)) //nolint:gosec // a handful of supplies
	t[4] = 1
	t[5], t[6], t[7] = 1, 2, 3
	binary.LittleEndian.PutUint16(t[12:], bmc.Watts)
	binary.LittleEndian.PutUint16(t[14:], characteristics)

	for at := 16; at < len(t); at += 2 {
		binary.LittleEndian.PutUint16(t[at:], none) // probes and cooling device
	}

	for _, text := range []string{slot, "LP-800", "Lab Power"} {
		t = append(append(t, text...), 0)
	}

	return append(t, 0)
}

// QEMU's own handles for the memory array and its devices, which other tables
// point to (hw/smbios/smbios.c).
const (
	handleArray  = 0x1000
	handleDevice = 0x1100
)

// arrayTable is SMBIOS type 16 (DSP0134 7.17): one array with n slots, no ECC.
func arrayTable(n int) []byte {
	t := make([]byte, 0x17)
	t[0], t[1] = 16, byte(len(t))
	binary.LittleEndian.PutUint16(t[2:], handleArray)
	t[4] = 3                                         // system board
	t[5] = 3                                         // system memory
	t[6] = 3                                         // no error correction
	binary.LittleEndian.PutUint32(t[7:], 16<<20)     // maximum capacity in KiB
	binary.LittleEndian.PutUint16(t[11:], 0xfffe)    // no error information
	binary.LittleEndian.PutUint16(t[13:], uint16(n)) //nolint:gosec // a handful of slots

	return append(t, 0, 0) // no strings
}

// deviceTable is SMBIOS type 17 (DSP0134 7.18): the i-th slot.
func deviceTable(i int, d DIMM) []byte {
	t := make([]byte, 0x28)
	t[0], t[1] = 17, byte(len(t))
	binary.LittleEndian.PutUint16(t[2:], uint16(handleDevice+i)) //nolint:gosec // a handful of slots
	binary.LittleEndian.PutUint16(t[4:], handleArray)
	binary.LittleEndian.PutUint16(t[6:], 0xfffe)  // no error information
	binary.LittleEndian.PutUint16(t[8:], 0xffff)  // total width unknown
	binary.LittleEndian.PutUint16(t[10:], 0xffff) // data width unknown
	binary.LittleEndian.PutUint16(t[12:], d.MiB)
	t[14] = 9 // DIMM
	t[16] = 1 // device locator
	t[17] = 2 // bank locator
	t[18] = 2 // type unknown

	texts := []string{d.Slot, "BANK " + strconv.Itoa(i)}

	if d.MiB > 0 {
		t[18] = 0x1a                                // DDR4
		binary.LittleEndian.PutUint16(t[21:], 2666) // MT/s
		binary.LittleEndian.PutUint16(t[32:], 2400) // configured MT/s
		t[23], t[24], t[26] = 3, 4, 5
		t[27] = 1 // rank

		texts = append(texts, d.Maker, d.Serial, d.Part)
	}

	for _, text := range texts {
		t = append(append(t, text...), 0)
	}

	return append(t, 0)
}
