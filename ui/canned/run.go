package canned

import (
	"strings"
	"time"

	"vetting/core"
	"vetting/core/problem"
)

// plan is the quick profile's stages of which the first n are over.
func plan(n int, started time.Time) []core.Stage {
	took := []time.Duration{58 * time.Second, 21 * time.Second, time.Second, 124 * time.Second, time.Second}
	coverage := []string{"2 CPUs, 4 of 6 memory slots, 2 disks, 2 ports", "3 versions read", "14 of 14 fields match", "2 of 2 disks, short self-test", ""}
	at := started

	var stages []core.Stage

	for i, name := range quick() {
		st := core.Stage{Name: name, Phase: core.Pending}
		if i < n {
			st = core.Stage{
				Name: name, Phase: core.Done, Verdict: core.Pass, Attempt: 1, Progress: 1, Coverage: coverage[i], StartedAt: at, EndedAt: at.Add(took[i]),
			}
			at = st.EndedAt
		}

		stages = append(stages, st)
	}

	return stages
}

// id numbers runs and hosts alike.
func id(n byte) core.RunID {
	return Run[:24] + core.RunID([]byte{'0' + n/10, '0' + n%10})
}

func host(n byte, name string) core.Host {
	mac := []byte(Host)
	mac[15], mac[16] = '0'+n/10, '0'+n%10

	rack := ""
	if shelf, unit, ok := strings.Cut(name, "-u"); ok {
		rack = shelf + "/U" + unit
	}

	return core.Host{
		MAC: core.MAC(mac), Name: name, Rack: rack, Power: core.Power{Method: core.PowerManual}, CreatedAt: Now().Add(-48 * time.Hour), UpdatedAt: Now(),
		Identity: core.Identity{SMBIOSUUID: "4c4c4544-0043-3910-8046-b7c04f5231" + string(mac[15:]), BoardSerial: "CN7C9F1R" + string(mac[15:])},
		SpecYAML: "cpus:\n  count: 2\nmemory:\n  total: 64 GiB\n  dimms: 4\n",
	}
}

// begun is a run that started some time ago.
func begun(n byte, ago time.Duration, done int) *core.Run {
	start := Now().Add(-ago)

	return &core.Run{
		ID: id(n), Profile: Profiles()[0], Rules: Profiles()[0].Rules, SpecYAML: "cpus: {count: 2}\n", Stages: plan(done, start.Add(30*time.Second)),
		State: core.StateBooting, Epoch: 1, BootID: "b", CreatedAt: start.Add(-5 * time.Second), StartedAt: start, UpdatedAt: Now(),
		LastBeat: Now().Add(-4 * time.Second), Operator: "ada",
		Agent: core.AgentInfo{Version: "0.1.0", Protocol: 1, Kernel: "6.12.48+deb13-amd64", Firmware: "uefi", ImageID: Appliance().ImageID},
	}
}

// at puts a run into its nth stage.
func at(run *core.Run, n int, progress float64, eta time.Duration, sub string) *core.Run {
	st := &run.Stages[n]
	run.State = core.State(st.Name)
	*st = core.Stage{
		Name: st.Name, Phase: core.Active, Attempt: 1, Progress: progress, ETA: eta, SubStep: sub, StartedAt: Now().Add(-time.Minute),
	}

	return run
}

func over(run *core.Run, state core.State, verdict core.Verdict) *core.Run {
	run.State, run.Verdict = state, verdict
	run.EndedAt = run.StartedAt.Add(4 * time.Minute)

	if state == core.StateFailedHolding {
		run.EndedAt = time.Time{}
	}

	return run
}

// pending is of the rotating disk of the machine with a serial number.
func pending(machine string) core.Finding {
	return problem.Finding("smart/pending-sectors", "", core.SMART,
		core.Part{Kind: "disk", Slot: "sda", Model: "ST4000NM000A-2HZ100", Serial: "ZC1A" + machine},
		"Current_Pending_Sector is 38, limit 0")
}

func differing() core.Finding {
	return problem.Finding("firmware/versions-differ", "", core.Firmware,
		core.Part{Kind: "disk", Slot: "sda", Model: "ST4000NM000A-2HZ100", Serial: "ZC1A7C9F1R3"},
		"sda runs SN02, sdb runs SN04")
}

func missingDIMM() (core.Finding, []core.SpecDiff) {
	finding := problem.Finding("spec/dimm-missing", "", core.SpecValidate, core.Part{Kind: "dimm", Slot: "A3"},
		"memory.dimms.count: expected 5, found 4; empty slots: A3, A4")
	diffs := []core.SpecDiff{
		{Path: "memory.dimms.count", Expected: "5", Actual: "4", Severity: core.Critical, Part: core.Part{Kind: "dimm"}},
		{Path: "memory.dimms[A2].speed", Expected: "2933 MT/s", Actual: "2666 MT/s", Severity: core.Warning, Part: core.Part{Kind: "dimm", Slot: "A2"}},
		{Path: "disks[1].wwn", Expected: "eui.36344730546026830025384500000001", NotReported: true, Severity: core.Info},
	}

	return finding, diffs
}
