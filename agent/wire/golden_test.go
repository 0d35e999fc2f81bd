package wire_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect" //nolint:depguard // a decoded message is made by its type
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/agent/wire"
)

var update = flag.Bool("update", false, "write the golden files")

var moment = wire.At(time.Date(2026, 11, 23, 11, 2, 42, 123_000_000, time.UTC))

func number(v float64) *float64 { return &v }

const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"

func peer(host string) *wire.Peer {
	return &wire.Peer{
		Address: "10.77.0.9", Port: 40001, Ticket: "000102030405060708090a0b0c0d0e0f",
		Key: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", Mbps: 25000, Host: host,
	}
}

// messages has one of each message, with every field told.
func messages() map[string]wire.Message {
	part := wire.Part{Kind: "disk", Slot: "sata-1", Model: "QEMU HARDDISK", Serial: "QM00001"}
	sample := wire.Sample{Time: moment, Key: "disk/sda/temperature_celsius", Value: number(31.5), Unit: "°C", Stage: "SMART"}
	item := wire.FirmwareItem{Part: part, Name: "disk", Version: "2.5+", Date: "2014-04-01"}

	return map[string]wire.Message{
		"seed": wire.Seed{
			Version: 1, Server: "https://10.77.0.1", Run: "01JD8WVZ6T0000000000000001", MAC: "52:54:00:12:34:56",
			BootToken: "8f6c…", SPKISHA256: "3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855e",
			ImageID: "b5bb9d80", Expires: moment,
		},
		"hello": wire.Hello{
			ProtocolVersion: 1, AgentVersion: "0.1.0", MAC: "52:54:00:12:34:56", IP: "10.77.0.9", BootID: "8f1c2d7e",
			Kernel: "6.12.43+deb13-amd64", Firmware: wire.ModeUEFI, SecureBoot: true, ImageID: "b5bb9d80",
		},
		"hello_reply": wire.HelloReply{State: "Booting", ServerTime: moment},
		"claim": wire.Claim{BootID: "8f1c2d7e", Identity: wire.Identity{
			SMBIOSUUID: "4c4c4544-0042-3510-8052-b4c04f4e3232", BoardSerial: "B1", MACs: []string{"52:54:00:12:34:56"},
		}},
		"claim_reply": wire.ClaimReply{
			SessionToken: "5e55…", Epoch: 1, State: "InventoryCheck",
			Profile: "quick", Scale: 0.1, Config: map[string]string{"SMART.self_test": "short"},
			Stages: []wire.Stage{
				{Name: "InventoryCheck"}, {Name: "Firmware"}, {Name: "SMART", Config: map[string]string{"self_test": "short"}},
			},
			ExpectedDisks:      []wire.ExpectedDisk{{Serial: "QM00001", WWN: "5000c500", Model: "QEMU HARDDISK", SizeBytes: 1 << 30, Armed: true}},
			HeartbeatIntervalS: 15, OverrideFlags: []string{"override-wipe-probe:QM00001"}, HostName: "db-1",
			Overlays: []wire.Overlay{{
				Name: "acme", Manifest: "3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855e",
				Scripts: []wire.Script{{Name: "fan-check", File: "stages/fan-check", Stage: "Burn", TimeoutS: 300}},
			}},
			Page: "https://192.0.2.7:8443/runs/01JD8WVZ6T0000000000000001", QR: []string{"#.#", ".#.", "#.#"},
		},
		"heartbeat": wire.Heartbeat{Stage: "SMART", SubStep: "sda: short self-test", Progress: 0.25, ETAS: 90, UptimeS: 61.5},
		"heartbeat_meters": wire.Heartbeat{Stage: "Storage", SubStep: "sda verify", Progress: 0.25, ETAS: 90, UptimeS: 61.5, Meters: []wire.Meter{{
			Part: part, Step: "verify", Walks: []wire.Walk{{Name: "write", Pass: 1, Done: 1}, {Name: "verify", Pass: 1, Done: 0.5}},
			Done: 0.75, Rate: 2.1e8, LeftLowS: 3600, LeftHighS: 4000, Errors: 1, Over: true,
		}}},
		"order": wire.Order{
			Cmd: wire.CmdRetryStage, State: "Storage", Stage: "Storage", OverrideFlags: []string{"override-wipe-probe:QM00001"}, WriteLeaseUntil: moment,
		},
		"order_continue": wire.Order{Cmd: wire.CmdContinue, State: "SMART"},
		"order_outlook": wire.Order{Cmd: wire.CmdAbort, State: "FailedHolding", Outlook: &wire.Outlook{
			Stage: 4, Stages: 12, LeftLowS: 4200, LeftHighS: 6000, LeftGuess: true, Critical: 1, Warnings: 2, Verdict: "fail", HoldUntil: moment,
		}},
		"order_locate": wire.Order{Cmd: wire.CmdAbort, State: "FailedHolding", Locate: &wire.Locate{Kind: "disk", Name: "QM00001", Until: moment}},
		"log": wire.LogBatch{Seq: 7, Lines: []wire.Line{
			{Time: moment, Level: wire.LevelWarn, Stage: "SMART", Text: `2 pending sectors on "sda" <&>`},
			{Time: moment, Level: wire.LevelInfo, Text: "the run is ours"},
		}},
		"log_reply":   wire.LogReply{},
		"order_retry": wire.Order{Cmd: wire.CmdRetryStage, State: "SMART", Stage: "SMART"},
		"order_override": wire.Order{
			Cmd: wire.CmdRetryStage, State: "Storage", Stage: "Storage",
			OverrideFlags: []string{"override-wipe-probe:QM00001", "override-wipe-probe:QM00002"}, OverrideUntil: moment, WriteLeaseUntil: moment,
		},
		"claim_reply_override": wire.ClaimReply{
			SessionToken: "5e55…", Epoch: 2, State: "Storage", Profile: "deep", Scale: 1,
			Stages: []wire.Stage{{Name: "Storage"}, {Name: "Network"}},
			ExpectedDisks: []wire.ExpectedDisk{
				{Serial: "QM00001", Armed: true}, {Serial: "QM00002"},
			},
			HeartbeatIntervalS: 15, OverrideFlags: []string{"override-wipe-probe:QM00001"}, OverrideUntil: moment,
		},
		"hold": wire.Hold{IP: "10.77.0.9", SSHHostKey: hostKey},
		"hold_reply": wire.HoldReply{
			AuthorizedKeys: []string{hostKey + " vetting-01JD8WVZ6T0000000000000001", hostKey + " vetting-terminal"}, Until: moment,
		},
		"host_register": wire.HostRegister{
			MAC: "52:54:00:12:34:56", MACs: []string{"52:54:00:12:34:57"}, Hostname: "rack1-u04",
			PublicKey: "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", AgentVersion: "0.2.0", EnrolKey: "se…",
		},
		"host_registered": wire.HostRegistered{Host: wire.HostInfo{
			MAC: "52:54:00:12:34:56", Name: "rack1-u04", KeyID: "21fe31dfa154a261626bf854046fd227", KeyState: wire.KeyPending,
			Fingerprint: "SHA256:kvhSIt9KtIhCxGcPq6mF0oCR9OEHVIYL9ODoZRgmZ7Q",
		}},
		"host_heartbeat": wire.HostHeartbeat{AgentVersion: "0.2.0", UptimeS: 86400.5, BootID: "8f1c2d7e", Refusal: "2 users are logged in"},
		"host_order":     wire.HostOrder{Cmd: wire.HostReboot, KeyState: wire.KeyApproved, ServerTime: moment},
		"sensor": wire.SensorBatch{Seq: 8, Samples: []wire.Sample{
			sample, {Time: moment, Key: "disk/nvme0n1/temperature_celsius"},
		}},
		"sensor_reply": wire.SensorReply{Breaches: []wire.Breach{{
			Rule: "disk-hot", Key: "disk/sda/temperature_celsius", Value: number(61), Limit: "lte 55", Verdict: wire.VerdictFail, Severity: "critical",
		}}},
		"result": wire.Result{
			Seq: 3, Stage: "InventoryCheck", Verdict: wire.VerdictSkip, SkipReason: "declared in the spec",
			Findings: []wire.Finding{{
				Code: "smart/pending-sectors", Severity: "critical", Title: "Pending sectors", Stage: "SMART", Part: part,
				Evidence: "attribute 197: 2", Next: "Replace the disk.",
			}},
			SubSteps:     []wire.SubStep{{Name: "sda", Part: part, Verdict: wire.VerdictPass, Summary: "31 °C", Progress: 1}},
			Measurements: []wire.Sample{sample}, Coverage: "1 of 1 disks", Inventory: inventory(part), Firmware: []wire.FirmwareItem{item},
		},
		"result_platform": wire.Result{Seq: 1, Stage: "InventoryCheck", Verdict: wire.VerdictPass, Inventory: platform()},
		"result_settings": wire.Result{Seq: 2, Stage: "Firmware", Verdict: wire.VerdictPass, Settings: []wire.FirmwareSetting{
			{Part: wire.Part{Kind: "cpu"}, Group: "vulnerability", Name: "mds", Value: "Mitigation: Clear CPU buffers; SMT vulnerable"},
			{Part: wire.Part{Kind: "board"}, Group: "bios", Name: "BootMode", Value: "Uefi"},
		}},
		"result_reply":   wire.ResultReply{NextState: "Firmware"},
		"artifact_reply": wire.ArtifactReply{ID: "01JD8WVZ6T0000000000000001-1", SHA256: "b5bb9d80"},
		"partner_reply":  wire.PartnerReply{Frames: 1024, Bad: 1, ServerTime: moment},
		"traffic":        wire.Traffic{},
		"traffic_reply": wire.TrafficReply{
			Ticket: "000102030405060708090a0b0c0d0e0f", Key: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", Port: 5201,
		},
		"pair":            wire.Pair{Step: wire.PairOffer, Mine: peer(""), Patient: true},
		"pair_done":       wire.Pair{Step: wire.PairDone, Meeting: "6f1e"},
		"pair_reply":      wire.PairReply{State: wire.PairTurn, Meeting: "6f1e", Peer: peer("rack1-u04")},
		"pair_reply_over": wire.PairReply{State: wire.PairOver, Meeting: "6f1e"},
		"fault": wire.Fault{Error: wire.FaultBody{
			Code: "run/wrong-state", Message: "The run is not in this stage.", Details: map[string]any{wire.DetailState: "SMART"},
		}},
	}
}

