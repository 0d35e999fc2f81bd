package inventory

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strings"

	"vetting/core"
)

// Types of SMBIOS structure (DSP0134 §7).
const (
	typeBIOS      = 0
	typeSystem    = 1
	typeBoard     = 2
	typeChassis   = 3
	typeProcessor = 4
	typeSlot      = 9
	typeArray     = 16
	typeMemory    = 17
	typeArrayMap  = 19
	typeDeviceMap = 20
	typeIPMI      = 38
	typeSupply    = 39
	typeTPM       = 43
	typeFirmware  = 45
)

// System decodes type 1. The UUID's first three fields are little-endian since
// SMBIOS 2.6 (§7.2.1), which is older than any machine worth vetting.
func System(all []Structure) core.System {
	for _, s := range OfType(all, typeSystem) {
		return core.System{
			Manufacturer: s.Text(0x04), Product: s.Text(0x05), Version: s.Text(0x06), Serial: s.Text(0x07),
			SKU: s.Text(0x19), UUID: uuid(s),
		}
	}

	return core.System{}
}

func uuid(s Structure) string {
	if len(s.Data) < 0x18 {
		return ""
	}

	raw := s.Data[0x08:0x18]
	if text := hex.EncodeToString(raw); strings.Trim(text, "0") == "" || strings.Trim(text, "f") == "" {
		return "" // not set, not present
	}

	id := fmt.Sprintf("%08x-%04x-%04x-%s-%s",
		binary.LittleEndian.Uint32(raw), binary.LittleEndian.Uint16(raw[4:]), binary.LittleEndian.Uint16(raw[6:]),
		hex.EncodeToString(raw[8:10]), hex.EncodeToString(raw[10:]))

	if id == "03000200-0400-0500-0006-000700080009" {
		return "" // AMI's template, shared by thousands of boards
	}

	return id
}

// Board decodes the first type 2 structure that is a motherboard, or else the
// first of all.
func Board(all []Structure) core.Board {
	boards := OfType(all, typeBoard)
	if len(boards) == 0 {
		return core.Board{}
	}

	pick := boards[0]

	for _, s := range boards {
		if s.Byte(0x0d) == 0x0a {
			pick = s

			break
		}
	}

	return core.Board{Manufacturer: pick.Text(0x04), Product: pick.Text(0x05), Version: pick.Text(0x06), Serial: pick.Text(0x07)}
}

// Chassis decodes type 3.
func Chassis(all []Structure) core.Chassis {
	for _, s := range OfType(all, typeChassis) {
		return core.Chassis{
			Manufacturer: s.Text(0x04), Type: chassisType(s.Byte(0x05) & 0x7f), Serial: s.Text(0x07), AssetTag: s.Text(0x08),
		}
	}

	return core.Chassis{}
}

// chassisType names the common forms of DSP0134 table 17.
func chassisType(kind byte) string {
	names := map[byte]string{
		0x03: "desktop", 0x04: "low profile desktop", 0x06: "mini tower", 0x07: "tower", 0x08: "portable", 0x09: "laptop",
		0x0a: "notebook", 0x0d: "all in one", 0x11: "main server chassis", 0x17: "rack mount chassis", 0x18: "sealed-case pc",
		0x19: "multi-system chassis", 0x1c: "blade", 0x1d: "blade enclosure", 0x1e: "tablet", 0x23: "mini pc", 0x24: "stick pc",
	}

	return names[kind]
}

// BIOS decodes type 0 and adds how the machine was booted.
func BIOS(root fs.FS, all []Structure) core.BIOS {
	bios := core.BIOS{Mode: "bios"}

	if _, err := fs.Stat(root, "sys/firmware/efi"); err == nil {
		bios.Mode, bios.SecureBoot = "uefi", SecureBoot(root)
	}

	for _, s := range OfType(all, typeBIOS) {
		bios.Vendor, bios.Version, bios.Date = s.Text(0x04), s.Text(0x05), isoDate(s.Text(0x08))

		break
	}

	return bios
}

// SecureBoot reads the firmware's SecureBoot variable (UEFI 2.10 §3.3): four bytes
// of attributes, then 1 for on. A machine without it has it off.
func SecureBoot(root fs.FS) bool {
	value, err := fs.ReadFile(root, "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c")

	return err == nil && len(value) >= 5 && value[4] == 1
}

// isoDate turns SMBIOS's mm/dd/yyyy into yyyy-mm-dd; what is neither stays.
func isoDate(date string) string {
	parts := strings.Split(date, "/")
	if len(parts) != 3 || len(parts[0]) != 2 || len(parts[1]) != 2 || len(parts[2]) != 4 {
		return date
	}

	return parts[2] + "-" + parts[0] + "-" + parts[1]
}

// Identity returns what makes the machine that machine; NICs are for the caller
// to add.
func Identity(all []Structure) core.Identity {
	return core.Identity{SMBIOSUUID: System(all).UUID, BoardSerial: Board(all).Serial}
}
