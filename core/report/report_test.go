package report_test

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/core"
	"vetting/core/report"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var (
	t0  = time.Date(2026, 11, 22, 22, 31, 0, 123456789, time.FixedZone("CET", 3600))
	now = t0.Add(2 * time.Hour)
)

// base is a quick run of a two-disk machine that passed with everything well.
func base() report.Input {
	done := func(name core.StageName, start, length time.Duration, coverage string) core.Stage {
		return core.Stage{
			Name: name, Phase: core.Done, Verdict: core.Pass, Attempt: 1, Coverage: coverage,
			StartedAt: t0.Add(start), EndedAt: t0.Add(start + length), Progress: 1,
		}
	}

	return report.Input{
		Now: now,
		Appliance: report.Appliance{
			ID: "01JAPPLIANCE", Name: "lab-1", Version: "0.1.0", ImageID: "aa11", KernelVersion: "6.12.48", KernelSHA256: "bb22", InitrdSHA256: "cc33",
		},
		Host: core.Host{
			MAC: "52:54:00:00:00:01", Name: "rack3-u19",
			Identity: core.Identity{SMBIOSUUID: "11111111-2222-3333-4444-555555555555", BoardSerial: "BS1"},
		},
		Run: core.Run{
			ID: "01JD4X0000000000000000000A", Host: "52:54:00:00:00:01", HostName: "rack3-u19",
			Profile:  core.Profile{Name: "quick", Scale: 1, Stages: []core.StageName{core.InventoryCheck, core.Firmware, core.SpecValidate, core.SMART, core.Reporting}},
			SpecYAML: "memory: {dimms: 2}\n", State: core.StateCompleted, Verdict: core.Pass, Epoch: 1,
			Stages: []core.Stage{
				done(core.InventoryCheck, time.Minute, 58*time.Second, "1 CPU, 2 of 4 memory slots, 2 disks, 1 NIC"),
				done(core.Firmware, 2*time.Minute, 21*time.Second, "4 versions read"),
				done(core.SpecValidate, 3*time.Minute, 0, "1 of 1 fields match"),
				done(core.SMART, 4*time.Minute, 124*time.Second, "2 of 2 disks, short self-test"),
				{Name: core.Reporting, Phase: core.Active, Attempt: 1, StartedAt: t0.Add(7 * time.Minute)},
			},
			CreatedAt: t0, StartedAt: t0.Add(10 * time.Second), EndedAt: t0.Add(8 * time.Minute), Operator: "ada",
			Agent: core.AgentInfo{Version: "0.1.0", Protocol: 1, Kernel: "6.12.48", Firmware: "uefi", ImageID: "aa11"},
		},
		Inventory: core.Inventory{
			System:  core.System{Manufacturer: "Dell Inc.", Product: "PowerEdge R740", Serial: "7C9F1R3"},
			Board:   core.Board{Manufacturer: "Dell Inc.", Product: "06WXJT", Serial: "BS1"},
			Chassis: core.Chassis{AssetTag: "A-10442"},
			BIOS:    core.BIOS{Vendor: "Dell Inc.", Version: "2.17.2", Date: "2024-01-01", Mode: "uefi"},
			CPUs:    []core.CPU{{Socket: "CPU1", Model: "Xeon Gold 6130", Cores: 16, Threads: 32, Online: 32, Microcode: "0x2007006"}},
			DIMMs: []core.DIMM{
				{Slot: "A1", SizeBytes: 16 << 30, Type: "DDR4", PartNumber: "M393A2K43DB3-CWE", Serial: "D1", ConfiguredMTs: 2666},
				{Slot: "A2", SizeBytes: 16 << 30, Type: "DDR4", PartNumber: "M393A2K43DB3-CWE", Serial: "D2", ConfiguredMTs: 2666},
				{Slot: "A3"},
				{Slot: "A4"},
			},
			Disks: []core.Disk{
				{Name: "sda", Transport: "sata", Model: "ST4000NM000A", Serial: "S1", WWN: "5000c500a1b2c3d4", SizeBytes: 4000787030016, Rotational: true, SMART: true, Firmware: "SN02"},
				{Name: "nvme0n1", Transport: "nvme", Model: "MZQL21T9HCJR", Serial: "N1", SizeBytes: 1920383410176, SMART: true},
			},
			NICs:     []core.NIC{{Name: "eth0", MAC: "52:54:00:00:00:01", Driver: "ixgbe", Model: "X540", SpeedMbps: 10000, Link: true, BootNIC: true}},
			PCI:      []core.PCIDevice{{Address: "0000:03:00.0", Vendor: "102b", Device: "0536", Class: "030000", Name: "Matrox G200eR2"}},
			Firmware: []core.FirmwareItem{{Part: core.Part{Kind: "board"}, Name: "BIOS", Version: "2.17.2", Date: "2024-01-01"}},
		},
	}
}