func inventory(part wire.Part) *wire.Inventory {
	return &wire.Inventory{
		System:  wire.System{Manufacturer: "QEMU", Product: "Q35", Version: "9.2", Serial: "S1", UUID: "4c4c4544-0042-3510-8052-b4c04f4e3232", SKU: "K"},
		Board:   wire.Board{Manufacturer: "QEMU", Product: "Q35", Version: "1", Serial: "B1"},
		Chassis: wire.Chassis{Manufacturer: "QEMU", Type: "rack mount", Serial: "C1", AssetTag: "A1"},
		BIOS:    wire.BIOS{Vendor: "EDK II", Version: "2024.05", Date: "2024-05-01", Mode: "uefi", SecureBoot: true},
		CPUs: []wire.CPU{{
			Socket: "CPU0", Manufacturer: "QEMU", Model: "max", Serial: "P1", Cores: 2, Threads: 4, Online: 4, MaxMHz: 2000, Microcode: "0x1",
		}},
		Memory: wire.MemoryTotal{TotalBytes: 1 << 30, UsableBytes: 1000 << 20, Slots: 2, ECC: "none"},
		DIMMs: []wire.DIMM{{
			Slot: "DIMM 0", Bank: "Bank 0", SizeBytes: 1 << 30, Type: "DDR4", Manufacturer: "QEMU", PartNumber: "PN", Serial: "D1",
			RatedMTs: 3200, ConfiguredMTs: 2933,
		}},
		Disks: []wire.Disk{{
			Name: "sda", Transport: "sata", Model: "QEMU HARDDISK", Serial: "QM00001", WWN: "5000c500", Firmware: "2.5+",
			SizeBytes: 1 << 30, LogicalBlock: 512, PhysBlock: 4096, Rotational: true, RPM: 7200, Removable: true,
			Path: "pci-0000:00:1f.2-ata-1", SMART: true,
		}},
		NICs: []wire.NIC{{
			Name: "eth0", MAC: "52:54:00:12:34:56", Driver: "e1000e", Firmware: "1.8", PCIAddress: "0000:00:02.0", Model: "82574L",
			SpeedMbps: 1000, MaxSpeedMbps: 1000, Link: true, BootNIC: true,
		}},
		PCI: []wire.PCIDevice{{
			Address: "0000:00:1f.2", Vendor: "8086", Device: "2922", Class: "010601", Name: "AHCI", Driver: "ahci", NUMANode: -1,
			LinkSpeed: "8.0 GT/s", LinkWidth: 4, MaxSpeed: "16.0 GT/s", MaxWidth: 8,
		}},
		Firmware: []wire.FirmwareItem{{Part: part, Name: "disk", Version: "2.5+", Date: "2014-04-01"}},
	}
}

