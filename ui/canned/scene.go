package canned

import (
	"net/netip"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/report"
)

// rack is a rack at work: something of everything.
func rack() []row {
	running := at(begun(11, 3*time.Minute, 3), 3, 0.62, 72*time.Second, "sda: short self-test")
	running.Stages[1].Findings = []core.Finding{differing()}
	running.Stages[3].SubSteps = []core.SubStep{
		{Name: "nvme0n1", Part: core.Part{Kind: "disk", Slot: "nvme0n1", Serial: "S64G7C9F1R3"}, Verdict: core.Pass, Summary: "3 % worn, 0 media errors, 34 °C", Progress: 1},
	}

	held := specMismatch(12)
	passed := over(begun(13, 4*time.Hour, 5), core.StateCompleted, core.Pass) // with a warning: see measured
	passed.Stages[3].Evaluations = []core.Evaluation{{Rule: "disk-temperature", Key: "disk/ZC1A7C9F1R3/temperature_celsius", Value: 34, Limit: "lte 55", Verdict: core.Pass, Severity: core.Warning}}

	failed := over(begun(14, 5*time.Hour, 4), core.StateReleased, core.Fail)
	failed.Stages[3].Verdict, failed.Stages[3].Findings = core.Fail, []core.Finding{pending("CZ3310")}

	sound := over(begun(15, 6*time.Hour, 5), core.StateCompleted, core.Pass)

	booting := begun(16, 2*time.Minute, 0)
	booting.Epoch, booting.Deadline, booting.LastBeat = 0, Now().Add(13*time.Minute), time.Time{}

	queued := begun(17, 0, 0)
	queued.State, queued.StartedAt, queued.Epoch, queued.LastBeat = core.StateQueued, time.Time{}, 0, time.Time{}

	cancelled := over(begun(19, 30*time.Hour, 2), core.StateCancelled, core.Cancelled)

	tagged := host(13, "rack3-u19")
	tagged.Rack, tagged.AssetTag, tagged.Class, tagged.Tags = "B07/U19", "A-10443", "r740-nvme", []string{"lab", "gpu"}
	tagged.Overrides = core.Override{Config: map[string]string{"SMART.self_test": "none"}}
	tagged.Power = core.Power{
		Method: core.PowerRedfish, Then: []core.PowerMethod{core.PowerIPMI, core.PowerAgent},
		BMC: core.BMC{Address: "10.0.3.19", User: "vetting", System: "System.Embedded.1", Pin: strings.Repeat("9f", 32), PasswordSet: true},
	}

	return []row{
		{host(11, "rack3-u17"), running, server("Dell Inc.", "PowerEdge R740", "7C9F1R3")},
		{host(12, "rack3-u18"), held, server("Dell Inc.", "PowerEdge R740", "7C9F1R4")},
		{tagged, passed, server("Dell Inc.", "PowerEdge R740", "7C9F1R5")},
		{host(14, "rack3-u20"), failed, server("HPE", "ProLiant DL380 Gen10", "CZ3310")},
		{host(15, "rack3-u21"), sound, server("HPE", "ProLiant DL380 Gen10", "CZ3311")},
		{host(16, "rack3-u9"), booting, core.Inventory{}},
		{host(17, "rack3-u10"), queued, core.Inventory{}},
		{host: host(18, "bench-1")},
		{host(19, "bench-2-with-a-name-that-is-rather-long-for-a-tile"), cancelled, server("LENOVO", "ThinkCentre M920q", "MJ0A")},
	}
}

func specMismatch(n byte) *core.Run {
	run := over(begun(n, 20*time.Minute, 3), core.StateFailedHolding, core.Fail)
	finding, diffs := missingDIMM()
	run.Deadline = Now().Add(23*time.Hour + 40*time.Minute)
	run.Hold = &core.Hold{OpenedAt: Now(), Epoch: 1, Addr: netip.MustParseAddr("10.77.0.50"), Fingerprint: "SHA256:canned", PublicKey: "ssh-ed25519 AAAA"}
	run.Stages[2].Verdict, run.Stages[2].Findings, run.Stages[2].Diffs = core.Fail, []core.Finding{finding}, diffs
	run.Stages[2].Coverage = "12 of 14 fields match"

	return run
}

// trouble is a rack where everything waits for a person.
func trouble() []row {
	lost := over(begun(12, time.Hour, 1), core.StateFailedHolding, core.Error)
	lost.LastBeat = Now().Add(-20 * time.Minute)
	lost.Stages[1] = core.Stage{Name: core.Firmware, Phase: core.Done, Verdict: core.Error, Attempt: 2, StartedAt: lost.StartedAt, EndedAt: lost.StartedAt.Add(time.Minute)}
	lost.Findings = []core.Finding{problem.Finding("run/lost-contact", core.Critical, "", core.Part{}, "last heartbeat 12:21:07 UTC in Firmware")}

	foreign := storageHeld(14)

	impostor := host(13, "rack3-u19")
	impostor.Quarantine = "Another machine answered under this address: SMBIOS UUID 4c4c4544-0043-3910-8046-b7c04f523199 instead of …13."

	return []row{
		{host(11, "rack3-u17"), specMismatch(11), server("Dell Inc.", "PowerEdge R740", "7C9F1R3")},
		{host(12, "rack3-u18"), lost, server("Dell Inc.", "PowerEdge R740", "7C9F1R4")},
		{host: impostor},
		{host(14, "rack3-u20"), foreign, server("Dell Inc.", "PowerEdge R740", "7C9F1R6")},
	}
}

