// Package canned fills a ledger with hosts and runs as they look in life, for
// the tests of the console and for its gallery. Nothing of it is in the product.
package canned

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/report"
	"vetting/core/retention"
	"vetting/ui/lookup"
	"vetting/ui/view"
)

// Now is the moment all of it is seen at.
func Now() time.Time { return time.Date(2026, 11, 23, 12, 41, 7, 0, time.UTC) }

// Appliance is the appliance of the scene.
func Appliance() report.Appliance {
	return report.Appliance{
		ID: "01JD0000000000000000APPL1A", Name: "vetting-lab-1", Version: "0.1.0", ImageID: strings.Repeat("4f3c", 16),
		KernelVersion: "6.12.48+deb13-amd64", KernelSHA256: strings.Repeat("ab", 32), InitrdSHA256: strings.Repeat("cd", 32),
	}
}

// Author is who writes the reports of the scene.
func Author() lookup.Author {
	policy := retention.Default()

	return lookup.Author{Appliance: Appliance(), Retention: &policy, Now: Now()}
}

// Netboot is what the boot services of the scene are about.
func Netboot() view.NetbootFacts {
	return view.NetbootFacts{
		Interface: "enp5s0f1", Mode: "dhcp", Address: "10.77.0.1/16", Pool: "10.77.0.10 to 10.77.255.254",
		Files: []view.BootFile{
			{Name: "base.cpio.zst", Size: 4 << 20, SHA256: strings.Repeat("cd", 32)},
			{Name: "snponly.efi", Size: 264192, SHA256: strings.Repeat("ef", 32)},
			{Name: "vmlinuz", Size: 12 << 20, SHA256: strings.Repeat("ab", 32)},
		},
	}
}

// Scene names what a ledger is filled with.
type Scene string

// The scenes.
const (
	Empty   Scene = "empty"   // nothing yet
	Full    Scene = "full"    // a rack at work
	Failed  Scene = "failed"  // everything is held, broken or quarantined
	Hostile Scene = "hostile" // a machine that wants to be markup
	Crowd   Scene = "crowd"   // five hundred hosts
	Disks   Scene = "disks"   // one machine with forty disks under test
	Fleet   Scene = "fleet"   // eight machines of one model, of which some stand out
	Long    Scene = "long"    // names, models and serial numbers as long as they may be, on forty disks
	Broken  Scene = "broken"  // the appliance itself; its ledger is not looked at
)

// The runs and the host that every page can be asked for, in all scenes but Empty.
const (
	Host = core.MAC("52:54:00:00:00:11")
	Run  = core.RunID("01JD4X00000000000000000011")
)

// Fill writes a scene into the ledger.
func Fill(ctx context.Context, ledger core.Ledger, scene Scene) error {
	var rows []row

	switch scene {
	case Empty, Broken:
		return nil
	case Full:
		rows = rack()
	case Failed:
		rows = trouble()
	case Hostile:
		rows = []row{hostile()}
	case Crowd:
		rows = crowd()
	case Disks:
		rows = []row{fortyDisks()}
	case Fleet:
		rows = sisters()
	case Long:
		rows = longNames()
	}

	_, err := ledger.Update(ctx, func(txn core.Txn) error {
		for i := range rows {
			if err := rows[i].write(txn); err != nil {
				return err
			}

			lease := core.Lease{
				MAC: rows[i].host.MAC, Addr: netip.AddrFrom4([4]byte{10, 77, byte(i / 200), byte(50 + i%200)}), //nolint:gosec // five hundred at most
				Granted: Now().Add(-3 * time.Hour), Expires: Now().Add(time.Duration(9-4*i) * time.Hour),
			}
			if err := txn.Put(core.TableLease, string(lease.MAC), lease); err != nil {
				return err
			}

			if rows[i].run != nil && (rows[i].host.MAC == Host || scene == Hostile) {
				if err := noted(txn, &rows[i], scene); err != nil {
					return err
				}
			}

			if scene == Hostile || scene == Failed && i == len(rows)-1 {
				if err := waived(txn, &rows[i], scene); err != nil {
					return err
				}
			}
		}

		if err := shared(txn, scene); err != nil {
			return err
		}

		return errors.Join(sightings(txn, scene), batches(txn, rows, scene), figures(txn, rows, scene))
	})
	if err != nil {
		return fmt.Errorf("filling the ledger: %w", err)
	}

	return nil
}

// row is one host with its run and what was found.
type row struct {
	host      core.Host
	run       *core.Run
	inventory core.Inventory
}

