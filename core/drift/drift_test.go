package drift_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"vetting/core"
	"vetting/core/drift"
)

func item(kind, slot, model, serial, name, version string) core.FirmwareItem {
	return core.FirmwareItem{Part: core.Part{Kind: kind, Slot: slot, Model: model, Serial: serial}, Name: name, Version: version}
}

// TestBetweenTwoRuns: a part is followed by its serial number, then by its place.
func TestBetweenTwoRuns(t *testing.T) {
	setting := func(value string) core.FirmwareSetting {
		return core.FirmwareSetting{Part: core.Part{Kind: "board"}, Group: "bios", Name: "BootMode", Value: value}
	}
	old := core.FirmwareSnapshot{
		Items: []core.FirmwareItem{
			item("board", "", "08D89F", "B1", "BIOS", "2.12.2"),
			item("disk", "bay 1", "ST4000", "S1", "disk", "SN02"),
			item("disk", "bay 2", "ST4000", "S2", "disk", "SN02"),
			item("disk", "bay 3", "ST4000", "S3", "disk", "SN02"),
			item("nic", "0000:19:00.0", "X710", "M1", "NIC", "8.15"),
			item("hba", "0000:18:00.0", "9300", "", "HBA", "16.00.12.00"),
		},
		Settings: []core.FirmwareSetting{setting("Uefi")},
	}
	fresh := core.FirmwareSnapshot{
		Items: []core.FirmwareItem{
			item("board", "", "08D89F", "B1", "BIOS", "2.19.1"),
			item("disk", "bay 2", "ST4000", "S1", "disk", "SN02"), // it moved
			item("disk", "bay 1", "ST4000", "S2", "disk", "SN03"), // it moved, and was updated
			item("disk", "bay 3", "ST4000", "S9", "disk", "SN02"), // another one
			item("hba", "0000:18:00.0", "9300", "", "HBA", "16.00.12.00"),
			item("gpu", "0000:3b:00.0", "A100", "G1", "vBIOS", "92.00"),
		},
		Settings: []core.FirmwareSetting{setting("Bios")},
	}

	want := []drift.Change{
		{What: "changed", Part: fresh.Items[0].Part, Name: "BIOS", Old: "2.12.2", New: "2.19.1"},
		{What: "changed", Part: fresh.Items[2].Part, Name: "disk", Old: "SN02", New: "SN03"},
		{What: "changed", Part: fresh.Items[3].Part, Name: "disk", Old: "SN02", New: "SN02", Other: true},
		{What: "removed", Part: old.Items[4].Part, Name: "NIC", Old: "8.15"},
		{What: "changed", Part: core.Part{Kind: "board"}, Name: "bios BootMode", Setting: true, Old: "Uefi", New: "Bios"},
		{What: "added", Part: fresh.Items[5].Part, Name: "vBIOS", New: "92.00"},
	}
	if diff := cmp.Diff(want, drift.Between(&old, &fresh)); diff != "" {
		t.Error(diff)
	}

	if same := drift.Between(&old, &old); len(same) != 0 {
		t.Errorf("with itself: %+v", same)
	}
}

// TestAcrossHosts: parts of one model are one group, wherever they are.
func TestAcrossHosts(t *testing.T) {
	hosts := []core.FirmwareSnapshot{
		{HostName: "a", Model: "Dell Inc. PowerEdge R640", Items: []core.FirmwareItem{
			item("board", "", "08D89F", "B1", "BIOS", "2.12.2"), item("disk", "1", "ST4000", "S1", "disk", "SN02"), item("disk", "2", "ST4000", "S2", "disk", "SN03"),
		}},
		{HostName: "b", Model: "Dell Inc. PowerEdge R640", Items: []core.FirmwareItem{
			item("board", "", "0X45NX", "B2", "BIOS", "2.12.2"), item("disk", "1", "ST4000", "S3", "disk", "SN02"),
		}},
		{HostName: "c", Items: []core.FirmwareItem{item("board", "", "X11", "B3", "BIOS", "3.3")}},
	}

	want := []drift.Group{
		{Kind: "disk", Model: "ST4000", Name: "disk", Versions: []drift.Version{
			{Version: "SN02", Parts: 2, Hosts: []string{"a", "b"}}, {Version: "SN03", Parts: 1, Hosts: []string{"a"}},
		}},
		{Kind: "board", Model: "Dell Inc. PowerEdge R640", Name: "BIOS", Versions: []drift.Version{{Version: "2.12.2", Parts: 2, Hosts: []string{"a", "b"}}}},
		{Kind: "board", Model: "X11", Name: "BIOS", Versions: []drift.Version{{Version: "3.3", Parts: 1, Hosts: []string{"c"}}}},
	}
	if diff := cmp.Diff(want, drift.Across(hosts)); diff != "" {
		t.Error(diff)
	}
}
