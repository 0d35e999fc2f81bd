// Package report turns a run and everything written about it into what a person
// may rely on. It is data only: ui/report draws it as HTML and JSON.
//
// Its one law: a report never reads as pass unless each stage of the plan passed
// or is a skip with a declared reason; and whatever was not tested is said.
package report

import (
	"math"
	"slices"
	"time"

	"vetting/core"
	"vetting/core/profile"
	"vetting/core/retention"
)

// Schema names the shape of Report in JSON; it changes when a field changes its
// meaning or goes away.
const Schema = "vetting.report/1"

// Input is what a report is made of. Inventory is the zero value when the run
// never got as far as reading it.
type Input struct {
	Host      core.Host
	Run       core.Run
	Inventory core.Inventory
	Checks    []core.FirmwareCheck
	Waivers   []core.Waiver // of the host, whether they count now or not
	Notes     []core.Note   // likewise; those of other runs are left out
	Appliance Appliance
	Retention *retention.Policy // in force now; nil: the report does not say what becomes of raw data
	Now       time.Time
}

// Appliance is the appliance that did the vetting and the software it served.
type Appliance struct {
	ID            string `json:"id,omitempty"`             // stable for the life of its ledger
	Name          string `json:"name,omitempty"`           // host name, for people
	Version       string `json:"version,omitempty"`        // of the vetting binary
	BinarySHA256  string `json:"binary_sha256,omitempty"`  // of the vetting binary
	ImageID       string `json:"image_id,omitempty"`       // SHA-256 of the boot image's manifest
	KernelVersion string `json:"kernel_version,omitempty"` // of the boot image
	KernelSHA256  string `json:"kernel_sha256,omitempty"`
	InitrdSHA256  string `json:"initrd_sha256,omitempty"`
	TransportNote string `json:"transport_note,omitempty"` // how the image reached the host; empty: plain HTTP
}

// Report is everything worth handing over about one run. Times are UTC with
// millisecond precision. Slices are never nil, so that JSON has [] for none.
type Report struct {
	Schema      string       `json:"schema"`
	GeneratedAt time.Time    `json:"generated_at"`
	Preliminary bool         `json:"preliminary"` // the run is not decided yet
	Verdict     Verdict      `json:"verdict"`
	Summary     string       `json:"summary"` // one sentence
	Host        Host         `json:"host"`
	Run         Run          `json:"run"`
	NotTested   []Gap        `json:"not_tested"`
	Coverage    []Coverage   `json:"coverage"`
	Findings    []Finding    `json:"findings"`
	Stages      []Stage      `json:"stages"`
	Components  []Component  `json:"components"`
	Firmware    []Firmware   `json:"firmware"`
	Checks      []Check      `json:"firmware_checks,omitempty"` // what the firmware was held against
	SpecDiffs   []SpecDiff   `json:"spec_diffs"`
	SpecGiven   bool         `json:"spec_given"` // an expected spec was there to compare with
	Evaluations []Evaluation `json:"evaluations"`
	Notes       []Note       `json:"notes,omitempty"` // that people wrote about the run
	Software    []Digest     `json:"software"`
	Boot        string       `json:"boot_integrity"` // how far the booted software can be trusted
	Appliance   Appliance    `json:"appliance"`
	Retention   *Retention   `json:"retention,omitempty"` // absent: nobody said what becomes of raw data, as in the first reports
	Signature   *Signature   `json:"signature,omitempty"` // of all the rest; absent: nobody vouches for it
}

// Signature vouches for a report: Ed25519 over its canonical JSON (RFC 8785) without
// the member value of this object.
type Signature struct {
	Algorithm   string `json:"algorithm"`             // "Ed25519"
	Key         string `json:"key"`                   // public, 32 bytes in base64
	Fingerprint string `json:"fingerprint"`           // core.KeyFingerprint of Key
	PageSHA256  string `json:"page_sha256,omitempty"` // in a page: of all of it around this JSON
	Value       string `json:"value,omitempty"`       // the signature, 64 bytes in base64
}

