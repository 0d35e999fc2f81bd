package inventory

import (
	"fmt"
	"io/fs"
	"strings"

	"vetting/core"
)

// BMCInterface names how the machine's BMC is reached (type 38, DSP0134 §7.39);
// empty where the firmware tells of none.
func BMCInterface(all []Structure) string {
	tables := OfType(all, typeIPMI)
	if len(tables) == 0 {
		return ""
	}

	names := map[byte]string{1: "KCS", 2: "SMIC", 3: "BT", 4: "SSIF"}
	if name := names[tables[0].Byte(0x04)]; name != "" {
		return name
	}

	return "unknown"
}

// TrustedModule describes the TPM: what type 43 (DSP0134 §7.44) tells, and which
// family the kernel speaks with. nil without one.
func TrustedModule(root fs.FS, all []Structure) *core.TPM {
	family := TPM(root)
	tables := OfType(all, typeTPM)

	if family == "" && len(tables) == 0 {
		return nil
	}

	var t core.TPM

	if family != "" {
		t.Version = map[string]string{"1": "1.2", "2": "2.0"}[family]
	}

	if len(tables) == 0 {
		return &t
	}

	s := tables[0]
	if t.Version == "" {
		t.Version = fmt.Sprintf("%d.%d", s.Byte(0x08), s.Byte(0x09))
	}

	if len(s.Data) >= 0x12 {
		t.Manufacturer, t.Firmware = strings.TrimSpace(printable(s.Data[0x04:0x08])), moduleFirmware(s)
	}

	return &t
}

// moduleFirmware: of a TPM 2.0 the two words are major and minor revision, each of
// two numbers; of a 1.2 they stand in the second and third byte of the first word.
func moduleFirmware(s Structure) string {
	const modern = 2

	first, second := s.DWord(0x0a), s.DWord(0x0e)

	switch {
	case first == 0 && second == 0:
		return ""
	case s.Byte(0x08) == modern:
		return fmt.Sprintf("%d.%d.%d.%d", first>>16, first&0xffff, second>>16, second&0xffff)
	default:
		return fmt.Sprintf("%d.%d", first>>8&0xff, first>>16&0xff)
	}
}

// Components decodes type 45 (DSP0134 §7.46), the firmware inventory that some
// platforms keep.
func Components(all []Structure) (items []core.FirmwareItem) {
	for _, s := range OfType(all, typeFirmware) {
		name, version := s.Text(0x04), s.Text(0x05)
		if name == "" || version == "" {
			continue
		}

		items = append(items, core.FirmwareItem{
			Part: core.Part{Kind: "board", Slot: name}, Name: name, Version: version, Date: isoDate(s.Text(0x09)),
		})
	}

	return items
}
