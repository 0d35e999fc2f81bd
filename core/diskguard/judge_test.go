package diskguard_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/diskguard"
	"vetting/core/problem"
)

func noon() time.Time { return time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC) }

// good are the facts of a disk that may be written.
func good() *diskguard.Facts {
	return &diskguard.Facts{
		Now: noon(), Lease: noon().Add(time.Minute), Destructive: true, Live: true,
		Expected: []core.ExpectedDisk{
			{Serial: "S1", WWN: "5000c500a0000001", Model: "LAB", SizeBytes: 1 << 30, Armed: true},
			{Serial: "S2", WWN: "5000c500a0000002", Model: "LAB", SizeBytes: 1 << 30},
		},
		Disk: diskguard.Disk{
			Name: "sda", Number: "8:0", Serial: "S1", WWN: "5000c500a0000001", Model: "LAB", SizeBytes: 1 << 30, Block: 512, Transport: "sata",
		},
		Others: []diskguard.Disk{{Name: "sdb", Number: "8:16", Serial: "S2", WWN: "5000c500a0000002", SizeBytes: 1 << 30}},
		Probe:  diskguard.Probe{Done: true, At: noon(), Samples: 256, BlankOnly: true},
		Opened: &diskguard.Opened{Exclusive: true, Number: "8:0", Serial: "S1", WWN: "5000c500a0000001", SizeBytes: 1 << 30, Block: 512},
	}
}

func override(f *diskguard.Facts, until time.Duration) {
	f.Override = diskguard.Override{Given: true, Until: noon().Add(until)}
}