// Host is the machine under test as it was known when the report was written.
type Host struct {
	MAC          core.MAC `json:"mac"`
	Name         string   `json:"name"`
	Manufacturer string   `json:"manufacturer,omitempty"`
	Product      string   `json:"product,omitempty"`
	Serial       string   `json:"serial,omitempty"`
	AssetTag     string   `json:"asset_tag,omitempty"`
	UUID         string   `json:"smbios_uuid,omitempty"`
	BoardSerial  string   `json:"board_serial,omitempty"`
	BootMode     string   `json:"boot_mode,omitempty"` // "bios" or "uefi"
	SecureBoot   bool     `json:"secure_boot"`
	Quarantine   string   `json:"quarantine,omitempty"`
	Notes        string   `json:"notes,omitempty"`
}

// Run is the run in short.
type Run struct {
	ID         core.RunID   `json:"id"`
	State      core.State   `json:"state"`
	Verdict    core.Verdict `json:"verdict,omitempty"` // as the engine decided it
	Profile    string       `json:"profile"`
	Scale      float64      `json:"scale"`                // 1: full durations
	ScaleNote  string       `json:"scale_note,omitempty"` // set when Scale is not 1
	AfterRun   string       `json:"after_run,omitempty"`  // what the machine does then, in words; of a run that has passed
	Operator   string       `json:"operator,omitempty"`
	Armed      []string     `json:"armed_disks"`
	Boots      int          `json:"boots"` // how often the agent claimed the run
	CreatedAt  time.Time    `json:"created_at,omitzero"`
	StartedAt  time.Time    `json:"started_at,omitzero"`
	EndedAt    time.Time    `json:"ended_at,omitzero"`
	DurationS  int64        `json:"duration_s"` // started to ended, or to the report
	RulesCount int          `json:"rules"`
}

// Stage is one row of the plan.
type Stage struct {
	Name      core.StageName `json:"name"`
	Phase     core.Phase     `json:"phase"`
	Verdict   core.Verdict   `json:"verdict,omitempty"`
	Reason    string         `json:"reason,omitempty"` // of a skip
	Attempt   int            `json:"attempt"`
	StartedAt time.Time      `json:"started_at,omitzero"`
	EndedAt   time.Time      `json:"ended_at,omitzero"`
	DurationS int64          `json:"duration_s"`
	Coverage  string         `json:"coverage,omitempty"`
	Warnings  int            `json:"warnings"`
	Criticals int            `json:"criticals"`

	// Of both, those that somebody bears with.
	WarningsWaived  int `json:"warnings_waived,omitempty"`
	CriticalsWaived int `json:"criticals_waived,omitempty"`

	SubSteps []SubStep `json:"sub_steps"`
	Earlier  []Attempt `json:"earlier,omitempty"` // attempts before this one, as they ended
}

// Attempt is core.Attempt.
type Attempt = core.Attempt

// SubStep is a part of a stage: a disk, a NIC.
type SubStep struct {
	Name    string       `json:"name"`
	Part    core.Part    `json:"part"`
	Verdict core.Verdict `json:"verdict"`
	Summary string       `json:"summary,omitempty"`
}

// Coverage is what a stage says it has tested.
type Coverage struct {
	Stage core.StageName `json:"stage"`
	Text  string         `json:"text"`
}

// Finding is core.Finding with the stage always named, or empty for the run as
// a whole.
type Finding = core.Finding

// SpecDiff is core.SpecDiff.
type SpecDiff = core.SpecDiff

// Evaluation is a rule applied to what was measured, in its stage. Value is null
// when there was nothing to measure.
type Evaluation struct {
	Stage    core.StageName `json:"stage"`
	Rule     string         `json:"rule"`
	Key      string         `json:"key"`
	Value    *float64       `json:"value"`
	Limit    string         `json:"limit"`
	Verdict  core.Verdict   `json:"verdict"`
	Severity core.Severity  `json:"severity"`
	Series   *Series        `json:"series,omitempty"` // absent: nothing was measured, or it is not known any more
}