// with returns the base input after change.
func with(change func(*report.Input)) report.Input {
	in := base()
	change(&in)

	return in
}

func cases() map[string]report.Input {
	pending := core.Finding{
		Code: "smart/pending-sectors", Severity: core.Critical, Title: "The disk has sectors it cannot read.",
		Part: core.Part{Kind: "disk", Slot: "sda", Model: "ST4000NM000A", Serial: "S1"}, Evidence: "Current_Pending_Sector is 38, limit 0", Next: "Replace the disk.",
	}
	oldBIOS := core.Finding{
		Code: "firmware/behind", Severity: core.Warning, Title: "The BIOS is older than the baseline",
		Part: core.Part{Kind: "board", Serial: "BS1"}, Evidence: "2.17.2, baseline 2.19.1", Next: "Update the BIOS to 2.19.1.",
	}

	return map[string]report.Input{
		"pass": base(),
		"pass with a warning": with(func(in *report.Input) {
			in.Run.Stages[1].Findings = []core.Finding{oldBIOS}
			in.Run.Stages[3].Evaluations = []core.Evaluation{
				{Rule: "disk-temp", Key: "disk/S1/temperature_celsius", Value: 41, Limit: "lte 55", Verdict: core.Pass, Severity: core.Warning},
				{Rule: "wear", Value: math.NaN(), Limit: "lte 80", Verdict: core.Unmeasurable, Severity: core.Warning},
			}
		}),
		"fail in SMART": with(func(in *report.Input) {
			in.Run.Verdict, in.Run.State = core.Fail, core.StateFailedHolding
			in.Run.Stages[1].Findings = []core.Finding{oldBIOS}
			in.Run.Stages[3].Verdict, in.Run.Stages[3].Findings = core.Fail, []core.Finding{pending}
			in.Run.Stages[3].SubSteps = []core.SubStep{{Name: "sda", Part: pending.Part, Verdict: core.Fail, Summary: "38 pending"}, {Name: "nvme0n1", Verdict: core.Pass}}
			in.Run.Stages[4].Phase = core.Pending
		}),
		"spec mismatch": with(func(in *report.Input) {
			in.Run.Verdict, in.Run.State = core.Fail, core.StateFailedHolding
			in.Run.Stages[2].Verdict = core.Fail
			in.Run.Stages[2].Diffs = []core.SpecDiff{{Path: "memory.dimms.count", Expected: "3", Actual: "2", Severity: core.Critical, Part: core.Part{Kind: "dimm"}}}
			in.Run.Stages[2].Findings = []core.Finding{{Code: "spec/mismatch", Severity: core.Critical, Title: "One DIMM is missing", Part: core.Part{Kind: "dimm"}, Evidence: "3 expected, 2 found", Next: "Seat the missing DIMM."}}
			in.Run.Stages[3] = core.Stage{Name: core.SMART, Phase: core.Pending}
			in.Run.Stages[4] = core.Stage{Name: core.Reporting, Phase: core.Pending}
		}),
		"boot deadline before any contact": with(func(in *report.Input) {
			in.Inventory = core.Inventory{}
			in.Run.Verdict, in.Run.State, in.Run.Epoch, in.Run.Agent = core.Error, core.StateFailedHolding, 0, core.AgentInfo{}
			in.Run.Findings = []core.Finding{{Code: "run/boot-deadline", Severity: core.Critical, Title: "The host did not boot in time", Evidence: "no hello within 15 min", Next: "Check the boot order and the cable."}}
			for i := range in.Run.Stages {
				in.Run.Stages[i] = core.Stage{Name: in.Run.Stages[i].Name, Phase: core.Pending}
			}
		}),
		"scaled on a virtual host with a GPU and disks without SMART": with(func(in *report.Input) {
			in.Run.Profile.Scale = 0.05
			in.Run.SpecYAML = ""
			in.Run.Stages[2].Verdict, in.Run.Stages[2].SkipReason = core.Skip, "no expected spec"
			in.Inventory.Disks[0].SMART = false
			in.Inventory.PCI = append(in.Inventory.PCI, core.PCIDevice{Address: "0000:41:00.0", Vendor: "10de", Device: "20b0", Class: "030200", Name: "A100"})
			in.Run.Agent.ImageID = "other"
			in.Run.Agent.SecureBoot = true
		}),
		"cancelled": with(func(in *report.Input) {
			in.Run.Verdict, in.Run.State = core.Cancelled, core.StateCancelled
			in.Run.Stages[3] = core.Stage{Name: core.SMART, Phase: core.Active, StartedAt: t0.Add(4 * time.Minute)}
		}),
		"not finished": with(func(in *report.Input) {
			in.Run.Verdict, in.Run.State, in.Run.EndedAt = "", core.State(core.SMART), time.Time{}
			in.Run.Stages[3] = core.Stage{Name: core.SMART, Phase: core.Active, StartedAt: t0.Add(4 * time.Minute)}
		}),
	}
}