// changes break one gate each, or none where the code is empty.
func changes() map[string]struct {
	code   string
	change func(f *diskguard.Facts)
} {
	type c = struct {
		code   string
		change func(f *diskguard.Facts)
	}

	return map[string]c{
		"nothing":                             {"", func(*diskguard.Facts) {}},
		"a system on a disk":                  {problem.StorageNotLive, func(f *diskguard.Facts) { f.Live = false }},
		"a profile that reads":                {problem.StorageNotDestructive, func(f *diskguard.Facts) { f.Destructive = false }},
		"no lease":                            {problem.StorageNoLease, func(f *diskguard.Facts) { f.Lease = time.Time{} }},
		"a lease that ends now":               {problem.StorageNoLease, func(f *diskguard.Facts) { f.Lease = f.Now }},
		"no serial":                           {problem.StorageNoSerial, func(f *diskguard.Facts) { f.Disk.Serial, f.Opened.Serial = "", "" }},
		"protected by serial":                 {problem.StorageProtected, func(f *diskguard.Facts) { f.Protected = []string{"s1"} }},
		"protected by WWN as lsblk writes it": {problem.StorageProtected, func(f *diskguard.Facts) { f.Protected = []string{"0x5000c500a0000001"} }},
		"protected by WWN as SCSI writes it":  {problem.StorageProtected, func(f *diskguard.Facts) { f.Protected = []string{"naa.5000C500A0000001"} }},
		"protected by serial with spaces":     {problem.StorageProtected, func(f *diskguard.Facts) { f.Protected = []string{" S 1 "} }},
		"protected by WWN":                    {problem.StorageProtected, func(f *diskguard.Facts) { f.Protected = []string{"5000C500A0000001"} }},
		"others protected":                    {"", func(f *diskguard.Facts) { f.Protected = []string{"S2", ""} }},
		"unknown to the appliance":            {problem.StorageNotExpected, func(f *diskguard.Facts) { f.Expected = f.Expected[1:] }},
		"known to nobody":                     {problem.StorageNotExpected, func(f *diskguard.Facts) { f.Expected = nil }},
		"known twice":                         {problem.StorageSameSerial, func(f *diskguard.Facts) { f.Expected = append(f.Expected, f.Expected[0]) }},
		"not armed":                           {problem.StorageNotArmed, func(f *diskguard.Facts) { f.Expected[0].Armed = false }},
		"another one armed":                   {problem.StorageNotArmed, func(f *diskguard.Facts) { f.Expected[0].Armed, f.Expected[1].Armed = false, true }},
		"another WWN":                         {problem.StorageOtherDisk, func(f *diskguard.Facts) { f.Expected[0].WWN = "5000c500a0000009" }},
		"a WWN nobody knew":                   {problem.StorageOtherDisk, func(f *diskguard.Facts) { f.Expected[0].WWN = "" }},
		"the known WWN is gone":               {problem.StorageOtherDisk, func(f *diskguard.Facts) { f.Disk.WWN, f.Opened.WWN = "", "" }},
		"a WWN in capitals":                   {"", func(f *diskguard.Facts) { f.Expected[0].WWN = "5000C500A0000001" }},
		"another model":                       {problem.StorageOtherDisk, func(f *diskguard.Facts) { f.Expected[0].Model = "OTHER" }},
		"another size":                        {problem.StorageOtherDisk, func(f *diskguard.Facts) { f.Expected[0].SizeBytes = 2 << 30 }},
		"the size on the label":               {"", func(f *diskguard.Facts) { f.Expected[0].SizeBytes = 1_080_000_000 }},
		"no WWN, exact size":                  {"", func(f *diskguard.Facts) { f.Expected[0].WWN, f.Disk.WWN, f.Opened.WWN = "", "", "" }},
		"no WWN, almost the size": {problem.StorageOtherDisk, func(f *diskguard.Facts) {
			f.Expected[0].WWN, f.Disk.WWN, f.Opened.WWN = "", "", ""
			f.Expected[0].SizeBytes--
		}},
		"armed unseen": {problem.StorageNeverSeen, func(f *diskguard.Facts) {
			f.Expected[0] = core.ExpectedDisk{Serial: "S1", Armed: true}
			f.Disk.WWN, f.Opened.WWN = "", ""
		}},
		"removable":                         {problem.StorageRemovable, func(f *diskguard.Facts) { f.Disk.Removable = true }},
		"USB":                               {problem.StorageRemovable, func(f *diskguard.Facts) { f.Disk.Transport = "usb" }},
		"an unknown bus":                    {problem.StorageRemovable, func(f *diskguard.Facts) { f.Disk.Transport = "" }},
		"Fibre Channel":                     {problem.StorageNetworked, func(f *diskguard.Facts) { f.Disk.Network = "fc" }},
		"a RAID volume":                     {problem.StorageVolume, func(f *diskguard.Facts) { f.Disk.Volume = true }},
		"host-managed zones":                {problem.StorageZoned, func(f *diskguard.Facts) { f.Disk.Zoned = true }},
		"read-only":                         {problem.StorageReadOnly, func(f *diskguard.Facts) { f.Disk.ReadOnly = true }},
		"reserved":                          {problem.StorageReserved, func(f *diskguard.Facts) { f.Disk.Reserved = "2 keys are registered" }},
		"no size":                           {problem.StorageUnknown, func(f *diskguard.Facts) { f.Disk.SizeBytes, f.Opened.SizeBytes, f.Expected[0].SizeBytes = 0, 0, 0 }},
		"520-byte sectors":                  {problem.StorageSectorSize, func(f *diskguard.Facts) { f.Disk.Block, f.Opened.Block = 520, 520 }},
		"no name":                           {problem.StorageUnknown, func(f *diskguard.Facts) { f.Disk.Name = "" }},
		"something unknown":                 {problem.StorageUnknown, func(f *diskguard.Facts) { f.Disk.Unknown = []string{"mounts cannot be read"} }},
		"the kit's stick":                   {problem.StorageKit, func(f *diskguard.Facts) { f.Probe.Labels = []string{"vetting-kit"}; override(f, time.Minute) }},
		"another label":                     {"", func(f *diskguard.Facts) { f.Probe.Labels = []string{"data"} }},
		"multipath":                         {problem.StorageTwin, func(f *diskguard.Facts) { f.Disk.Paths = []string{"sdc"} }},
		"another disk with its serial":      {problem.StorageSameSerial, func(f *diskguard.Facts) { f.Others[0].Serial = "s1" }},
		"another disk with its WWN":         {problem.StorageTwin, func(f *diskguard.Facts) { f.Others[0].WWN = "5000C500A0000001" }},
		"another disk with its number":      {problem.StorageTwin, func(f *diskguard.Facts) { f.Others[0].Number = "8:0" }},
		"part of an array":                  {problem.StorageInUse, func(f *diskguard.Facts) { f.Disk.Holders = []string{"md127"} }},
		"mounted":                           {problem.StorageInUse, func(f *diskguard.Facts) { f.Disk.Mounts = []string{"/mnt"} }},
		"swap":                              {problem.StorageInUse, func(f *diskguard.Facts) { f.Disk.Swap = []string{"sda2"} }},
		"not probed":                        {problem.StorageNotProbed, func(f *diskguard.Facts) { f.Probe = diskguard.Probe{} }},
		"not probed, overridden":            {problem.StorageNotProbed, func(f *diskguard.Facts) { f.Probe.Done = false; override(f, time.Minute) }},
		"probed without a sample":           {problem.StorageNotProbed, func(f *diskguard.Facts) { f.Probe.Samples = 0 }},
		"probed long ago":                   {problem.StorageNotProbed, func(f *diskguard.Facts) { f.Probe.At = noon().Add(-diskguard.ProbeLife - 1) }},
		"probed in the future":              {problem.StorageNotProbed, func(f *diskguard.Facts) { f.Probe.At = noon().Add(1) }},
		"a filesystem":                      {problem.StorageForeignData, func(f *diskguard.Facts) { f.Probe.Signatures = []string{"ext4"} }},
		"a filesystem, overridden":          {"", func(f *diskguard.Facts) { f.Probe.Signatures = []string{"ext4"}; override(f, time.Minute) }},
		"a filesystem, overridden long ago": {problem.StorageForeignData, func(f *diskguard.Facts) { f.Probe.Signatures = []string{"ext4"}; override(f, 0) }},
		"an override that is over":          {problem.StorageOverrideOver, func(f *diskguard.Facts) { f.Probe.Signatures = []string{"ext4"}; override(f, -1) }},
		"an override for nothing":           {"", func(f *diskguard.Facts) { override(f, -1) }},
		"a filesystem, the time alone is": {problem.StorageForeignData, func(f *diskguard.Facts) {
			f.Probe.Signatures = []string{"ext4"}
			override(f, 1)
			f.Override.Given = false
		}},
		"data without a signature":           {problem.StorageForeignData, func(f *diskguard.Facts) { f.Probe.Foreign = 1 }},
		"data that the profile passes over":  {"", func(f *diskguard.Facts) { f.Probe.Foreign = 1; f.Probe.BlankOnly = false }},
		"mounted, overridden":                {problem.StorageInUse, func(f *diskguard.Facts) { f.Disk.Mounts = []string{"/mnt"}; override(f, time.Minute) }},
		"not armed, overridden":              {problem.StorageNotArmed, func(f *diskguard.Facts) { f.Expected[0].Armed = false; override(f, time.Minute) }},
		"a loop of disks that are not there": {"", func(f *diskguard.Facts) { f.Others = nil }},
	}
}