// NewEvaluation puts e into its stage.
func NewEvaluation(stage core.StageName, e core.Evaluation) Evaluation {
	out := Evaluation{Stage: stage, Rule: e.Rule, Key: e.Key, Limit: e.Limit, Verdict: e.Verdict, Severity: e.Severity}

	if !math.IsNaN(e.Value) && !math.IsInf(e.Value, 0) {
		out.Value = &e.Value
	}

	return out
}

// Firmware is the version of one piece of firmware.
type Firmware = core.FirmwareItem

// Check is one rule held against one piece of firmware.
type Check = core.FirmwareCheck

// Digest names one piece of software that took part.
type Digest struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	SHA256  string `json:"sha256,omitempty"`
}

// Build writes the report. It is pure: the same input gives the same report.
func Build(in Input) Report {
	findings := Findings(&in.Run, in.Waivers, in.Now)

	r := Report{
		Schema:      Schema,
		GeneratedAt: stamp(in.Now),
		Preliminary: in.Run.Verdict == "",
		Host:        hostOf(&in),
		Run:         runOf(&in),
		NotTested:   gapsOf(&in),
		Coverage:    []Coverage{},
		Findings:    findings,
		Stages:      []Stage{},
		Components:  componentsOf(&in.Inventory, findings),
		Firmware:    append([]Firmware{}, in.Inventory.Firmware...),
		Checks:      in.Checks,
		SpecDiffs:   []SpecDiff{},
		SpecGiven:   in.Run.SpecYAML != "",
		Evaluations: []Evaluation{},
		Notes:       notesOf(&in),
		Software:    softwareOf(&in),
		Boot:        bootIntegrity(&in),
		Appliance:   in.Appliance,
		Retention:   Kept(&in.Run, in.Retention),
	}

	for i := range in.Run.Stages {
		r.addStage(&in.Run.Stages[i], in.Run.Attempts, in.Now)
	}

	r.countWaived(findings)
	r.Verdict = verdictOf(&in.Run, findings)
	r.Summary = summaryOf(&in, &r)

	return r
}

// countWaived counts at each stage which of its findings somebody bears with.
func (r *Report) countWaived(findings []Finding) {
	for i := range findings {
		f := &findings[i]

		at := slices.IndexFunc(r.Stages, func(s Stage) bool { return s.Name == f.Stage })
		if at < 0 || f.Waiver == nil {
			continue
		}

		if f.Severity == core.Critical {
			r.Stages[at].CriticalsWaived++
		} else {
			r.Stages[at].WarningsWaived++
		}
	}
}

// addStage appends the row of st and what hangs on it; attempts are those of all
// stages that were run again.
func (r *Report) addStage(st *core.Stage, attempts []core.Attempt, now time.Time) {
	row := Stage{
		Name: st.Name, Phase: st.Phase, Verdict: st.Verdict, Reason: st.SkipReason, Attempt: st.Attempt,
		StartedAt: stamp(st.StartedAt), EndedAt: stamp(st.EndedAt),
		DurationS: seconds(st.StartedAt, st.EndedAt, now),
		Coverage:  st.Coverage, SubSteps: []SubStep{},
	}

	for _, f := range st.Findings {
		switch f.Severity {
		case core.Critical:
			row.Criticals++
		case core.Warning:
			row.Warnings++
		case core.Info:
		}
	}

	for _, s := range st.SubSteps {
		row.SubSteps = append(row.SubSteps, SubStep{Name: s.Name, Part: s.Part, Verdict: s.Verdict, Summary: s.Summary})
	}

	for _, a := range attempts {
		if a.Stage == st.Name {
			row.Earlier = append(row.Earlier, a)
		}
	}

	r.Stages = append(r.Stages, row)
	r.SpecDiffs = append(r.SpecDiffs, st.Diffs...)

	if st.Coverage != "" {
		r.Coverage = append(r.Coverage, Coverage{Stage: st.Name, Text: st.Coverage})
	}

	for _, e := range st.Evaluations {
		r.Evaluations = append(r.Evaluations, NewEvaluation(st.Name, e))
	}
}