// platform is what inventories have told since they tell of the platform too.
func platform() *wire.Inventory {
	return &wire.Inventory{
		System: wire.System{Virtual: true}, Clock: &wire.Clock{Year: 2026, OffSeconds: -3},
		CPUs: []wire.CPU{{
			Socket: "CPU1", PPIN: "0x2d7f5e2a9b1c4d3", Caches: []wire.Cache{{Level: 3, Type: "Unified", SizeBytes: 1 << 25, Count: 1}},
			Logical: []wire.Thread{{CPU: 4, Core: 8, APIC: 16, Node: 1}},
		}},
		Memory: wire.MemoryTotal{RAMBytes: 1 << 30, Controllers: 2}, DIMMs: []wire.DIMM{},
		Disks: []wire.Disk{{Name: "sda", Transport: "sas", Bay: "Slot00", NativeBytes: 1 << 40, OtherPaths: []string{"sdl"}}},
		NICs: []wire.NIC{{
			Name: "eth0", Wakes: true, FEC: "rs", Transceiver: &wire.Transceiver{Kind: "SFP", Vendor: "V", Part: "P", Serial: "S"},
		}},
		PCI:   []wire.PCIDevice{{Address: "0000:18:00.0", Vendor: "1000", Device: "0097", Class: "010700", Parent: "0000:17:00.0", Slot: "SLOT2", AER: true}},
		Slots: []wire.Slot{{Name: "SLOT2", Type: "PCIe 3", Lanes: 8, InUse: true, Address: "0000:18:00.0"}},
		PSUs: []wire.Supply{{
			Slot: "PSU1", Model: "M", Manufacturer: "S", PartNumber: "P", Serial: "1", Revision: "A", Watts: 1000, Present: true,
		}},
		BMC:   &wire.Management{Interface: "KCS", Manufacturer: 10876, Product: 2397, Firmware: "1.71", IPMI: "2.0", MAC: "52:54:00:12:34:57"},
		TPM:   &wire.TPM{Version: "2.0", Manufacturer: "IFX", Firmware: "7.62"},
		Nodes: []wire.Node{{ID: 1, CPUs: "0-3", MemoryBytes: 1 << 29}},
		GPUs:  []wire.Graphics{{Address: "0000:47:00.0", Vendor: "10de", Name: "A100", Driver: "nvidia", UUID: "GPU-1", VBIOS: "92", MemoryBytes: 1 << 36}},
		USB:   []wire.USBDevice{{Path: "1-4.3", Vendor: "0781", Product: "5581", Name: "Ultra", Serial: "4C53", SpeedMbps: 5000}},
	}
}

