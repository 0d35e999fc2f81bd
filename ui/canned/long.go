package canned

import (
	"fmt"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/problem"
)

// longest is how many letters the names of the scene Long have. What people call things is
// rarely longer, and what firmware says of itself is cut at 64 in most of its tables.
const longest = 80

// long is a name that begins with something and cannot be broken anywhere.
func long(what string) string {
	return (what + strings.Repeat("0123456789abcdef", longest/16))[:longest]
}

// LongProfiles are profiles with a name as long as it may be.
func LongProfiles() []core.Profile {
	p := Profiles()[0]
	p.Name, p.Description = long("profile-")[:64], long("description")

	return []core.Profile{p}
}

// longNames is a machine that is held and one that has passed with a warning, with forty
// disks each; whatever has a name has a long one.
func longNames() []row {
	held, passed := longRow(11, core.StateFailedHolding, core.Fail), longRow(13, core.StateCompleted, core.Pass)

	st := &held.run.Stages[3]
	st.Verdict, st.SubSteps[7].Verdict = core.Fail, core.Fail
	st.Findings = []core.Finding{problem.Finding("smart/pending-sectors", "", core.SMART, st.SubSteps[7].Part, "Current_Pending_Sector is 38, limit 0: "+long("evidence"))}
	held.run.Hold = &core.Hold{OpenedAt: Now(), Epoch: 1, Fingerprint: "SHA256:" + long("key")[:43], TakenAt: Now(), TakenBy: long("operator")}
	held.run.Deadline = Now().Add(23 * time.Hour)
	held.run.Stages[2].Diffs = []core.SpecDiff{{Path: "disks[1]." + long("path"), Expected: long("expected"), Actual: long("actual"), Severity: core.Warning, Part: st.SubSteps[1].Part}}

	st = &passed.run.Stages[3]
	st.Findings = []core.Finding{problem.Finding("firmware/versions-differ", core.Warning, core.SMART, st.SubSteps[3].Part, long("evidence"))}

	return []row{held, passed, {host: longHost(18)}}
}

func longHost(n byte) core.Host {
	h := host(n, long(fmt.Sprint("host-", n, "-")))
	h.Rack, h.AssetTag, h.Class, h.Tags, h.Notes = long("rack"), long("asset"), long("class"), []string{long("tag"), long("label")}, long("note")
	h.Power = core.Power{Method: core.PowerRedfish, BMC: core.BMC{Address: long("bmc") + ".example", User: long("user"), System: long("system"), PasswordSet: true}}
	h.Overrides = core.Override{Config: map[string]string{"SMART.self_test": long("value")}, Skip: map[core.StageName]string{core.GPU: long("reason")}}

	return h
}

func longRow(n byte, state core.State, verdict core.Verdict) row {
	run := over(begun(n, time.Hour, 5), state, verdict)
	run.Profile.Name, run.Operator = LongProfiles()[0].Name, long("operator")
	run.Agent.Version, run.Agent.Kernel = long("agent"), long("kernel")

	inventory := server(long("maker"), long("product"), long("serial"))
	inventory.Chassis.AssetTag, inventory.BIOS.Version, inventory.Disks = long("asset"), long("bios"), nil

	for i := range inventory.DIMMs {
		inventory.DIMMs[i].Slot, inventory.DIMMs[i].PartNumber = long(inventory.DIMMs[i].Slot+"-"), long("part")
	}

	for i := range 40 {
		part := core.Part{Kind: "disk", Slot: long(fmt.Sprint("bay", i+1, "-")), Model: long("model"), Serial: long(fmt.Sprint("serial", i+1, "-"))}
		inventory.Disks = append(inventory.Disks, core.Disk{
			Name: fmt.Sprint("sd", string(rune('a'+i/26)), string(rune('a'+i%26))), Transport: "sas", Model: part.Model, Serial: part.Serial, Bay: part.Slot,
			WWN: "5000c500a1b2c3d4", Firmware: long("firmware"), SizeBytes: 14_000_519_643_136,
		})
		run.Stages[3].SubSteps = append(run.Stages[3].SubSteps, core.SubStep{Name: part.Slot, Part: part, Verdict: core.Pass, Summary: long("summary"), Progress: 1})
		run.Stages[3].Meters = append(run.Stages[3].Meters, diskMeter(i, part.Serial))
		run.Armed = append(run.Armed, part.Serial)
	}

	run.Stages[3].Coverage = long("coverage")

	return row{longHost(n), run, inventory}
}