func TestBuildWritesTheReportForEachKindOfRun(t *testing.T) {
	t.Parallel()

	for name, in := range cases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := json.MarshalIndent(report.Build(in), "", "  ")
			if err != nil {
				t.Fatal(err)
			}

			golden(t, strings.ReplaceAll(name, " ", "-")+".json", string(got)+"\n")
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()

	file := filepath.Join("testdata", name)

	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// A run recorded as passed must not read as pass when any one stage does not
// bear it out. The table breaks one thing at a time.
func TestARunNeverReadsAsPassUnlessEachStageBearsItOut(t *testing.T) {
	t.Parallel()

	breaks := map[string]func(*core.Run){
		"a stage failed":                func(r *core.Run) { r.Stages[3].Verdict = core.Fail },
		"a stage broke":                 func(r *core.Run) { r.Stages[3].Verdict = core.Error },
		"a stage could not be measured": func(r *core.Run) { r.Stages[3].Verdict = core.Unmeasurable },
		"a stage has no verdict":        func(r *core.Run) { r.Stages[0].Verdict = "" },
		"a stage was never started":     func(r *core.Run) { r.Stages[1].Phase = core.Pending },
		"a stage is still active":       func(r *core.Run) { r.Stages[1].Phase = core.Active },
		"a stage was skipped silently":  func(r *core.Run) { r.Stages[1].Verdict = core.Skip },
		"a part of a stage failed":      func(r *core.Run) { r.Stages[3].SubSteps = []core.SubStep{{Verdict: core.Fail}} },
		"a part of a skipped stage broke": func(r *core.Run) {
			r.Stages[3].Verdict, r.Stages[3].SkipReason, r.Stages[3].SubSteps = core.Skip, "declared", []core.SubStep{{Verdict: core.Error}}
		},
		"the report stage failed":            func(r *core.Run) { r.Stages[4].Phase, r.Stages[4].Verdict = core.Done, core.Fail },
		"there are no stages":                func(r *core.Run) { r.Stages = nil },
		"only the report stage is there":     func(r *core.Run) { r.Stages = r.Stages[4:] },
		"a critical finding stands":          func(r *core.Run) { r.Findings = []core.Finding{{Severity: core.Critical}} },
		"a critical finding in a good stage": func(r *core.Run) { r.Stages[0].Findings = []core.Finding{{Severity: core.Critical}} },
		"the verdict is missing":             func(r *core.Run) { r.Verdict = "" },
		"the verdict is a stage's word":      func(r *core.Run) { r.Verdict = core.Skip },
		"every stage was skipped": func(r *core.Run) {
			for i := range r.Stages {
				r.Stages[i].Phase, r.Stages[i].Verdict, r.Stages[i].SkipReason = core.Done, core.Skip, "declared"
			}
		},
	}

	if got := report.Build(base()).Verdict; got.Words != "PASS" || got.Kind != core.Pass {
		t.Fatalf("the unbroken run reads %+v, want PASS", got)
	}

	for name, spoil := range breaks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			in := base()
			spoil(&in.Run)

			r := report.Build(in)
			if r.Verdict.Kind == core.Pass || strings.HasPrefix(r.Verdict.Words, "PASS") {
				t.Errorf("reads %q, want anything but a pass", r.Verdict.Words)
			}

			if strings.Contains(r.Summary, "planned stages passed") {
				t.Errorf("summary claims a pass: %q", r.Summary)
			}
		})
	}
}