// hostile is a machine, an agent and a name that want to be markup.
func hostile() row {
	run := over(begun(11, time.Hour, 4), core.StateFailedHolding, core.Fail)
	evilPart := core.Part{Kind: Evil, Slot: Evil, Model: Evil, Serial: Evil}

	for i := range run.Stages {
		st := &run.Stages[i]
		st.Coverage, st.SkipReason, st.SubStep = Evil, Evil, Evil
		st.Findings = []core.Finding{{Code: Evil, Severity: core.Critical, Title: Evil, Part: evilPart, Evidence: Evil, Next: Evil}}
		st.Meters = []core.Meter{{Part: evilPart, Step: Evil, Walks: []core.Walk{{Name: Evil}}}}
		st.SubSteps = []core.SubStep{{Name: Evil, Part: evilPart, Verdict: core.Fail, Summary: Evil}}
		st.Evaluations = []core.Evaluation{{Rule: Evil, Key: Evil, Limit: Evil, Verdict: core.Fail, Severity: core.Critical}}
	}

	run.Stages[2].Diffs = []core.SpecDiff{{Path: Evil, Expected: Evil, Actual: Evil, Severity: core.Critical, Part: evilPart}}
	run.Profile.Name, run.Operator, run.SpecYAML = Evil, Evil, Evil
	run.Armed = []string{Evil}
	run.Agent = core.AgentInfo{Version: Evil, Kernel: Evil, Firmware: Evil, IP: Evil, ImageID: Evil}

	h := host(11, Evil)
	h.Notes, h.SpecYAML, h.Quarantine = Evil, "</textarea>"+Evil, Evil
	h.Rack, h.AssetTag, h.Class, h.Tags = Evil, Evil, Evil, []string{Evil}
	h.Power.BMC.Address, h.Power.BMC.User, h.Power.Webhook.URL = Evil, Evil, Evil
	h.Power.Method, h.Power.Then, h.Power.BMC.System, h.Power.BMC.Pin = core.PowerIPMI, []core.PowerMethod{core.PowerMethod(Evil)}, Evil, Evil
	h.Overrides = core.Override{
		Rules: []core.Rule{{ID: Evil, Stage: Evil, Key: Evil, Of: Evil, Code: Evil}}, Config: map[string]string{Evil: Evil},
		Skip: map[core.StageName]string{core.GPU: Evil},
	}
	run.Hold = &core.Hold{Addr: netip.MustParseAddr("10.77.0.50"), HostKey: Evil, Fingerprint: Evil, PublicKey: Evil, TakenAt: Now(), TakenBy: Evil}
	h.Identity = core.Identity{SMBIOSUUID: Evil, BoardSerial: Evil}

	return row{h, run, evilInventory()}
}

// waived bears with the first finding of a run.
func waived(txn core.Txn, r *row, scene Scene) error {
	f := report.Findings(r.run, nil, Now())[0]
	w := core.Waiver{
		ID: string(id(90)), Host: r.host.MAC, Run: r.run.ID, Finding: f.ID, Code: f.Code, Severity: f.Severity, Stage: f.Stage, Title: f.Title, Part: f.Part,
		Reason: "the disk is on order and comes on Monday", By: "otto", At: Now().Add(-time.Hour), Until: Now().Add(9 * 24 * time.Hour),
	}

	if scene == Hostile {
		w.Reason, w.By = Evil, Evil
	}

	return txn.Put(core.TableWaiver, core.WaiverKey(w.Host, w.ID), w)
}

// overrides is something of each kind.
func overrides() core.Override {
	return core.Override{
		Rules: []core.Rule{{
			ID: "disk-temperature", Stage: "SMART", Key: "disk/*/temperature_celsius", Op: core.OpLTE, Value: 50, Severity: core.Critical,
			For: 30 * time.Second,
		}},
		Config: map[string]string{"SMART.self_test": "short"},
		Skip:   map[core.StageName]string{core.GPU: "this model has none"},
	}
}

// storageHeld is a run that failed in Storage with disks armed.
func storageHeld(n byte) *core.Run {
	run := over(begun(n, time.Hour, 4), core.StateFailedHolding, core.Fail)
	run.Stages[3].Name, run.Stages[3].Verdict = core.Storage, core.Fail
	run.Stages[3].Findings = []core.Finding{pending("7C9F1R6")}
	run.Armed, run.Deadline = []string{"S64G7C9F1R6", "ZC1A7C9F1R6"}, Now().Add(23*time.Hour)

	return run
}
