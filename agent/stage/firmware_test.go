package stage_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"vetting/agent/collect"
	"vetting/agent/disk"
	"vetting/agent/machines"
	"vetting/agent/probe"
	"vetting/agent/stage"
	"vetting/cmd/vetting-lab/bmc"
	"vetting/core"
)

// bootLogOf tells what the kernel of a recorded machine said since it booted.
func bootLogOf(r *collect.Recording) func() []string {
	return func() []string { return strings.Split(string(r.Kmsg), "\n") }
}

// nvmeSlotLog is Get Log Page 03h, as a recording writes it.
const nvmeSlotLog = "02 ffffffff 007f0003 00000000"

// slotLog is the page of a controller with these revisions.
func slotLog(afi byte, revisions ...string) disk.Exchange {
	page := make([]byte, 64)
	page[0] = afi

	for i, revision := range revisions {
		copy(page[8+8*i:16+8*i], revision+"        ")
	}

	return disk.Exchange{Disk: "nvme0n1", NVMe: nvmeSlotLog, In: 512, Length: 512, Data: hex.EncodeToString(page)}
}

// TestFirmwareSlots: a disk that waits for a reset to run other firmware is told; one
// that has it in a slot only, or has the same twice, is not.
func TestFirmwareSlots(t *testing.T) {
	for name, c := range map[string]struct {
		page     disk.Exchange
		evidence string // empty: nothing is found
		settings int
	}{
		"another firmware waits":     {slotLog(0x21, "E2MU110", "E2MU200"), "slot 1 with E2MU110 runs, the next reset takes slot 2 with E2MU200", 2},
		"another firmware is stored": {slotLog(0x01, "E2MU110", "E2MU200"), "", 2},
		"the same waits":             {slotLog(0x21, "E2MU200", "E2MU200"), "", 2},
		"the same slot is next":      {slotLog(0x11, "E2MU200"), "", 1},
		"no slot is active":          {slotLog(0x20, "E2MU110", "E2MU200"), "", 0},
		"the disk has no such page":  {disk.Exchange{Disk: "nvme0n1", NVMe: nvmeSlotLog, In: 512, Status: 0x109}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := machines.Open(t, nvmeMachine)
			r.Disks.Set(c.page)

			result := run(t, newBench(nil), stage.Firmware(r.Machine(), bootLogOf(r), &fakeTools{}))
			found := find(result, "firmware/pending-activation")

			if (len(found) == 1) != (c.evidence != "") || len(found) == 1 && (found[0].Evidence != c.evidence || found[0].Severity != core.Warning || found[0].Part.Serial == "") {
				t.Errorf("found %+v", found)
			}

			slots := slices.DeleteFunc(result.Settings, func(s core.FirmwareSetting) bool { return s.Group != "nvme" || s.Part.Serial != "4190A000TLK8" })
			if len(slots) != c.settings {
				t.Errorf("told %+v", slots)
			}

			if result.Verdict != core.Pass {
				t.Errorf("verdict %s", result.Verdict)
			}
		})
	}
}

// TestFirmwareOfPowerSupplies: the revisions that supplies tell the BMC are among the
// firmware, beside those of the same model.
func TestFirmwareOfPowerSupplies(t *testing.T) {
	for name, c := range map[string]struct{ model, part, version, evidence string }{
		"of one revision":    {"LP-800", "LP-800-A", "1.2", ""},
		"of two":             {"LP-800", "LP-800-A", "1.1", "PSU1 has 1.2; PSU2 has 1.1"},
		"of two models":      {"LP-750", "LP-750-B", "1.1", ""},
		"one that tells not": {"LP-800", "LP-800-A", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := machines.Open(t, nvmeMachine)
			machine := r.Machine()
			supplies := bmc.New(bmc.Healthy)
			supplies.SetModel(2, c.model, c.part, c.version)
			machine.BMC = supplies

			result := run(t, newBench(nil), stage.Firmware(machine, bootLogOf(r), &fakeTools{}))

			var told []string

			for _, item := range result.Firmware {
				if item.Part.Kind == "psu" {
					told = append(told, strings.Join([]string{item.Name, item.Part.Slot, item.Part.Model, item.Part.Serial, item.Version}, " "))
				}
			}

			want := []string{"PSU PSU1 LP-800 LP0000001 1.2"}
			if c.version != "" {
				want = append(want, "PSU PSU2 "+c.model+" LP9999999 "+c.version)
			}

			if !slices.Equal(told, want) {
				t.Errorf("told %q, want %q", told, want)
			}

			found := find(result, "firmware/versions-differ")
			if (len(found) == 1) != (c.evidence != "") || len(found) == 1 && (found[0].Evidence != c.evidence || found[0].Part.Kind != "psu" || found[0].Severity != core.Warning) {
				t.Errorf("found %+v", found)
			}
		})
	}
}