func TestEveryStageOfThePipelineIsEitherPassedOrAGap(t *testing.T) {
	t.Parallel()

	for name, in := range cases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := report.Build(in)

			said := map[core.StageName]bool{core.Reporting: true}
			for _, g := range r.NotTested {
				said[g.Stage] = true
			}

			for _, st := range r.Stages {
				if st.Phase == core.Done && (st.Verdict == core.Pass || st.Verdict == core.Fail) {
					said[st.Name] = true
				}
			}

			for _, st := range core.Pipeline() {
				if !said[st] {
					t.Errorf("nothing is said of %s", st)
				}
			}
		})
	}
}

func TestDiskWritesAreAGapUnlessTheDiskWasArmedAndStoragePassed(t *testing.T) {
	t.Parallel()

	storage := core.Stage{Name: core.Storage, Phase: core.Done, Verdict: core.Pass}
	destructive := map[string]string{"Storage.mode": "destructive"}

	tests := map[string]struct {
		change func(*core.Run)
		want   []string // serials named as not written
	}{
		"no Storage stage":               {func(*core.Run) {}, []string{"S1", "N1"}},
		"Storage passed, nothing armed":  {func(r *core.Run) { r.Stages = append(r.Stages, storage) }, []string{"S1", "N1"}},
		"armed, but Storage not planned": {func(r *core.Run) { r.Armed = []string{"S1"} }, []string{"S1", "N1"}},
		"one armed and Storage passed": {func(r *core.Run) {
			r.Stages, r.Armed, r.Profile.Config = append(r.Stages, storage), []string{"S1"}, destructive
		}, []string{"N1"}},
		"all armed and Storage passed": {func(r *core.Run) {
			r.Stages, r.Armed, r.Profile.Config = append(r.Stages, storage), []string{"S1", "N1"}, destructive
		}, nil},
		"armed, and the profile reads": {func(r *core.Run) {
			r.Stages, r.Armed = append(r.Stages, storage), []string{"S1", "N1"}
		}, []string{"S1", "N1"}},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			in := base()
			tt.change(&in.Run)

			var got []string

			for _, g := range report.Build(in).NotTested {
				if strings.HasPrefix(g.What, "disk write") {
					got = g.Parts
				}
			}

			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestASampleLeavesTheRestOfTheDiskAsAGap(t *testing.T) {
	t.Parallel()

	for extent, want := range map[string]int{"sample": 1, "": 1, "full": 0} {
		in := base()
		in.Run.Stages = append(in.Run.Stages, core.Stage{Name: core.Storage, Phase: core.Done, Verdict: core.Pass})
		in.Run.Armed, in.Run.Profile.Config = []string{"S1"}, map[string]string{"Storage.mode": "destructive", "Storage.extent": extent}

		got := 0

		for _, g := range report.Build(in).NotTested {
			if strings.HasPrefix(g.What, "writing beyond") && len(g.Parts) == 1 && g.Parts[0] == "S1" {
				got++
			}
		}

		if got != want {
			t.Errorf("%q: %d gaps", extent, got)
		}
	}
}

func TestBytesWritesSizesForPeople(t *testing.T) {
	t.Parallel()

	for n, want := range map[uint64]string{0: "0 B", 512: "512 B", 16 << 30: "16 GiB", 1920383410176: "1.7 TiB", 1 << 62: "4096 PiB"} {
		if got := report.Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}

// A custom stage that was never run is named with the reason, whatever ended the stage that
// it follows: a stage that was halted leaves no word of it.
func TestCustomStagesThatWereNotRunAreGaps(t *testing.T) {
	t.Parallel()

	of := func(stage core.StageName) core.Script { return core.Script{Name: "fan-check", Stage: stage} }

	for name, c := range map[string]struct {
		row  core.Stage
		want []string
	}{
		"passed":          {core.Stage{Phase: core.Done, Verdict: core.Pass, SubSteps: []core.SubStep{{Name: "custom/fan-check", Verdict: core.Pass}}}, nil},
		"skipped":         {core.Stage{Phase: core.Done, Verdict: core.Fail, SubSteps: []core.SubStep{{Name: "custom/fan-check", Verdict: core.Skip, Summary: "not run: PSU itself ended in fail"}}}, []string{"custom stage fan-check NOT tested: not run: PSU itself ended in fail"}},
		"halted":          {core.Stage{Phase: core.Done, Verdict: core.Fail}, []string{"custom stage fan-check NOT tested: not run: PSU, which it follows, ended in fail before it"}},
		"never reached":   {core.Stage{Phase: core.Pending}, []string{"custom stage fan-check NOT tested: not run: PSU, which it follows, was not reached"}},
		"still under way": {core.Stage{Phase: core.Active}, []string{"custom stage fan-check NOT tested: it follows PSU, which is still under way"}},
	} {
		in := base()
		c.row.Name = core.PSU
		in.Run.Stages = slices.Insert(in.Run.Stages, 4, c.row)
		in.Run.Overlays = []core.Overlay{{Name: "acme", Scripts: []core.Script{of(core.PSU)}}}

		var got []string

		for _, g := range report.Build(in).NotTested {
			if strings.HasPrefix(g.What, "custom stage") {
				got = append(got, g.Words())
			}
		}

		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Power supplies that nobody saw stand on the first page, although the stage has passed.
func TestPowerSuppliesThatNobodySawAreAGap(t *testing.T) {
	t.Parallel()

	in := base()
	in.Run.Stages = slices.Insert(in.Run.Stages, 4, core.Stage{Name: core.PSU, Phase: core.Done, Verdict: core.Pass})

	about := func() (words []string) {
		for _, g := range report.Build(in).NotTested {
			if g.Stage == core.PSU {
				words = append(words, g.Words())
			}
		}

		return words
	}

	if got := about(); len(got) > 0 {
		t.Errorf("%q", got)
	}

	in.Run.Stages[4].Findings = []core.Finding{{Code: "psu/unobservable", Severity: core.Info, Evidence: "no BMC and no meter tells of them"}}

	if got, want := about(), []string{"the state of the power supplies NOT tested: not observed: no BMC and no meter tells of them"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A GPU that was had compute is no gap because of one beside it that was not, and graphics
// inside of a CPU are never one.
func TestGPUsAreAGapEachByItself(t *testing.T) {
	t.Parallel()

	in := base()
	in.Inventory.PCI = append(in.Inventory.PCI,
		core.PCIDevice{Address: "0000:00:02.0", Vendor: "8086", Device: "4c8a", Class: "030000", Name: "UHD 750"},
		core.PCIDevice{Address: "0000:41:00.0", Vendor: "10de", Device: "20b0", Class: "030200", Name: "A100"},
		core.PCIDevice{Address: "0000:81:00.0", Vendor: "1002", Device: "738c", Class: "038000", Name: "MI100"},
	)
	in.Run.Stages = slices.Insert(in.Run.Stages, 4, core.Stage{
		Name: core.GPU, Phase: core.Done, Verdict: core.Skip, SkipReason: "compute NOT tested: 0000:81:00.0",
		SubSteps: []core.SubStep{{Name: "0000:41:00.0", Verdict: core.Pass}, {Name: "0000:81:00.0", Verdict: core.Skip}},
	})

	about := func() (what []string) {
		for _, g := range report.Build(in).NotTested {
			if strings.HasPrefix(g.What, "compute of the GPU") {
				what = append(what, g.What)
			}
		}

		return what
	}

	if got, want := about(), []string{"compute of the GPU at 0000:81:00.0 (MI100)"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}

	in.Run.Stages[4].Phase = core.Active // its steps may still change

	if got := about(); len(got) != 2 {
		t.Errorf("%q", got)
	}
}