func hostOf(in *Input) Host {
	sys := in.Inventory.System
	h := Host{
		MAC: in.Host.MAC, Name: in.Host.Name, Notes: in.Host.Notes, Quarantine: in.Host.Quarantine,
		Manufacturer: sys.Manufacturer, Product: sys.Product, Serial: sys.Serial,
		AssetTag: in.Inventory.Chassis.AssetTag,
		UUID:     in.Host.Identity.SMBIOSUUID, BoardSerial: in.Host.Identity.BoardSerial,
		BootMode: in.Run.Agent.Firmware, SecureBoot: in.Run.Agent.SecureBoot,
	}

	if h.MAC == "" {
		h.MAC, h.Name = in.Run.Host, in.Run.HostName
	}

	return h
}

func runOf(in *Input) Run {
	run := &in.Run

	scale := run.Profile.Scale
	if scale == 0 {
		scale = 1
	}

	var after string
	if run.State == core.StateCompleted {
		after = profile.AfterWords(&run.Profile, in.Host.BootURL)
	}

	return Run{
		AfterRun: after,
		ID:       run.ID, State: run.State, Verdict: run.Verdict, Profile: run.Profile.Name,
		Scale: scale, ScaleNote: scaleNote(scale), Operator: run.Operator,
		Armed: append([]string{}, run.Armed...), Boots: run.Epoch,
		CreatedAt: stamp(run.CreatedAt), StartedAt: stamp(run.StartedAt), EndedAt: stamp(run.EndedAt),
		DurationS: seconds(run.StartedAt, run.EndedAt, in.Now), RulesCount: len(run.Rules),
	}
}

// Findings returns the findings of a run as its report lists them, each with its id and
// with the waiver that counts for it at a moment.
func Findings(run *core.Run, waivers []core.Waiver, at time.Time) []Finding {
	all := gatherFindings(run)

	for i := range all {
		f := &all[i]
		f.ID, f.Waiver = f.Mark(), nil

		for k := range waivers {
			if w := &waivers[k]; w.Covers(f, at) {
				given := *w
				given.At, given.Until = stamp(w.At), stamp(w.Until)
				f.Waiver = &given
			}
		}
	}

	return all
}

// gatherFindings returns the findings of the run and of its stages, the worst
// first, otherwise in the order of the pipeline.
func gatherFindings(run *core.Run) []Finding {
	all := append([]Finding{}, run.Findings...)

	for i := range run.Stages {
		for _, f := range run.Stages[i].Findings {
			if f.Stage == "" {
				f.Stage = run.Stages[i].Name
			}

			all = append(all, f)
		}
	}

	slices.SortStableFunc(all, func(a, b Finding) int { return a.Severity.Rank() - b.Severity.Rank() })

	return all
}

// Worst returns the gravest finding of a run, the first of those in the order of the
// report; nil where there is none. It allocates nothing: pages of many hosts ask it of
// every run. The finding is the run's own and must not be changed.
func Worst(run *core.Run) (worst *core.Finding) {
	look := func(list []core.Finding) {
		for i := range list {
			if worst == nil || list[i].Severity.Rank() < worst.Severity.Rank() {
				worst = &list[i]
			}
		}
	}

	look(run.Findings)

	for i := range run.Stages {
		look(run.Stages[i].Findings)
	}

	return worst
}

func stamp(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}

	return t.UTC().Truncate(time.Millisecond)
}

// seconds returns the whole seconds from start to end, to now while there is no
// end, and 0 while there is no start.
func seconds(start, end, now time.Time) int64 {
	if start.IsZero() {
		return 0
	}

	if end.IsZero() {
		end = now
	}

	return max(0, int64(end.Sub(start).Round(time.Second)/time.Second))
}
