package trial_test

import (
	"testing"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/profile"
	"vetting/ui/lookup"
	"vetting/ui/trial"
)

// of is a trial with every disk of a machine armed, and one that is not there.
func of(t *testing.T, mode string, host *core.Host, wish core.StartRun) *trial.Trial {
	t.Helper()

	p := core.Profile{Name: "deep", Scale: 1, Stages: []core.StageName{core.InventoryCheck, core.Storage}, Config: map[string]string{profile.StorageMode: mode}}
	wish.Armed = []string{"GOOD", "USB", "FULL", "GONE"}

	tr := trial.New(&p, host, &core.Class{Overrides: core.Override{Config: map[string]string{"SMART.self_test": "none"}}}, &wish)

	disk := func(serial, transport string) core.Disk {
		return core.Disk{Serial: serial, Transport: transport, SizeBytes: 1 << 40}
	}
	tr.Inventory.Disks = []core.Disk{disk("OTHER", "sata"), disk("FULL", "nvme"), disk("GOOD", "sas"), disk("USB", "usb")}
	tr.Found = map[string]lookup.DiskFind{"FULL": {Text: "ext4 at 1080", Foreign: true}, "GOOD": {Text: "wiped"}}

	return tr
}

func fates(tr *trial.Trial) (text string) {
	for _, d := range tr.Disks() {
		text += d.Disk.Serial + " " + string(d.Fate)
		for _, r := range d.Against {
			text += " " + r.Code
		}

		text += "\n"
	}

	return text
}

func TestWhatBecomesOfEachDiskIsTold(t *testing.T) {
	t.Parallel()

	all := "GOOD overwritten\nFULL refused " + problem.StorageForeignData + "\nUSB refused " + problem.StorageRemovable + "\nGONE refused " + problem.StorageNeverSeen + "\nOTHER read-only\n"
	none := "OTHER read-only\nFULL read-only\nGOOD read-only\nUSB read-only\nGONE read-only\n"
	skip := core.Override{Skip: map[core.StageName]string{core.Storage: "no time"}}

	for name, tc := range map[string]struct {
		mode string
		host core.Host
		wish core.StartRun
		want string
	}{
		"a profile that writes":                      {"destructive", core.Host{}, core.StartRun{}, all},
		"a profile that reads":                       {"read-only", core.Host{}, core.StartRun{}, none},
		"a run that is told to write":                {"read-only", core.Host{}, core.StartRun{Overrides: core.Override{Config: map[string]string{profile.StorageMode: "destructive"}}}, all},
		"a host on which Storage is left out":        {"destructive", core.Host{Overrides: skip}, core.StartRun{}, none},
		"a run in which Storage is left out":         {"destructive", core.Host{}, core.StartRun{Overrides: skip}, none},
		"a disk that was never seen and is expected": {"destructive", core.Host{SpecYAML: "disks: [{serials: [GONE]}]"}, core.StartRun{}, "GOOD overwritten\nGONE overwritten\nFULL refused " + problem.StorageForeignData + "\nUSB refused " + problem.StorageRemovable + "\nOTHER read-only\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := fates(of(t, tc.mode, &tc.host, tc.wish)); got != tc.want {
				t.Errorf("got\n%swant\n%s", got, tc.want)
			}
		})
	}
}

func TestATrialIsWhatTheRunWouldBe(t *testing.T) {
	t.Parallel()

	tr := of(t, "destructive", &core.Host{LastRun: "R1", Overrides: core.Override{Skip: map[core.StageName]string{core.Storage: "no time"}}}, core.StartRun{Scale: 0.5})

	if steps := tr.Steps().Stages; len(steps) != 1 || steps[0].Name != core.InventoryCheck {
		t.Errorf("the steps are %+v", steps)
	}

	if tr.Profile.Scale != 0.5 || tr.Profile.Config["SMART.self_test"] != "none" || tr.Run.ID != "R1" || tr.Skips(core.Storage) != "declared for this host: no time" {
		t.Errorf("%+v, left out: %q", tr.Profile, tr.Skips(core.Storage))
	}

	tr = of(t, "destructive", &core.Host{Overrides: core.Override{Rules: []core.Rule{{ID: "x", Stage: "Nowhere", Op: "maybe"}}}}, core.StartRun{})
	if tr.Fault == nil || len(tr.Disks()) == 0 {
		t.Errorf("overrides that make no sense: %v", tr.Fault)
	}

	if got := tr.SpecOf(); got != "" {
		t.Errorf("there is no spec, but one of the %s", got)
	}
}