func (r *row) write(txn core.Txn) error {
	if r.run == nil {
		return txn.Put(core.TableHost, string(r.host.MAC), r.host)
	}

	r.run.Host, r.run.HostName, r.host.LastRun, r.host.LastVerdict = r.host.MAC, r.host.Name, r.run.ID, r.run.Verdict
	if !r.run.State.Over() {
		r.host.CurrentRun = r.run.ID
	}

	data, err := json.Marshal(map[string]string{"state": string(r.run.State)})
	if err != nil {
		return fmt.Errorf("encoding event: %w", err)
	}

	for _, step := range []func() error{
		func() error { return txn.Put(core.TableHost, string(r.host.MAC), r.host) },
		func() error { return txn.Put(core.TableRun, string(r.run.ID), r.run) },
		func() error { return r.firmware(txn) },
		func() error { return txn.Put(core.TableInventory, string(r.run.ID), r.inventory) },
		func() error {
			steps := boot(r.host.MAC)
			if r.run.State.AwaitsBoot() {
				steps = stuck(r.host.MAC)
			}

			return txn.Put(core.TableBoot, string(r.host.MAC), core.BootTrace{Steps: steps, Ladder: core.Ladder{Rung: core.LoaderSNPOnly, Worked: core.LoaderSNPOnly}, Homeward: core.Homeward{Way: core.HomeExit, Worked: core.HomeMissing}})
		},
		func() error {
			return txn.Put(core.TableArtifact, string(r.run.ID)+"/1", core.Artifact{
				ID: string(r.run.ID) + "/1", Run: r.run.ID, Stage: core.SMART, Name: r.run.HostName + "-smart.bin", Size: 40960,
				SHA256: strings.Repeat("5e", 32), Time: Now(),
			})
		},
		func() error {
			return txn.Emit(core.Event{Time: Now(), Kind: core.EventRun, Host: r.host.MAC, Run: r.run.ID, Data: data})
		},
	} {
		if err := step(); err != nil {
			return err
		}
	}

	return nil
}

func boot(mac core.MAC) []core.BootStep {
	at := Now().Add(-3 * time.Hour)

	return []core.BootStep{
		{Time: at, MAC: mac, Kind: "discover", Detail: "PXEClient:Arch:00007"},
		{Time: at.Add(2 * time.Millisecond), MAC: mac, Kind: "offer"},
		{Time: at.Add(40 * time.Millisecond), MAC: mac, Kind: "tftp", Detail: "snponly.efi", Bytes: 264192},
		{Time: at.Add(900 * time.Millisecond), MAC: mac, Kind: "script", Detail: "live image"},
		{Time: at.Add(1400 * time.Millisecond), MAC: mac, Kind: "initrd", Bytes: 31 << 20},
		{Time: at.Add(1500 * time.Millisecond), MAC: mac, Kind: "seed"},
		{Time: at.Add(6200 * time.Millisecond), MAC: mac, Kind: "hello", Detail: "the agent speaks, version 0.1.0"},
	}
}

// stuck is a boot that has come to a standstill: the boot program was sent, and nothing
// was heard of it.
func stuck(mac core.MAC) (steps []core.BootStep) {
	at := Now().Add(-95 * time.Second)
	client := core.BootClient{MAC: mac, Kind: core.ClientUEFI, Arch: 7, Vendor: "PXEClient:Arch:00007"}

	for i, kind := range []string{"discover", "offer", "request", "ack", "tftp-probe"} {
		steps = append(steps, core.BootStep{Time: at.Add(time.Duration(i) * 40 * time.Millisecond), MAC: mac, Kind: kind, Client: client})
	}

	return append(steps, core.BootStep{
		Time: at.Add(900 * time.Millisecond), MAC: mac, Kind: "tftp", Detail: "snponly.efi in 90ms (window of 4)", Bytes: 264192, Share: 100, Client: client,
	})
}

// shared writes a model class and a deleted host.
func shared(txn core.Txn, scene Scene) error {
	class := core.Class{Name: "r740-nvme", SpecYAML: "memory:\n  dimms:\n    count: 4\n", Notes: "the row by the window", Overrides: overrides(), UpdatedAt: Now(), UpdatedBy: "ada"}
	gone := host(55, "rack3-u1")
	gone.DeletedAt, gone.DeletedBy = Now().Add(-time.Hour), "ada"
	entry := core.Audit{
		Time: Now().Add(-time.Hour), Who: "ada", Action: "host.delete", Object: "host/" + string(gone.MAC), Host: gone.MAC, Text: "deleted rack3-u1",
	}

	if scene == Long {
		class.Name, gone.Name = long("class"), long("gone")
	}

	if scene == Hostile {
		class.Name, class.SpecYAML, class.Notes = Evil, "</textarea>"+Evil, Evil
		gone.Name, gone.DeletedBy, entry.Who, entry.Text, entry.Object, entry.Action = Evil, Evil, Evil, Evil, Evil, Evil
	}

	return errors.Join(
		installed(txn, scene), firmwareRules(txn, scene), sent(txn, scene), measured(txn, scene), txn.Put(core.TableClass, class.Name, class), txn.Put(core.TableTrash, string(gone.MAC), gone), core.WriteAudit(txn, entry))
}

