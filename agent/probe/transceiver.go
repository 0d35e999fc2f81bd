package probe

import (
	"vetting/agent/disk"
	"vetting/core"
)

// Kinds of module: the first byte of each memory map (SFF-8024 table 4-1).
const (
	kindSFP     = 0x03
	kindQSFP    = 0x0c
	kindQSFPp   = 0x0d
	kindQSFP28  = 0x11
	kindQSFPDD  = 0x18
	kindOSFP    = 0x19
	kindSFPDD   = 0x1a
	kindQSFPp22 = 0x1e // QSFP+ or later with CMIS
)

// ParseTransceiver decodes the memory of a module: SFF-8472 for SFP, SFF-8636 for
// QSFP, CMIS for the later kinds. ok is false where the bytes are of none of them.
func ParseTransceiver(b []byte) (t core.Transceiver, ok bool) {
	if len(b) == 0 {
		return t, false
	}

	field := func(at int) string {
		if at+16 > len(b) {
			return ""
		}

		return disk.Text(b[at : at+16])
	}

	var at [3]int // of vendor, part and serial

	switch b[0] {
	case kindSFP:
		t.Kind, at = "SFP", [3]int{20, 40, 68}
	case kindQSFP, kindQSFPp, kindQSFP28:
		t.Kind, at = map[byte]string{kindQSFP: "QSFP", kindQSFPp: "QSFP+", kindQSFP28: "QSFP28"}[b[0]], [3]int{148, 168, 196}
	case kindQSFPDD, kindOSFP, kindSFPDD, kindQSFPp22:
		t.Kind, at = map[byte]string{kindQSFPDD: "QSFP-DD", kindOSFP: "OSFP", kindSFPDD: "SFP-DD", kindQSFPp22: "QSFP56"}[b[0]], [3]int{129, 148, 166}
	default:
		return t, false
	}

	t.Vendor, t.Part, t.Serial = field(at[0]), field(at[1]), field(at[2])

	return t, true
}
