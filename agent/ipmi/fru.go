package ipmi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Inventory is where the BMC keeps what a part says of itself (IPMI 2.0 §43.8: a locator
// record of a FRU device).
type Inventory struct {
	Name     string
	Device   byte // number of the FRU device, for ReadIdentity
	Entity   byte // table 43-13
	Instance byte
}

// Offsets in a FRU device locator record.
const (
	locatorRecord = 0x11
	locatorDevice = 6
	locatorAccess = 7
	locatorEntity = 12
	locatorLength = 15
)

// ParseInventory decodes a record that says where a FRU's information is; false: it is
// another record, or of a device that the BMC does not read itself.
func ParseInventory(record []byte) (i Inventory, ok bool) {
	const bmcItself, logical = 0x20, 0x80

	if len(record) <= locatorLength || record[sdrType] != locatorRecord || record[sdrOwner] != bmcItself || record[locatorAccess]&logical == 0 {
		return i, false
	}

	return Inventory{
		Name: letters(record, locatorLength), Device: record[locatorDevice], Entity: record[locatorEntity], Instance: instance(record[locatorEntity+1]),
	}, true
}

// Identity is what a part says of itself (IPMI Platform Management FRU Information Storage
// Definition 1.3). What it does not say is empty.
type Identity struct {
	Manufacturer string
	Model        string
	Part         string
	Version      string
	Serial       string
	Watts        int // capacity of a power supply (§18.1); 0: not told
}

// ErrFRU means that the information of a FRU is none that the definition knows.
var ErrFRU = errors.New("the FRU information has another format, or is damaged")

// ReadIdentity reads the information of a FRU device.
func ReadIdentity(bmc BMC, device byte) (Identity, error) {
	raw, err := readFRUData(bmc, device)
	if err != nil {
		return Identity{}, fmt.Errorf("reading FRU %d: %w", device, err)
	}

	return ParseIdentity(raw)
}

// readFRUData reads up to maxFRU bytes (§34.1, §34.2).
func readFRUData(bmc BMC, device byte) (raw []byte, err error) {
	answer, err := ask(bmc, Storage, getFRUInfo, device)
	if err != nil {
		return nil, err
	}

	if len(answer) < 3 {
		return nil, ErrShort
	}

	unit := 1 + int(answer[2]&1) // bytes of a word, in which the device counts
	size := min(int(binary.LittleEndian.Uint16(answer)), maxFRU)

	for len(raw) < size {
		at, n := len(raw)/unit, min(chunk, size-len(raw))

		answer, err := ask(bmc, Storage, readFRU, device, byte(at), byte(at>>8), byte((n+unit-1)/unit))
		if err != nil {
			return nil, err
		}

		got := min(n, len(answer)-1)
		if got < 1 {
			return nil, ErrShort
		}

		raw = append(raw, answer[1:1+got]...)

		if unit > 1 && got%unit != 0 {
			break
		}
	}

	return raw, nil
}

// ParseIdentity decodes the information of a FRU: its product area, what that leaves out
// from its board area, and the capacity of a power supply from its records.
func ParseIdentity(raw []byte) (id Identity, err error) {
	const header, version = 8, 1

	if len(raw) < header || raw[0]&0xf != version || sum(raw[:header]) != 0 {
		return id, ErrFRU
	}

	const board, product, multi = 3, 4, 5

	// The product area has maker, name, part number, version and serial number, the
	// board area a date and maker, name, serial number and part number.
	if f := fields(area(raw, raw[product]), 3); len(f) > 0 {
		id = Identity{Manufacturer: field(f, 0), Model: field(f, 1), Part: field(f, 2), Version: field(f, 3), Serial: field(f, 4)}
	}

	if f := fields(area(raw, raw[board]), 6); len(f) > 0 {
		id.Manufacturer, id.Model = first(id.Manufacturer, field(f, 0)), first(id.Model, field(f, 1))
		id.Serial, id.Part = first(id.Serial, field(f, 2)), first(id.Part, field(f, 3))
	}

	id.Watts = capacity(raw, int(raw[multi])*8)

	return id, nil
}

func first(a, b string) string {
	if a != "" {
		return a
	}

	return b
}

func field(all []string, i int) string {
	if i < len(all) {
		return all[i]
	}

	return ""
}

// sum is 0 of what carries its own checksum.
func sum(b []byte) (s byte) {
	for _, v := range b {
		s += v
	}

	return s
}

// area cuts out an area whose place and length are counted in eights; nothing where there
// is none, or its checksum is wrong.
func area(raw []byte, at byte) []byte {
	from := int(at) * 8
	if at == 0 || from+2 > len(raw) {
		return nil
	}

	length := int(raw[from+1]) * 8
	if length < 8 || from+length > len(raw) || sum(raw[from:from+length]) != 0 {
		return nil
	}

	return raw[from : from+length]
}

// fields lists the texts of an area from a place on (§13).
func fields(area []byte, at int) (all []string) {
	const end, most = 0xc1, 32

	for at < len(area) && area[at] != end && len(all) < most {
		kind, length := area[at]>>6, int(area[at]&0x3f)
		if at+1+length > len(area) {
			break
		}

		all = append(all, text(kind, area[at+1:at+1+length]))
		at += 1 + length
	}

	return all
}

// text decodes a field: binary, BCD plus, six bits a letter, or letters (§13).
func text(kind byte, raw []byte) string {
	const bcdPlus, sixBits, letters = 1, 2, 3

	var b strings.Builder

	switch kind {
	case letters:
		return printable(raw)
	case bcdPlus:
		for _, v := range raw {
			b.WriteByte("0123456789 -.???"[v>>4])
			b.WriteByte("0123456789 -.???"[v&0xf])
		}
	case sixBits:
		for i := range len(raw) * 8 / 6 {
			v, at := 0, i*6
			for bit := range 6 {
				v |= int(raw[(at+bit)/8]>>((at+bit)%8)&1) << bit
			}

			b.WriteByte(byte(' ' + v))
		}
	default:
		fmt.Fprintf(&b, "%x", raw)
	}

	return strings.TrimSpace(b.String())
}

// capacity looks through the records for that of a power supply (§16, §18.1), whose first
// twelve bits are its overall capacity in watts.
func capacity(raw []byte, at int) int {
	const header, supply, last, bits, most = 5, 0x00, 0x80, 0x0fff, 64

	for n := 0; at > 0 && at+header <= len(raw) && n < most; n++ {
		h := raw[at : at+header]
		body := at + header
		length := int(h[2])

		if sum(h) != 0 || body+length > len(raw) {
			return 0
		}

		if h[0] == supply && length >= 2 && sum(append([]byte{h[3]}, raw[body:body+length]...)) == 0 {
			return int(binary.LittleEndian.Uint16(raw[body:]) & bits)
		}

		if h[1]&last != 0 {
			return 0
		}

		at = body + length
	}

	return 0
}
