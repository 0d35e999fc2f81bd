package canned

import (
	"slices"
	"strings"
	"time"

	"vetting/core"
)

// baseline is the text of rules in the full scene.
const baseline = "rules:\n  - id: r740-bios\n    system: PowerEdge R740\n    part: board\n    min: 2.17.0\n" +
	"    why: Older versions lose the second socket's memory after a warm restart.\n" +
	"  - id: exos-disks\n    part: disk\n    model: \"ST4000NM000A*\"\n    exact: SN03\n    severity: critical\n"

// firmware writes what the run found of firmware, and what came of it. Of the hosts one
// has an older BIOS, and one a disk that is off the baseline.
func (r *row) firmware(txn core.Txn) error {
	if len(r.inventory.Firmware) == 0 {
		return nil
	}

	items := slices.Clone(r.inventory.Firmware)
	system := &r.inventory.System
	s := core.FirmwareSnapshot{
		Host: r.host.MAC, HostName: r.host.Name, Run: r.run.ID, At: Now().Add(-time.Hour), Class: r.host.Class,
		Model: strings.TrimSpace(system.Manufacturer + " " + system.Product), Items: items,
		Settings: []core.FirmwareSetting{
			{Part: core.Part{Kind: "cpu"}, Group: "vulnerability", Name: "mds", Value: "Mitigation: Clear CPU buffers; SMT vulnerable"},
			{Part: core.Part{Kind: "board"}, Group: "platform", Name: "secure-boot", Value: "on"},
		},
	}

	switch r.host.Name {
	case "rack3-u18":
		items[0].Version, items[0].Date = "2.10.2", "2021-02-24"
		r.inventory.BIOS.Version, r.inventory.BIOS.Date = items[0].Version, items[0].Date
	case "rack3-u20":
		items[2].Part.Model = "ST4000NM000A-2HZ100"
	}

	r.inventory.Firmware = items

	for i := range items {
		item := &items[i]
		check := core.FirmwareCheck{From: "baseline", Part: item.Part, Name: item.Name, Version: item.Version, Verdict: core.Pass}

		switch {
		case item.Name == "BIOS":
			check.Rule, check.Kind, check.Want = "r740-bios", "min", "2.17.0 or later"
			if item.Version == "2.10.2" {
				check.Verdict, check.Severity = core.Fail, core.Warning
			}
		case item.Part.Model != "":
			check.Rule, check.Kind, check.Want, check.Verdict, check.Severity = "exos-disks", "exact", "SN03", core.Fail, core.Critical
		default:
			continue
		}

		s.Checks = append(s.Checks, check)
	}

	if system.Product == Evil {
		s.Class, s.Settings[0].Name, s.Settings[0].Value, s.Settings[0].Group = Evil, Evil, Evil, Evil
		s.Checks = []core.FirmwareCheck{{Rule: Evil, From: Evil, Kind: Evil, Part: items[0].Part, Name: Evil, Version: Evil, Want: Evil, Note: Evil, Verdict: core.Fail, Severity: core.Critical}}
	}

	if err := txn.Put(core.TableFirmware, "run/"+string(r.run.ID), s); err != nil {
		return err
	}

	return txn.Put(core.TableFirmware, "host/"+string(r.host.MAC), map[string]any{"run": r.run.ID, "at": s.At})
}

// firmwareRules writes the baseline that was set.
func firmwareRules(txn core.Txn, scene Scene) error {
	b := core.FirmwareBaseline{Text: baseline, Digest: strings.Repeat("7c", 32), SetAt: Now().Add(-48 * time.Hour), SetBy: "ada"}
	if scene == Hostile {
		b.Text, b.SetBy = "</textarea>"+Evil, Evil
	}

	return txn.Put(core.TableBaseline, "current", b)
}
