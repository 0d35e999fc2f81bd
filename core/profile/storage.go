package profile

import (
	"strings"
	"time"
	"unicode"

	"vetting/core"
)

// The configuration keys of the Storage stage.
const (
	// StorageMode: with "destructive" the disks that are armed for the run are written
	// and verified; with "read-only", and where nothing is armed, disks are read.
	StorageMode = "Storage.mode"
	// StorageExtent is how much of a disk: "sample", 2 % in 256 places, or "full".
	StorageExtent = "Storage.extent"
	// StoragePasses is how often it is written and verified; the second pass is the
	// complement of the first.
	StoragePasses = "Storage.passes"
	// StorageOrder is how what was written is read: "forward", or "alternating": every
	// other pass reads each GiB from its end to its beginning.
	StorageOrder = "Storage.read_order"
	// StorageRandom is how long single blocks are read all over.
	StorageRandom = "Storage.random"
	// StorageFinish is what becomes of what was written: "keep", "discard" (TRIM,
	// UNMAP, Deallocate) or "secure" (secure discard).
	StorageFinish = "Storage.finish"
	// StorageForeign is what counts as somebody's data: "any" that is not blank, or
	// "signatures" alone.
	StorageForeign = "Storage.foreign"
	// StorageProtect are serial numbers and WWNs of disks that are never written, with
	// commas between. Where there is none, each run of words counts as one.
	StorageProtect = "Storage.protect"
)

// Destructive reports whether a profile lets armed disks be written.
func Destructive(p *core.Profile) bool { return p.Config[StorageMode] == "destructive" }

func storagePlan() []row {
	return []row{
		{StorageMode, tiers{"read-only", "destructive", "destructive"}},
		{StorageExtent, tiers{"sample", "full", "full"}},
		{StoragePasses, tiers{"1", "1", "2"}},
		{StorageOrder, tiers{"forward", "forward", "alternating"}},
		{StorageRandom, tiers{"60s", "60s", "60s"}},
		{StorageFinish, tiers{"discard", "discard", "discard"}},
		{StorageForeign, tiers{"any", "any", "any"}},
	}
}

func storageSettings() map[string]setting {
	const (
		most     = 1024
		passes   = 16
		serials  = "serial numbers and WWNs with commas between"
		readable = 24 * time.Hour
	)

	return map[string]setting{
		StorageMode: oneOf("read-only", "destructive"), StorageExtent: oneOf("sample", "full"), StoragePasses: whole(1, passes), StorageOrder: oneOf("forward", "alternating"),
		StorageRandom: duration(readable), StorageFinish: oneOf("keep", "discard", "secure"), StorageForeign: oneOf("any", "signatures"),
		StorageProtect: {like: serials, fits: func(value string) bool {
			return len(value) <= most && !strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) || r == ';' || r == '/' })
		}},
	}
}

// StorageRules compare how fast the slowest disk of each model is read with the hosts
// of the same class.
func StorageRules() []core.Rule {
	const rate = "disk/*/model_read_mibps"

	return []core.Rule{
		{ID: "storage-off-class", Stage: string(core.Storage), Key: rate, Op: core.OpGTE, Of: "baseline", Value: 70, Severity: core.Warning, Code: "storage/off-class"},
		{ID: "storage-far-off-class", Stage: string(core.Storage), Key: rate, Op: core.OpGTE, Of: "baseline", Value: 50, Severity: core.Critical, Code: "storage/off-class"},
	}
}
