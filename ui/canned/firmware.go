package canned

import (
	"vetting/core"
)

// firmware writes what the run found of firmware, and what came of it: the disk is off
// the baseline, the board is not.
func (r *row) firmware(txn core.Txn) error {
	items := r.inventory.Firmware
	if len(items) == 0 {
		return nil
	}

	s := core.FirmwareSnapshot{
		Host: r.host.MAC, HostName: r.host.Name, Run: r.run.ID, At: Now(), Class: r.host.Class,
		Model: r.inventory.System.Manufacturer + " " + r.inventory.System.Product, Items: items,
		Settings: []core.FirmwareSetting{{Part: items[0].Part, Group: "platform", Name: "secure-boot", Value: "on"}},
	}

	for i := range items {
		check := core.FirmwareCheck{
			Rule: "bios", From: "baseline", Kind: "min", Part: items[i].Part, Name: items[i].Name, Version: items[i].Version, Want: "2.10.0 or later", Verdict: core.Pass,
		}
		if i > 0 {
			check.Rule, check.Want, check.Verdict, check.Severity = "disks-of-2024", "SN03 or later", core.Fail, core.Warning
		}

		s.Checks = append(s.Checks, check)
	}

	if r.inventory.System.Product == Evil {
		s.Class, s.Settings[0].Name, s.Settings[0].Value = Evil, Evil, Evil
		s.Checks[0].Rule, s.Checks[0].Want, s.Checks[0].Note, s.Checks[0].Verdict = Evil, Evil, Evil, core.Fail
	}

	if err := txn.Put(core.TableFirmware, "run/"+string(r.run.ID), s); err != nil {
		return err
	}

	return txn.Put(core.TableFirmware, "host/"+string(r.host.MAC), map[string]any{"run": r.run.ID, "at": Now()})
}