// installed writes what is known of agents in the hosts' own systems.
func installed(txn core.Txn, scene Scene) error {
	at := Now().Add(-26 * time.Hour)
	known := []core.Presence{
		{Host: host(13, "").MAC, Online: true, Since: at, LastSeen: Now().Add(-20 * time.Second), AgentVersion: "0.1.0", Uptime: 50 * time.Hour, KeyID: strings.Repeat("1a", 16)},
		{Host: host(18, "").MAC, Since: Now().Add(-2 * time.Hour), LastSeen: Now().Add(-2 * time.Hour), AgentVersion: "0.1.0", Refusal: "ada is logged in on tty1"},
	}
	keys := []core.HostKey{
		{ID: strings.Repeat("1a", 16), Host: host(13, "").MAC, HostName: "rack3-u19", State: core.HostKeyApproved, DecidedAt: at, DecidedBy: "ada"},
		{ID: strings.Repeat("2b", 16), Host: host(18, "").MAC, HostName: "bench-1.lan", State: core.HostKeyPending},
		{ID: strings.Repeat("3c", 16), Host: host(13, "").MAC, HostName: "rack3-u19", State: core.HostKeyRevoked, DecidedAt: at, DecidedBy: "ada"},
	}

	if scene == Long {
		for i := range keys {
			keys[i].HostName = long("host")
		}
	}

	if scene == Hostile {
		known = []core.Presence{{Host: Host, Online: true, Since: at, LastSeen: at, AgentVersion: Evil, BootID: Evil, Refusal: Evil, KeyID: Evil}}
		keys = []core.HostKey{{ID: strings.Repeat("4d", 16), Host: Host, HostName: Evil, State: core.HostKeyPending, DecidedBy: Evil}}
	}

	var faults []error

	for i := range known {
		faults = append(faults, txn.Put(core.TablePresence, string(known[i].Host), known[i]))
	}

	for i := range keys {
		keys[i].CreatedAt, keys[i].Public = at, make([]byte, 32)
		keys[i].Fingerprint = "SHA256:" + strings.Repeat(keys[i].ID[:2], 21) + "A"
		faults = append(faults, txn.Put(core.TableHostKey, keys[i].ID, keys[i]))
	}

	return errors.Join(faults...)
}

func sightings(txn core.Txn, scene Scene) error {
	list := []core.Sighting{
		{MAC: "3c:ec:ef:00:17:a2", Vendor: "PXEClient:Arch:00007:UNDI:003016", Arch: "uefi-x64", UUID: "00000000-0000-0000-0000-3cecef0017a2", Count: 14},
		{MAC: "b4:96:91:aa:01:02", Vendor: "PXEClient:Arch:00000:UNDI:002001", Arch: "bios", Count: 3},
		{MAC: "00:1b:21:0a:0b:0c", Vendor: "PXEClient:Arch:00000:UNDI:002001", Arch: "bios", Count: 212, IgnoredAt: Now().Add(-50 * time.Hour), IgnoredBy: "ada"},
	}

	if scene == Long {
		list[0].Vendor = long("vendor")
	}

	if scene == Hostile {
		list = []core.Sighting{{MAC: "de:ad:be:ef:00:01", Vendor: Evil, Arch: Evil, UUID: Evil, Count: 1}, {MAC: "de:ad:be:ef:00:02", Vendor: Evil, IgnoredAt: Now(), IgnoredBy: Evil, Count: 1}}
	}

	for _, s := range list {
		s.FirstSeen, s.LastSeen = Now().Add(-40*time.Minute), Now().Add(-20*time.Second)

		if err := txn.Put(core.TableSighting, string(s.MAC), s); err != nil {
			return err
		}
	}

	return nil
}

// BatchName is the batch of all scenes but Empty.
const BatchName = "delivery-7"

// batches puts the runs of the scene, at most eight, into one batch.
func batches(txn core.Txn, rows []row, scene Scene) error {
	batch := core.Batch{Name: BatchName, CreatedAt: Now().Add(-6 * time.Hour), By: "ada"}
	if scene == Hostile {
		batch.By = Evil
	}

	for i := range rows {
		if rows[i].run == nil || len(batch.Runs) == 8 {
			continue
		}

		// As it stands by now: what was measured has changed one of them.
		var run core.Run
		if err := txn.Get(core.TableRun, string(rows[i].run.ID), &run); err != nil {
			return fmt.Errorf("reading a run of the batch: %w", err)
		}

		run.Batch = batch.Name
		batch.Runs = append(batch.Runs, run.ID)

		if err := txn.Put(core.TableRun, string(run.ID), run); err != nil {
			return fmt.Errorf("putting a run into the batch: %w", err)
		}
	}

	return txn.Put(core.TableBatch, batch.Name, batch)
}

