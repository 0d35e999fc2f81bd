package memory

import (
	"io/fs"
	"path"
	"strconv"
	"strings"

	"vetting/core"
	"vetting/firmware/inventory"
)

// Counts holds, for each DIMM that the kernel's EDAC drivers know, how many errors
// they have counted: corrected ones and others together.
type Counts map[core.Part]uint64

// ReadCounts reads them. A DIMM is named as SMBIOS names it where its label says
// so, else by the label.
func ReadCounts(root fs.FS, tables []inventory.Structure) Counts {
	counts := Counts{}
	dirs, _ := fs.Glob(root, "sys/devices/system/edac/mc/mc[0-9]*/dimm[0-9]*") //nolint:errcheck // the pattern is right

	for _, dir := range dirs {
		label := text(root, path.Join(dir, "dimm_label"))
		part := core.Part{Kind: "dimm", Slot: label}

		for _, d := range inventory.DIMMs(tables) {
			if d.SizeBytes > 0 && named(label, d.Slot) {
				part = dimmPart(d)
			}
		}

		for _, name := range []string{"dimm_ce_count", "dimm_ue_count"} {
			if n, err := strconv.ParseUint(text(root, path.Join(dir, name)), 10, 64); err == nil {
				counts[part] += n
			}
		}
	}

	return counts
}

// named reports whether a label is, or ends or begins with, the name of a slot.
func named(label, slot string) bool {
	words := func(r rune) bool { return strings.ContainsRune(" /:#,", r) }

	for word := range strings.FieldsFuncSeq(label, words) {
		if strings.EqualFold(word, slot) {
			return true
		}
	}

	return strings.EqualFold(label, slot)
}

// Grown returns the DIMMs that have counted more than before.
func (c Counts) Grown(before Counts) (parts []core.Part) {
	for part, n := range c {
		if n > before[part] {
			parts = append(parts, part)
		}
	}

	return parts
}
