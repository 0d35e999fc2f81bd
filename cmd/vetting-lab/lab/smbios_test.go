//go:build linux

package lab_test

import (
	"bytes"
	"testing"

	"github.com/u-root/u-root/pkg/smbios"

	"vetting/cmd/vetting-lab/lab"
	"vetting/core"
	"vetting/firmware/inventory"
)

func TestSupplyTablesReadAsTheyWereMeant(t *testing.T) {
	all, err := inventory.ParseSMBIOS(bytes.Join([][]byte{lab.SupplyTable(0, "PSU1"), lab.SupplyTable(1, "PSU2")}, nil))
	if err != nil {
		t.Fatal(err)
	}

	supplies := inventory.PSUs(all)
	if want := (core.Supply{Slot: "PSU2", Model: "LP-800", Manufacturer: "Lab Power", Watts: 800, Present: true}); len(supplies) != 2 || supplies[1] != want {
		t.Errorf("%+v, want %+v", supplies, want)
	}
}

func TestMemoryTablesReadAsTheyWereMeant(t *testing.T) {
	raw := bytes.Join([][]byte{
		lab.ArrayTable(2),
		lab.DeviceTable(0, lab.DIMM{Slot: "DIMM_A1", MiB: 256, Maker: "Lab Memory", Part: "LM-256", Serial: "A10001"}),
		lab.DeviceTable(1, lab.DIMM{Slot: "DIMM_A2"}),
	}, nil)

	array, rest, err := smbios.ParseTable(raw)
	if err != nil || array.Type != 16 {
		t.Fatalf("%v %v", array, err)
	}

	var devices []*smbios.MemoryDevice

	for range 2 {
		var table *smbios.Table

		if table, rest, err = smbios.ParseTable(rest); err != nil {
			t.Fatal(err)
		}

		device, err := smbios.NewMemoryDevice(table)
		if err != nil {
			t.Fatal(err)
		}

		devices = append(devices, device)
	}

	full, empty := devices[0], devices[1]
	if full.DeviceLocator != "DIMM_A1" || full.Size != 256 || full.Manufacturer != "Lab Memory" ||
		full.PartNumber != "LM-256" || full.SerialNumber != "A10001" || full.Speed != 2666 || full.ConfiguredSpeed != 2400 {
		t.Errorf("the first slot reads as %+v", full)
	}

	if empty.DeviceLocator != "DIMM_A2" || empty.Size != 0 {
		t.Errorf("the second slot reads as %+v", empty)
	}
}