// A file under v1 is what agents of that version say: it is never changed, and a
// message that this version writes otherwise needs a new version and folder.
func TestEachMessageIsWrittenAsItsGoldenFileAndReadBack(t *testing.T) {
	for name, message := range messages() {
		t.Run(name, func(t *testing.T) {
			if err := message.Validate(); err != nil {
				t.Fatalf("the example makes no sense: %v", err)
			}

			got, err := json.MarshalIndent(message, "", "  ")
			if err != nil {
				t.Fatal(err)
			}

			got = append(got, '\n')
			file := filepath.Join("testdata", "v1", name+".json")

			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}

			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-golden +written):\n%s", file, diff)
			}

			back := reflect.New(reflect.TypeOf(message))
			if err := json.Unmarshal(want, back.Interface()); err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(message, back.Elem().Interface()); diff != "" {
				t.Errorf("read back (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryGoldenFileIsOfAMessageWeKnow(t *testing.T) {
	files, err := filepath.Glob("testdata/v1/*.json")
	if err != nil {
		t.Fatal(err)
	}

	known := messages()

	for _, file := range files {
		name := filepath.Base(file[:len(file)-len(".json")])
		if known[name] == nil {
			t.Errorf("%s is of no message: a message that was spoken once is read for good", file)
		}
	}

	if len(files) != len(known) {
		t.Errorf("%d golden files, %d messages", len(files), len(known))
	}
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	raw, err := os.ReadFile("testdata/v1/hello.json")
	if err != nil {
		t.Fatal(err)
	}

	raw = bytes.Replace(raw, []byte("{"), []byte(`{"from_the_future": {"a": [1]},`), 1)

	var hello wire.Hello
	if err := json.Unmarshal(raw, &hello); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(messages()["hello"], wire.Message(hello)); diff != "" {
		t.Error(diff)
	}
}
