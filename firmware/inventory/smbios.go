package inventory

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// ErrNoSMBIOS means that the machine has no SMBIOS tables.
var ErrNoSMBIOS = errors.New("the machine has no SMBIOS tables")

// SMBIOSPath is where the kernel shows the tables, without the leading slash.
const SMBIOSPath = "sys/firmware/dmi/tables/DMI"

const (
	entryPointPath = "sys/firmware/dmi/tables/smbios_entry_point"
	maxTables      = 1 << 20 // bytes; real ones have up to 64 KiB
	typeEnd        = 127
)

// Structure is one SMBIOS structure: its formatted area, header included, and its
// strings (DSP0134 §6.1).
type Structure struct {
	Type    byte
	Handle  uint16
	Data    []byte
	Strings []string
}

// ReadSMBIOS reads the tables of the machine under root. ErrNoSMBIOS when there
// are none.
func ReadSMBIOS(root fs.FS) ([]Structure, error) {
	tables, err := fs.ReadFile(root, SMBIOSPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoSMBIOS
	}

	if err != nil {
		return nil, fmt.Errorf("reading SMBIOS tables: %w", err)
	}

	if len(tables) > maxTables {
		return nil, fmt.Errorf("reading SMBIOS tables: %d bytes are more than the %d allowed", len(tables), maxTables)
	}

	return ParseSMBIOS(tables)
}

// ParseSMBIOS splits tables into structures. When it breaks off in the middle of
// one, the structures before it are returned together with the error.
func ParseSMBIOS(tables []byte) (all []Structure, err error) {
	for len(tables) > 0 {
		length := 0
		if len(tables) >= 4 {
			length = int(tables[1])
		}

		if length < 4 || length > len(tables) {
			return all, fmt.Errorf("decoding SMBIOS tables: structure %d is cut off", len(all))
		}

		s := Structure{Type: tables[0], Handle: binary.LittleEndian.Uint16(tables[2:]), Data: tables[:length]}

		end := bytes.Index(tables[length:], []byte{0, 0})
		if end < 0 {
			return all, fmt.Errorf("decoding SMBIOS tables: the strings of structure %d do not end", len(all))
		}

		if end > 0 {
			for text := range bytes.SplitSeq(tables[length:length+end], []byte{0}) {
				s.Strings = append(s.Strings, printable(text))
			}
		}

		all = append(all, s)
		tables = tables[length+end+2:]

		if s.Type == typeEnd {
			break
		}
	}

	return all, nil
}

// OfType returns the structures of one type, in the order of the tables.
func OfType(all []Structure, kind byte) (found []Structure) {
	for _, s := range all {
		if s.Type == kind {
			found = append(found, s)
		}
	}

	return found
}

// Byte returns the byte at an offset of the formatted area, 0 beyond its end.
func (s Structure) Byte(at int) byte {
	if at >= len(s.Data) {
		return 0
	}

	return s.Data[at]
}

// Word returns the 16-bit number at an offset, 0 beyond the end.
func (s Structure) Word(at int) uint16 {
	if at+2 > len(s.Data) {
		return 0
	}

	return binary.LittleEndian.Uint16(s.Data[at:])
}

// DWord returns the 32-bit number at an offset, 0 beyond the end.
func (s Structure) DWord(at int) uint32 {
	if at+4 > len(s.Data) {
		return 0
	}

	return binary.LittleEndian.Uint32(s.Data[at:])
}

// QWord returns the 64-bit number at an offset, 0 beyond the end.
func (s Structure) QWord(at int) uint64 {
	if at+8 > len(s.Data) {
		return 0
	}

	return binary.LittleEndian.Uint64(s.Data[at:])
}

// Text returns the string whose number stands at an offset, and nothing for a
// placeholder.
func (s Structure) Text(at int) string {
	n := int(s.Byte(at))
	if n == 0 || n > len(s.Strings) {
		return ""
	}

	return Told(s.Strings[n-1])
}

// Told returns text, or nothing when it is one of the placeholders that vendors
// leave in place of a value.
func Told(text string) string {
	text = strings.TrimSpace(text)

	switch strings.ToLower(strings.Trim(text, " .")) {
	case "", "to be filled by o.e.m", "to be filled by oem", "not specified", "not available", "not applicable",
		"unknown", "undefined", "none", "null", "n/a", "na", "empty", "default string", "default", "system product name",
		"system manufacturer", "system version", "system serial number", "serial number", "base board serial number",
		"chassis serial number", "asset tag", "no asset tag", "no asset information", "chassis asset tag", "asset-1234567890", "no dimm", "not provided",
		"0123456789", "1234567890", "123456789", "01234567", "01234567890123456789ab", "not set", "xxxxxxxx", "oem", "o.e.m", "sku", "no module installed",
		"serial", "partnum", "part number", "invalid", "unspecified", "<out of spec>", "<bad index>":
		return ""
	}

	if len(text) > 1 && strings.Trim(text, text[:1]) == "" && strings.ContainsRune("0fFxX*-.", rune(text[0])) {
		return "" // "00000000", "FFFFFFFF"
	}

	return text
}

// printable keeps printable ASCII, so that nothing else reaches a terminal.
func printable(text []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}

		return r
	}, string(text))
}

// Version returns major and minor of the SMBIOS version out of the entry point;
// 0, 0 when the machine does not show one.
func Version(root fs.FS) (major, minor int) {
	entry, err := fs.ReadFile(root, entryPointPath)

	switch {
	case err != nil:
		return 0, 0
	case len(entry) >= 9 && string(entry[:5]) == "_SM3_":
		return int(entry[7]), int(entry[8])
	case len(entry) >= 8 && string(entry[:4]) == "_SM_":
		return int(entry[6]), int(entry[7])
	default:
		return 0, 0
	}
}