// TestFirmwareOfNvidiasGPUs: their vBIOS is told by the tool of an overlay alone.
func TestFirmwareOfNvidiasGPUs(t *testing.T) {
	const a100 = "vBIOS 0000:01:00.0 NVIDIA A100-SXM4-80GB 1650000000001 92.00.36.00.02"

	for name, c := range map[string]struct {
		vendor string
		tools  *fakeTools
		want   []string
		unread bool
	}{
		"a tool that tells":        {"10de", &fakeTools{programs: []string{"nvidia-smi"}, answers: map[string][]string{"nvidia-smi -q": {smi(t)}}}, []string{a100}, false},
		"no overlay":               {"10de", &fakeTools{}, nil, false},
		"a GPU of another maker":   {"1002", &fakeTools{programs: []string{"nvidia-smi"}, errs: map[string]error{"nvidia-smi -q": errors.New("asked")}}, nil, false},
		"a tool that does not run": {"10de", &fakeTools{programs: []string{"nvidia-smi"}, errs: map[string]error{"nvidia-smi -q": errors.New("no driver")}}, nil, true},
		"a tool that tells of another GPU": {
			"10de", &fakeTools{programs: []string{"nvidia-smi"}, answers: map[string][]string{"nvidia-smi -q": {smi(t, "00000000:01:00.0", "00000000:41:00.0")}}}, nil, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			machine := probe.Machine{Root: rackWith(c.vendor, 16, 16, nil), Bus: &disk.Replay{}, Ports: collect.Ports{}}
			result := run(t, newBench(nil), stage.Firmware(machine, func() []string { return nil }, c.tools))

			var told []string

			for _, item := range result.Firmware {
				if item.Part.Kind == "gpu" {
					told = append(told, strings.Join([]string{item.Name, item.Part.Slot, item.Part.Model, item.Part.Serial, item.Version}, " "))
				}
			}

			if !slices.Equal(told, c.want) || strings.Contains(result.Coverage, "vBIOS of NVIDIA's GPUs NOT read") != c.unread {
				t.Errorf("told %q: %s", told, result.Coverage)
			}
		})
	}
}

// silentTPM answers nothing.
type silentTPM struct{}

func (silentTPM) Do([]byte) ([]byte, error) { return nil, errors.New("no answer") }

// TestATPMThatDoesNotAnswerIsNamed in the coverage.
func TestATPMThatDoesNotAnswerIsNamed(t *testing.T) {
	for _, silent := range []bool{false, true} {
		r := machines.Open(t, sataMachine)
		if err := r.Root.Put("sys/class/tpm/tpm0/tpm_version_major", []byte("2\n")); err != nil {
			t.Fatal(err)
		}

		machine := r.Machine()
		if silent {
			machine.TPM = silentTPM{}
		}

		if result := run(t, newBench(nil), stage.Firmware(machine, bootLogOf(r), &fakeTools{})); strings.Contains(result.Coverage, "TPM NOT read") != silent || result.Verdict != core.Pass {
			t.Errorf("silent %t: %s %q", silent, result.Verdict, result.Coverage)
		}
	}
}

// TestMicrocodeOfTheBIOSIsListed where the image brought another.
func TestMicrocodeOfTheBIOSIsListed(t *testing.T) {
	r := machines.Open(t, sataMachine)
	r.Kmsg = append(bytes.Clone(r.Kmsg), "6,301,0,-;microcode: Updated early from: 0x05003501\n"...)

	result := run(t, newBench(nil), stage.Firmware(r.Machine(), bootLogOf(r), &fakeTools{}))

	for _, item := range result.Firmware {
		if item.Name == "microcode" && item.Version != "0x5003501" {
			t.Errorf("%+v", item)
		}
	}

	// AMD's kernels say so even where nothing was changed (Linux 6.8, EPYC 9004).
	r = machines.Open(t, sataMachine)
	r.Kmsg = []byte("6,301,0,-;microcode: Updated early from: 0x05003605\n")

	if result = run(t, newBench(nil), stage.Firmware(r.Machine(), bootLogOf(r), &fakeTools{})); len(result.Findings) != 0 {
		t.Errorf("%+v", result.Findings)
	}
}