// Play lets the run of the scene go on at each tick: its stage advances, and when
// it is over the run fails and is held.
func Play(ctx context.Context, ledger core.Ledger, bell interface{ Ring(seq uint64) }, ticks <-chan time.Time) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks:
		}

		seq, err := ledger.Update(ctx, step)
		if err != nil {
			return fmt.Errorf("playing on: %w", err)
		}

		bell.Ring(seq)
	}
}

// step advances the run of the scene.
func step(txn core.Txn) error {
	var run core.Run

	if err := txn.Get(core.TableRun, string(Run), &run); err != nil {
		return err
	}

	i := run.StageAt(core.StageName(run.State))
	if i < 0 {
		return nil
	}

	st := &run.Stages[i]
	st.Progress += 0.02

	if st.Progress >= 1 {
		st.Phase, st.Verdict, st.Progress, st.EndedAt, st.Findings = core.Done, core.Fail, 1, Now(), []core.Finding{pending("7C9F1R3")}
		run.State, run.Verdict = core.StateFailedHolding, core.Fail
	}

	if err := txn.Put(core.TableRun, string(Run), run); err != nil {
		return err
	}

	return txn.Emit(core.Event{Time: Now(), Kind: core.EventStage, Host: run.Host, Run: run.ID, Data: json.RawMessage("{}")})
}

// Log is a run log in memory: the same lines for every run.
type Log []core.LogLine

// Lines returns the log of a scene.
func Lines(scene Scene) Log {
	if scene == Empty {
		return nil
	}

	texts := []struct{ level, stage, text string }{
		{"info", "InventoryCheck", "reading SMBIOS: 2 CPUs, 4 of 6 memory slots"},
		{"info", "InventoryCheck", "2 disks, 2 ports"},
		{"info", "Firmware", "BIOS 2.17.2, microcode 0x2007006"},
		{"warn", "Firmware", "ESRT is not there: not booted by UEFI"},
		{"info", "SMART", "sda: short self-test started, 2 min"},
		{"error", "SMART", "sda: Current_Pending_Sector is 38"},
	}
	if scene == Hostile {
		texts = append(texts, struct{ level, stage, text string }{Evil, Evil, Evil})
	}

	log := Log{}
	for i, t := range texts {
		log = append(log, core.LogLine{
			Seq: uint64(i + 1), Time: Now().Add(time.Duration(i-len(texts)) * time.Second), Level: t.level, Stage: core.StageName(t.stage), Text: t.text, //nolint:gosec // small
		})
	}

	return log
}

// ReadLog is ui.Logs.
func (l Log) ReadLog(_ context.Context, _ core.RunID, after uint64, limit int) ([]core.LogLine, error) {
	if after >= uint64(len(l)) {
		return nil, nil
	}

	rest := l[after:]

	return rest[:min(limit, len(rest))], nil
}

// Files is ui.Artifacts: every file but the photo has the same few bytes.
type Files struct{}

// OpenArtifact opens a file.
func (Files) OpenArtifact(_ context.Context, sum string) (io.ReadCloser, error) {
	if sum == PictureSum() {
		return io.NopCloser(bytes.NewReader(Picture())), nil
	}

	return io.NopCloser(strings.NewReader(strings.Repeat("x", 40960))), nil
}

// KeepArtifact takes a file and forgets it.
func (Files) KeepArtifact(_ context.Context, body io.Reader, _ int64) (string, int64, error) {
	hash := sha256.New()
	size, err := io.Copy(hash, body)

	return hex.EncodeToString(hash.Sum(nil)), size, err
}

// Profiles are those of the scene.
func Profiles() []core.Profile {
	return []core.Profile{
		{
			Name: "quick", Description: "what the machine is and how its disks feel, about 40 minutes", Scale: 1, Stages: quick(),
			Rules: []core.Rule{{ID: "disk-temperature", Stage: "SMART", Key: "disk/*/temperature_celsius", Op: core.OpLTE, Value: 55, Severity: core.Warning, For: 10 * time.Second}},
		},
		{Name: "ci", Description: "the same, shortened for virtual hosts", Scale: 0.05, Stages: quick()},
	}
}

func quick() []core.StageName {
	return []core.StageName{core.InventoryCheck, core.Firmware, core.SpecValidate, core.SMART, core.Reporting}
}
