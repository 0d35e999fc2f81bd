package stage_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"vetting/agent/disk"
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

// The coverage counts extended self-tests of disks that have them: where none has one,
// none was run.
func TestExtendedSelfTestsAreCounted(t *testing.T) {
	for name, c := range map[string]struct {
		without int
		want    string
	}{
		"of disks that all have them": {0, "6 of 6 disks, extended self-tests: 6 of 6 disks that have one"},
		"of disks but one":            {1, "6 of 6 disks, extended self-tests: 5 of 5 disks that have one"},
	} {
		t.Run(name, func(t *testing.T) {
			r := machines.Open(t, sataMachine)

			if c.without > 0 {
				unable := func(data []byte) []byte {
					data = slices.Clone(data)
					data[2*84] &^= 1 << 1
					data[2*87] &^= 1 << 1
					data[510] = 0 // no checksum

					return data
				}
				if err := errors.Join(r.Disks.Edit("sda", ataIdentity, unable), r.Disks.Edit("sda", ataAttributes, setByte(367, 1))); err != nil {
					t.Fatal(err)
				}
			}

			if result := smart(t, r, map[string]string{"SMART.self_test": "extended"}); result.Coverage != c.want || len(find(result, "smart/no-self-test")) != c.without {
				t.Errorf("%q, want %q: %+v", result.Coverage, c.want, result.Findings)
			}
		})
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

// TestSMARTLeavesDisksOnANetworkAlone: others may have them in use.
func TestSMARTLeavesDisksOnANetworkAlone(t *testing.T) {
	result := play(t, "ibm-3931")

	found := find(result, "smart/networked")
	if result.Verdict != core.Skip || len(found) != 16 || found[0].Severity != core.Info || !strings.Contains(result.Coverage, "; reached over a network: sda") {
		t.Errorf("%s, %s: %d found", result.Verdict, result.Coverage, len(found))
	}
}

// A disk on a network that the spec has and that was not tested is no pass; one that is only
// known from an inventory stays aside.
func TestADiskOnANetworkThatIsExpected(t *testing.T) {
	for name, c := range map[string]struct {
		known    bool
		verdict  core.Verdict
		severity core.Severity
		coverage string
	}{
		"that the spec has":     {false, core.Error, core.Warning, "1 NOT tested; reached over a network: "},
		"that was there before": {true, core.Skip, core.Info, "0 of 0 disks; reached over a network: "},
	} {
		t.Run(name, func(t *testing.T) {
			m := machines.Open(t, "ibm-3931").Machine()
			m.Root = over{m.Root, serialOnNetwork(t)}

			b := newBench(nil)
			b.Disks = []core.ExpectedDisk{{Serial: onNetwork, Known: c.known}}
			r := run(t, b, stage.SMART(m))

			i := slices.IndexFunc(r.SubSteps, func(s core.SubStep) bool { return s.Part.Serial == onNetwork })
			if i < 0 || r.Verdict != c.verdict || (r.SubSteps[i].Verdict == core.Error) == c.known || r.Findings[i].Code != "smart/networked" ||
				r.Findings[i].Severity != c.severity || !strings.Contains(r.Coverage, c.coverage) || len(find(r, "smart/expected-disk-missing")) > 0 {
				t.Errorf("%s, %q: %+v", r.Verdict, r.Coverage, r.Findings[max(0, i)])
			}
		})
	}
}

// onNetwork is the serial number that sda of ibm-3931 has, all of whose disks are on a
// network, with files in place of the machine's own.
const onNetwork = "FC0001"

func serialOnNetwork(t *testing.T) fstest.MapFS {
	t.Helper()

	target, err := fs.ReadLink(machines.Open(t, "ibm-3931").Machine().Root, "sys/block/sda")
	if err != nil {
		t.Fatal(err)
	}

	serial := &fstest.MapFile{Data: []byte(onNetwork + "\n")}

	return fstest.MapFS{"sys/block/sda/device/serial": serial, "sys/" + strings.TrimPrefix(target, "../") + "/device/serial": serial}
}

// TestADiskThatIsNotThereAnyMore warns where only an earlier inventory knows it, and is no
// error.
func TestADiskThatIsNotThereAnyMore(t *testing.T) {
	before, after := play(t, storageHost), play(t, storageHost, core.ExpectedDisk{Serial: "GONE1", Known: true})

	found := find(after, "smart/expected-disk-missing")
	if before.Verdict != after.Verdict || before.Coverage != after.Coverage || len(found) != 1 || found[0].Severity != core.Warning {
		t.Errorf("%s, %s: %+v", before.Verdict, after.Verdict, after.Findings)
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

// TestADiskThatFailedIsRecorded: its maker wants to see it.
func TestADiskThatFailedIsRecorded(t *testing.T) {
	r := machines.Open(t, nvmeMachine)

	for _, change := range []change{{nvmeHealth, setByte(0, 4), false}, {nvmeIdentity, setByte(261, 0x0f), false}} {
		if err := r.Disks.Edit("nvme0n1", change.key, change.edit); err != nil {
			t.Fatal(err)
		}
	}

	head := make([]byte, 512)
	head[0], head[12] = 7, 3 // four blocks with the header

	r.Disks.Set(disk.Exchange{Disk: "nvme0n1", NVMe: "02 ffffffff 007f0107 00000000", Length: 512, Data: hex.EncodeToString(head)})
	r.Disks.Set(disk.Exchange{Disk: "nvme0n1", NVMe: "02 ffffffff 01ff0007 00000000", Length: 2048, Data: hex.EncodeToString(head) + "aa"})

	b := newBench(nil)
	if result := run(t, b, stage.SMART(r.Machine())); result.Verdict != core.Fail {
		t.Fatalf("verdict %s", result.Verdict)
	}

	var names []string

	for name, content := range b.kept {
		names = append(names, name)

		if strings.HasSuffix(name, ".bin") && (len(content) != 2048 || content[512] != 0xaa) {
			t.Errorf("%d bytes of telemetry", len(content))
		}

		if strings.HasSuffix(name, ".jsonl") {
			again, err := disk.NewReplay(bytes.NewReader(content))
			if err != nil || !slices.Equal(again.Names(), []string{"nvme0n1"}) {
				t.Errorf("a recording of %v, %v", again, err)
			}
		}
	}

	slices.Sort(names)

	if len(names) != 2 || !strings.HasSuffix(names[0], "-telemetry.bin") || !strings.HasSuffix(names[1], ".jsonl") {
		t.Errorf("kept %v", names)
	}

	b = newBench(nil)
	run(t, b, stage.SMART(machines.Open(t, nvmeMachine).Machine()))

	if len(b.kept) > 0 {
		t.Errorf("of disks that are well %d files are kept", len(b.kept))
	}
}

// bridge is a bus whose disks take ATA commands in 12 bytes alone.
type bridge struct{ disk.Bus }

func (b bridge) SCSI(name string) (disk.SCSI, error) {
	dev, err := b.Bus.SCSI(name)

	return bridged{dev}, err
}

type bridged struct{ disk.SCSI }

func (b bridged) Execute(req disk.SCSIRequest) (disk.SCSIReply, error) {
	switch c := req.CDB; c[0] {
	case 0x85:
		return disk.SCSIReply{Status: 2, Sense: []byte{0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0}}, nil
	case 0xa1:
		return b.SCSI.Execute(disk.SCSIRequest{CDB: []byte{0x85, c[1], c[2], 0, c[3], 0, c[4], 0, c[5], 0, c[6], 0, c[7], 0, c[9], 0}, In: req.In})
	default:
		return b.SCSI.Execute(req)
	}
}

// A disk behind a bridge that knows ATA PASS-THROUGH(12) alone is tested as any other.
func TestADiskBehindABridgeOfShortCommands(t *testing.T) {
	for name, c := range map[string]struct {
		status, code string
		verdict      core.Verdict
	}{"well": {"4fc2", "", core.Pass}, "failing": {"f42c", "smart/failing", core.Fail}} {
		r := machines.Open(t, sataMachine)
		r.Disks.Set(disk.Exchange{
			Disk: "sda", SCSI: ataStatus, Status: 2, Sense: "7201001d0000000e090c000000000000" + "00" + c.status[:2] + "00" + c.status[2:] + "0050",
		})

		m := r.Machine()
		m.Bus = bridge{m.Bus}

		result := run(t, newBench(nil), stage.SMART(m))
		if result.Verdict != c.verdict || c.code != "" && len(find(result, c.code)) != 1 || !strings.HasPrefix(result.Coverage, "6 of 6 disks") {
			t.Errorf("%s: %s, %s: %+v", name, result.Verdict, result.Coverage, result.Findings)
		}
	}
}