func TestEachGateShutsByItself(t *testing.T) {
	for name, c := range changes() {
		f := good()
		c.change(f)

		for which, d := range map[string]diskguard.Decision{"open": diskguard.MayOpen(f), "write": diskguard.MayWrite(f)} {
			switch {
			case c.code == "" && !d.Allowed():
				t.Errorf("%s, %s: refused: %s", name, which, d)
			case c.code != "" && (d.Allowed() || !d.Has(c.code)):
				t.Errorf("%s, %s: %s, want %s", name, which, d, c.code)
			}

			for _, r := range d.Reasons {
				if e, ok := problem.Lookup(r.Code); !ok || e.Next == "" || r.Evidence == "" || strings.Contains(r.Evidence, "%!") {
					t.Errorf("%s: the reason %+v is not explained", name, r)
				}
			}
		}
	}
}

func TestWhatIsOpenMustBeWhatWasSeen(t *testing.T) {
	for name, c := range map[string]struct {
		code   string
		change func(o *diskguard.Opened)
	}{
		"shared":        {problem.StorageNotExclusive, func(o *diskguard.Opened) { o.Exclusive = false }},
		"read-only":     {problem.StorageReadOnly, func(o *diskguard.Opened) { o.ReadOnly = true }},
		"other number":  {problem.StorageChanged, func(o *diskguard.Opened) { o.Number = "8:16" }},
		"other serial":  {problem.StorageChanged, func(o *diskguard.Opened) { o.Serial = "S2" }},
		"no serial":     {problem.StorageChanged, func(o *diskguard.Opened) { o.Serial = "" }},
		"other WWN":     {problem.StorageChanged, func(o *diskguard.Opened) { o.WWN = "5000c500a0000002" }},
		"other size":    {problem.StorageChanged, func(o *diskguard.Opened) { o.SizeBytes-- }},
		"other sectors": {problem.StorageChanged, func(o *diskguard.Opened) { o.Block = 4096 }},
	} {
		f := good()
		c.change(f.Opened)

		if d := diskguard.MayWrite(f); d.Allowed() || !d.Has(c.code) || len(d.Reasons) != 1 {
			t.Errorf("%s: %s, want %s", name, d, c.code)
		}
	}

	f := good()
	f.Opened = nil

	if d := diskguard.MayWrite(f); d.Allowed() || !diskguard.MayOpen(f).Allowed() {
		t.Errorf("a disk that is not open may be written: %s", d)
	}
}

