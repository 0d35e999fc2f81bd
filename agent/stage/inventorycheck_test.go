package stage_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"vetting/agent/collect"
	"vetting/agent/disk"
	"vetting/agent/ipmi"
	"vetting/agent/machines"
	"vetting/agent/stage"
	"vetting/core"
	"vetting/firmware/inventory"
)

// editTable changes the first SMBIOS structure that a test picks, in place.
func editTable(t *testing.T, r *collect.Recording, pick func(inventory.Structure) bool, change func(b []byte)) {
	t.Helper()

	tables, err := r.Root.ReadFile(inventory.SMBIOSPath)
	if err != nil {
		t.Fatal(err)
	}

	all, err := inventory.ParseSMBIOS(tables)
	if err != nil {
		t.Fatal(err)
	}

	for _, s := range all {
		if pick(s) {
			change(tables[bytes.Index(tables, s.Data):][:len(s.Data)])

			if err := r.Root.Put(inventory.SMBIOSPath, tables); err != nil {
				t.Fatal(err)
			}

			return
		}
	}

	t.Fatal("no such structure")
}

// TestInventoryCheckFinds: what breaks the enumeration itself.
func TestInventoryCheckFinds(t *testing.T) {
	put := func(name, text string) func(t *testing.T, r *collect.Recording) {
		return func(t *testing.T, r *collect.Recording) {
			t.Helper()

			if err := r.Root.Put(name, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
	}

	for name, c := range map[string]struct {
		change   func(t *testing.T, r *collect.Recording)
		code     string
		part     core.Part
		evidence string
	}{
		"a disk is silent": {
			func(_ *testing.T, r *collect.Recording) {
				r.Disks.Set(disk.Exchange{Disk: "sdc", SCSI: "85080e0000000100000000000000ec00", Error: "host adapter status 0x3"})
			},
			"inventory/disk-silent",
			core.Part{Kind: "disk", Slot: "pci-0000:00:17.0-ata-3", Model: "ATA ST8000NM000A-2KE"},
			"host adapter status 0x3",
		},
		"a card fell off the bus": {
			put("sys/bus/pci/devices/0000:60:00.1/vendor", "0xffff\n"), "inventory/pci-dead", core.Part{Kind: "pci", Slot: "0000:60:00.1"}, "reads vendor ffff",
		},
		"the tables break off": {
			put(inventory.SMBIOSPath, "\x01\xff"), "inventory/firmware-tables", core.Part{Kind: "board"}, "structure 0 is cut off",
		},
		"a module is switched off": {
			func(t *testing.T, r *collect.Recording) {
				t.Helper()
				editTable(t, r, func(s inventory.Structure) bool { return s.Type == 17 && s.Text(0x18) != "" }, func(b []byte) { b[0x0c], b[0x0d] = 0, 0 })
			},
			"inventory/dimm-disabled",
			core.Part{Kind: "dimm", Slot: "P0_Node0_Channel0_Dimm0/DIMMA1", Model: "HMA84GR7JJR4N-WM", Serial: "80AD0120014C3E52"},
			"has no size",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := machines.Open(t, sataMachine)
			c.change(t, r)

			result := run(t, newBench(nil), stage.InventoryCheck(r.Machine(), ready))
			if result.Verdict != core.Fail || len(result.Findings) != 1 || result.Inventory == nil {
				t.Fatalf("%s %+v", result.Verdict, result.Findings)
			}

			f := result.Findings[0]
			if f.Code != c.code || f.Severity != core.Critical || f.Part != c.part || !strings.Contains(f.Evidence, c.evidence) {
				t.Errorf("%+v", f)
			}
		})
	}
}

// TestInventoryCheckWaits: a machine whose devices are not there is not looked at.
func TestInventoryCheckWaits(t *testing.T) {
	r := machines.Open(t, sataMachine)
	never := func(context.Context) error { return context.DeadlineExceeded }

	if result := run(t, newBench(nil), stage.InventoryCheck(r.Machine(), never)); result.Verdict != core.Error || len(find(result, "stage/interrupted")) != 1 {
		t.Errorf("%+v", result)
	}
}

// TestFirmwareFinds: what two parts alike tell of each other.
func TestFirmwareFinds(t *testing.T) {
	for name, c := range map[string]struct {
		change   func(r *collect.Recording) error
		code     string
		severity core.Severity
		evidence string
	}{
		"a core runs other microcode": {
			func(r *collect.Recording) error {
				return r.Root.Put("sys/devices/system/cpu/cpu9/microcode/version", []byte("0x5003604\n"))
			},
			"firmware/microcode-differs", core.Critical, "0x5003604 on CPU 9;",
		},
		"a port runs other firmware": {
			func(r *collect.Recording) error {
				port := r.Ports["eno2"]
				port.Firmware = "3.31"
				r.Ports["eno2"] = port

				return nil
			},
			"firmware/versions-differ", core.Warning, "0000:60:00.1 has 3.31",
		},
		"an update did not succeed": {
			func(r *collect.Recording) error {
				const entry = "sys/firmware/efi/esrt/entries/entry0/"

				return errors.Join(r.Root.Put(entry+"fw_class", []byte("9f2a\n")), r.Root.Put(entry+"last_attempt_status", []byte("2\n")))
			},
			"firmware/update-failed", core.Warning, "last attempt status 2",
		},
		"the management engine tells an error": {
			func(r *collect.Recording) error {
				return r.Root.Put("sys/class/mei/mei0/fw_status", []byte("94003045\n30850106\n"))
			},
			"firmware/me-trouble", core.Warning, "0x94003045: it tells the error 3",
		},
		"the management engine is in recovery": {
			func(r *collect.Recording) error {
				return r.Root.Put("sys/class/mei/mei0/fw_status", []byte("80000002\n"))
			},
			"firmware/me-trouble", core.Warning, "it is in recovery",
		},
		"the image brought microcode": {
			func(r *collect.Recording) error {
				r.Kmsg = []byte("6,300,0,-;microcode: Current revision: 0x05003605\n6,301,0,-;microcode: Updated early from: 0x05003501\n")

				return nil
			},
			"firmware/microcode-loaded", core.Info, "Updated early from: 0x05003501",
		},
		"an older kernel's words for it": {
			func(r *collect.Recording) error {
				r.Kmsg = []byte("6,1,0,-;microcode: microcode updated early: 0x5003501 -> 0x5003605, date = 2023-03-17\n" +
					"6,1,0,-;microcode: updated early: 0x5003501 -> 0x5003605, date = 2023-03-17\n")

				return nil
			},
			"firmware/microcode-loaded", core.Info, "0x5003501 -> 0x5003605",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := machines.Open(t, sataMachine)
			if err := c.change(r); err != nil {
				t.Fatal(err)
			}

			result := run(t, newBench(nil), stage.Firmware(r.Machine(), bootLogOf(r), &fakeTools{}))
			found := find(result, c.code)

			if len(found) != 1 || found[0].Severity != c.severity || !strings.Contains(found[0].Evidence, c.evidence) || len(result.Findings) != 1 {
				t.Errorf("%+v", result.Findings)
			}

			if (result.Verdict == core.Fail) != (c.severity == core.Critical) {
				t.Errorf("verdict %s", result.Verdict)
			}
		})
	}

	mute := &collect.Recording{Root: collect.NewTree(), Disks: &disk.Replay{}, BMC: &ipmi.Replay{}}
	if result := run(t, newBench(nil), stage.Firmware(mute.Machine(), bootLogOf(mute), &fakeTools{})); result.Verdict != core.Unmeasurable {
		t.Errorf("a machine that tells nothing: %s", result.Verdict)
	}
}
