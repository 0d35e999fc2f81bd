package stage_test

import (
	"slices"
	"strings"
	"testing"

	"vetting/agent/machines"
	"vetting/agent/stage"
	"vetting/core"
)

// TestSoundDisksPassEveryRow: disks that are new and well break no rule, by either
// policy.
func TestSoundDisksPassEveryRow(t *testing.T) {
	for _, name := range []string{sataMachine, nvmeMachine, sasMachine} {
		for _, policy := range []string{"new", "used"} {
			result := smart(t, machines.Open(t, name), map[string]string{"SMART.policy": policy})

			worse := slices.ContainsFunc(result.Findings, func(f core.Finding) bool { return f.Severity != core.Info })
			if result.Verdict != core.Pass || worse || len(result.SubSteps) == 0 {
				t.Errorf("%s, policy %s: %s with %+v", name, policy, result.Verdict, result.Findings)
			}

			for _, s := range result.SubSteps {
				if s.Verdict != core.Pass {
					t.Errorf("%s: %+v", name, s)
				}
			}
		}
	}
}

func TestADiskWithoutASelfTestSaysSo(t *testing.T) {
	r := machines.Open(t, nvmeMachine)
	// Optional admin commands, without bit 4.
	if err := r.Disks.Edit("nvme0n1", nvmeIdentity, set16(256, 0x0f)); err != nil {
		t.Fatal(err)
	}

	result := smart(t, r, nil)
	if found := find(result, "smart/no-self-test"); len(found) != len(find(smart(t, machines.Open(t, nvmeMachine), nil), "smart/no-self-test"))+1 || found[0].Severity != core.Info || result.Verdict != core.Pass {
		t.Errorf("%s, %+v", result.Verdict, result.Findings)
	}
}

// play runs the stage with disks that are expected.
func play(t *testing.T, machine string, expected ...core.ExpectedDisk) core.Result {
	t.Helper()

	b := newBench(nil)
	b.Disks = expected

	return run(t, b, stage.SMART(machines.Open(t, machine).Machine()))
}

// TestADiskThatIsExpectedAndNotReadable: a disk without SMART is told; where it was
// expected, it is an error.
func TestADiskThatIsExpectedAndNotReadable(t *testing.T) {
	const machine = "dell-poweredge-r740-2.12.2" // its disks are behind a RAID controller

	result := play(t, machine)
	if found := find(result, "smart/not-readable"); len(found) != 2 || result.Verdict != core.Unmeasurable || !strings.Contains(result.Coverage, "2 NOT tested") {
		t.Fatalf("%s, %q, %+v", result.Verdict, result.Coverage, result.Findings)
	}

	serial := result.SubSteps[0].Part.Serial
	if serial == "" {
		t.Fatal("the volume has no serial number; the test proves nothing")
	}

	result = play(t, machine, core.ExpectedDisk{Serial: serial})
	if result.Verdict != core.Error || result.SubSteps[0].Verdict != core.Error || len(find(result, "smart/expected-disk-missing")) > 0 {
		t.Errorf("expected: %s, %+v", result.Verdict, result.SubSteps)
	}
}

// TestUSBStorageIsTold: it is easily forgotten, and no reason to fail.
func TestUSBStorageIsTold(t *testing.T) {
	told := 0

	for _, name := range machines.Names(t) {
		result := smart(t, machines.Open(t, name), nil)

		found := find(result, "smart/usb-storage")
		told += len(found)

		if len(found) > 0 && (found[0].Severity != core.Info || !strings.Contains(result.Coverage, "USB storage")) {
			t.Errorf("%s: %q, %+v", name, result.Coverage, found)
		}
	}

	if told == 0 {
		t.Error("no recorded machine has USB storage")
	}
}

// TestAnExpectedDiskThatIsMissing is an error, whatever the others are.
func TestAnExpectedDiskThatIsMissing(t *testing.T) {
	result := play(t, sataMachine, core.ExpectedDisk{Serial: "GONE1", Model: "X", WWN: "5000c500aaaaaaaa"})

	found := find(result, "smart/expected-disk-missing")
	if len(found) != 1 || found[0].Part.Serial != "GONE1" || result.Verdict != core.Error {
		t.Errorf("%s, %+v", result.Verdict, result.Findings)
	}

	if strings.Contains(smart(t, machines.Open(t, sataMachine), nil).Coverage, "NOT tested") {
		t.Error("a disk that nobody expects is missing")
	}
}