func TestADecisionIsAboutOneDisk(t *testing.T) {
	d := diskguard.MayOpen(good())
	if !d.Allows("sda") || d.Allows("sdb") || d.Allows("") || (diskguard.Decision{}).Allows("") {
		t.Error("a decision counts for another disk")
	}

	f := good()
	f.Expected[0].Armed = false

	if diskguard.MayOpen(f).Allows("sda") {
		t.Error("a refusal allows")
	}
}

func TestNothingIsAllowedByDefault(t *testing.T) {
	if (diskguard.Decision{}).Allowed() {
		t.Error("the zero decision allows")
	}

	d := diskguard.MayWrite(&diskguard.Facts{})
	for _, code := range []string{
		problem.StorageNotLive, problem.StorageNotDestructive, problem.StorageNoLease, problem.StorageNoSerial, problem.StorageNotExpected,
		problem.StorageRemovable, problem.StorageUnknown, problem.StorageSectorSize, problem.StorageNotProbed, problem.StorageNotExclusive,
	} {
		if d.Allowed() || !d.Has(code) {
			t.Errorf("the zero facts: no %s in %s", code, d)
		}
	}
}

// Whatever is broken together, the guard names everything that each break alone is
// refused for, and allows only where nothing is broken.
func TestReasonsAddUp(t *testing.T) {
	all := changes()

	var names []string
	for name, c := range all {
		// Those that mend, hide or overlay another break are not for mixing.
		if c.code != "" && !strings.Contains(name, "overrid") && !strings.Contains(name, "WWN") && !strings.Contains(name, "known") &&
			!strings.Contains(name, "serial") && !strings.Contains(name, "armed") && !strings.Contains(name, "probed") && !strings.Contains(name, "size") &&
			!strings.Contains(name, "label") && !strings.Contains(name, "kit") {
			names = append(names, name)
		}
	}

	slices.Sort(names)

	for seed := range uint64(2000) {
		chance := rand.New(rand.NewPCG(seed, 1))
		f, want := good(), []string{}

		for range chance.IntN(5) {
			name := names[chance.IntN(len(names))]
			all[name].change(f)
			want = append(want, all[name].code)
		}

		d := diskguard.MayWrite(f)
		if d.Allowed() != (len(want) == 0) {
			t.Fatalf("seed %d: %s, broken %v", seed, d, want)
		}

		for _, code := range want {
			if !d.Has(code) {
				t.Errorf("seed %d: no %s in %s", seed, code, d)
			}
		}
	}
}
