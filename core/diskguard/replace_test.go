package diskguard_test

import (
	"testing"

	"vetting/core/diskguard"
	"vetting/core/problem"
)

// aStick are the facts of a stick that may be overwritten, open.
func aStick() *diskguard.Replacement {
	d := diskguard.Disk{Name: "sdb", Number: "8:16", Serial: "AA01", Model: "Maker Stick", SizeBytes: 8 << 30, Block: 512, Transport: "usb", Removable: true, Attached: "9"}

	return &diskguard.Replacement{
		Disk: d, Shown: d.Shown(), Others: []diskguard.Disk{{Name: "sda", Number: "8:0", Serial: "DISK", Transport: "sata"}}, Said: "AA01", Needs: 200 << 20,
		Opened: &diskguard.Opened{Exclusive: true, Number: "8:16", Serial: "AA01", SizeBytes: 8 << 30, Block: 512},
	}
}

// Each thing that is wrong with a stick, alone, keeps it from being overwritten, before
// and after it is open, and the word that it is no stick passes over that alone.
func TestWhatMayBeReplaced(t *testing.T) {
	if d := diskguard.MayReplace(aStick()); !d.Allows("sdb") || d.Allows("sda") {
		t.Fatal(d)
	}

	for name, c := range map[string]struct {
		spoil func(*diskguard.Replacement)
		code  string
	}{
		"no word":               {func(f *diskguard.Replacement) { f.Said = "" }, problem.StickNotMeant},
		"another's serial":      {func(f *diskguard.Replacement) { f.Said = "DISK" }, problem.StickNotMeant},
		"the model":             {func(f *diskguard.Replacement) { f.Said = f.Disk.Model }, problem.StickNotMeant},
		"nothing to be told by": {func(f *diskguard.Replacement) { f.Disk.Serial, f.Disk.Model, f.Said = "", "", "" }, problem.StickNotMeant},
		"shown under a number":  {func(f *diskguard.Replacement) { f.Shown.Number = "8:32" }, problem.StorageChanged},
		"shown of a size":       {func(f *diskguard.Replacement) { f.Shown.SizeBytes-- }, problem.StorageChanged},
		"plugged in later":      {func(f *diskguard.Replacement) { f.Shown.Attached = "8" }, problem.StorageChanged},
		"never shown":           {func(f *diskguard.Replacement) { f.Shown = diskguard.Shown{} }, problem.StorageChanged},
		"a disk":                {func(f *diskguard.Replacement) { f.Disk.Transport = "sata" }, problem.StickNotUSB},
		"a card reader":         {func(f *diskguard.Replacement) { f.Disk.Transport = "mmc" }, problem.StickNotUSB},
		"small":                 {func(f *diskguard.Replacement) { f.Needs = 9 << 30 }, problem.StickTooSmall},
		"mounted":               {func(f *diskguard.Replacement) { f.Disk.Mounts = []string{"/"} }, problem.StorageInUse},
		"held":                  {func(f *diskguard.Replacement) { f.Disk.Holders = []string{"dm-0"} }, problem.StorageInUse},
		"swapped to":            {func(f *diskguard.Replacement) { f.Disk.Swap = []string{"sdb2"} }, problem.StorageInUse},
		"read-only":             {func(f *diskguard.Replacement) { f.Disk.ReadOnly = true }, problem.StorageReadOnly},
		"over a network":        {func(f *diskguard.Replacement) { f.Disk.Network = "iSCSI" }, problem.StorageNetworked},
		"a volume":              {func(f *diskguard.Replacement) { f.Disk.Volume = true }, problem.StorageVolume},
		"of large sectors":      {func(f *diskguard.Replacement) { f.Disk.Block = 4096 }, problem.StorageSectorSize},
		"twice there":           {func(f *diskguard.Replacement) { f.Disk.Paths = []string{"sdc"} }, problem.StorageTwin},
		"one of two":            {func(f *diskguard.Replacement) { f.Others[0].Serial = "aa01" }, problem.StorageSameSerial},
		"half known":            {func(f *diskguard.Replacement) { f.Disk.Unknown = []string{"who uses it"} }, problem.StorageUnknown},
		"opened another":        {func(f *diskguard.Replacement) { f.Opened.Serial = "DISK" }, problem.StorageChanged},
		"opened by others":      {func(f *diskguard.Replacement) { f.Opened.Exclusive = false }, problem.StorageNotExclusive},
	} {
		for _, fixed := range []bool{false, true} {
			f := aStick()
			f.Fixed = fixed
			c.spoil(f)

			if d := diskguard.MayReplace(f); d.Allowed() != (fixed && c.code == problem.StickNotUSB) || !d.Allowed() && !d.Has(c.code) {
				t.Errorf("%s, fixed %v: %s", name, fixed, d)
			}
		}
	}
}

// A stick without a serial number is told by its model; a disk never is.
func TestAStickWithoutASerialNumber(t *testing.T) {
	f := aStick()
	f.Disk.Serial, f.Opened.Serial, f.Said = "", "", "maker stick "

	if d := diskguard.MayReplace(f); !d.Allowed() {
		t.Error(d)
	}

	f.Disk.Transport, f.Fixed = "sata", true
	if d := diskguard.MayReplace(f); !d.Has(problem.StorageNoSerial) {
		t.Error(d)
	}
}
