package route

import (
	"math"
	"time"

	"vetting/core"
	"vetting/core/bootdoctor"
	"vetting/core/report"
)

// ErrorBody is the body of every answer that is not good.
type ErrorBody struct {
	Error ErrorDetail `json:"error"`
}

// ErrorDetail names what went wrong. Code is stable, Message is one calm
// sentence for people.
type ErrorDetail struct {
	Code    string         `json:"code"`
	Message string         `json:"message"`
	Details map[string]any `json:"details,omitempty"`
}

// HostList is a page of hosts.
type HostList struct {
	Hosts         []core.Host `json:"hosts"`
	NextPageToken string      `json:"next_page_token,omitempty"` // absent on the last page
}

// HostCreate registers a host.
type HostCreate struct {
	MAC       string         `json:"mac"`
	Aliases   []string       `json:"aliases,omitempty"`
	Name      string         `json:"name"`
	AssetTag  string         `json:"asset_tag,omitempty"`
	Rack      string         `json:"rack,omitempty"`
	Class     string         `json:"class,omitempty"`
	Tags      []string       `json:"tags,omitempty"`
	Notes     string         `json:"notes,omitempty"`
	Loader    core.Loader    `json:"loader,omitempty"` // boot program; absent: what is found to work
	Home      core.Home      `json:"home,omitempty"`   // way to its own disk; absent: what is found to work
	BootURL   string         `json:"boot_url,omitempty"`
	Power     *core.Power    `json:"power,omitempty"` // absent: manual
	Overrides *core.Override `json:"overrides,omitempty"`
	SpecYAML  string         `json:"spec_yaml,omitempty"`
}

// Fields is what is said of the host besides its address.
func (c *HostCreate) Fields() *HostFields {
	return &HostFields{
		Aliases: c.Aliases, Name: c.Name, AssetTag: c.AssetTag, Rack: c.Rack, Class: c.Class, Tags: c.Tags, Notes: c.Notes, Loader: c.Loader, Home: c.Home, BootURL: c.BootURL,
		Power: c.Power, Overrides: c.Overrides, SpecYAML: c.SpecYAML,
	}
}

// HostFields is what people may say of a host besides its address.
type HostFields struct {
	Aliases   []string       `json:"aliases,omitempty"`
	Name      string         `json:"name"`
	AssetTag  string         `json:"asset_tag,omitempty"`
	Rack      string         `json:"rack,omitempty"`
	Class     string         `json:"class,omitempty"`
	Tags      []string       `json:"tags,omitempty"`
	Notes     string         `json:"notes,omitempty"`
	Loader    core.Loader    `json:"loader,omitempty"` // boot program; absent: what is found to work
	Home      core.Home      `json:"home,omitempty"`   // way to its own disk; absent: what is found to work
	BootURL   string         `json:"boot_url,omitempty"`
	Power     *core.Power    `json:"power,omitempty"` // absent: manual
	Overrides *core.Override `json:"overrides,omitempty"`
	SpecYAML  string         `json:"spec_yaml,omitempty"`
}

// HostPatch changes what is given and leaves the rest.
type HostPatch struct {
	Aliases   *[]string      `json:"aliases,omitempty"`
	Name      *string        `json:"name,omitempty"`
	AssetTag  *string        `json:"asset_tag,omitempty"`
	Rack      *string        `json:"rack,omitempty"`
	Class     *string        `json:"class,omitempty"`
	Tags      *[]string      `json:"tags,omitempty"`
	Notes     *string        `json:"notes,omitempty"`
	Loader    *core.Loader   `json:"loader,omitempty"` // empty: what is found to work
	Home      *core.Home     `json:"home,omitempty"`   // empty: what is found to work
	BootURL   *string        `json:"boot_url,omitempty"`
	Power     *core.Power    `json:"power,omitempty"`
	Overrides *core.Override `json:"overrides,omitempty"`
}

// HostSecrets is what a host's controller and webhook want to hear; an absent or
// empty one forgets it. Nobody is ever shown them.
type HostSecrets struct {
	BMCPassword   string `json:"bmc_password,omitempty"`
	WebhookSecret string `json:"webhook_secret,omitempty"`
}

// SpecLearn names the run to learn from; absent: the last one of the host.
type SpecLearn struct {
	Run string `json:"run,omitempty"`
}

// SpecText is a spec that was learned and does not count yet.
type SpecText struct {
	Run  core.RunID `json:"run"`
	YAML string     `json:"yaml"`
}

// ClassList is all model classes, by name.
type ClassList struct {
	Classes []core.Class `json:"classes"`
}

// ClassPut is what hosts of one model share, in place of what was there.
type ClassPut struct {
	SpecYAML  string         `json:"spec_yaml,omitempty"`
	Overrides *core.Override `json:"overrides,omitempty"`
	Notes     string         `json:"notes,omitempty"`
	Golden    core.MAC       `json:"golden,omitempty"` // the host that others are compared with while few have passed
}

// StageRetry names the stage to run again; absent: the one that failed.
type StageRetry struct {
	Stage core.StageName `json:"stage,omitempty"`
}

// RunFail says why a held host is given up.
type RunFail struct {
	Reason string `json:"reason"` // it stands on the report
}

// WipeOverride names armed disks on which the next attempt may overwrite foreign
// data.
type WipeOverride struct {
	Serials []string `json:"serials"`
	Reason  string   `json:"reason"` // why the data may go; it stands on the report
	// Password of whoever signed in more than five minutes ago; tokens need none.
	Password string `json:"password,omitempty"`
}

// WaiverCreate names what is to be borne with, why, and how long.
type WaiverCreate struct {
	Finding string `json:"finding"` // its id, or its code where the run has one finding of it
	Reason  string `json:"reason"`  // it stands on the report
	Until   string `json:"until"`   // a time, a day ("2026-12-31", to its end in UTC), or how long from now ("30d", "12h")
}

// WaiverList is all waivers of a host.
type WaiverList struct {
	Waivers []Waiver `json:"waivers"`
}

// Waiver is core.Waiver, and whether it counts now.
type Waiver struct {
	core.Waiver

	Holds bool `json:"holds"`
}

// ImportResult says what came of each row of a list of hosts. Where one cannot be
// taken, none is, and the rows are those that are wrong.
type ImportResult struct {
	DryRun  bool        `json:"dry_run"` // nothing was written
	Added   int         `json:"added"`
	Changed int         `json:"changed"`
	Rows    []ImportRow `json:"rows"`
}

// ImportRow is one row: its line in the file, the host, and the fault if it was
// not taken.
type ImportRow struct {
	Line  int          `json:"line"`
	MAC   core.MAC     `json:"mac,omitempty"`
	Name  string       `json:"name,omitempty"`
	Did   string       `json:"did"` // "added", "changed", "kept" or "refused"
	Error *ErrorDetail `json:"error,omitempty"`
}

// RunStart starts a run.
type RunStart struct {
	Profile string   `json:"profile"`
	Scale   float64  `json:"scale,omitempty"`       // absent: the profile's own
	Armed   []string `json:"armed_disks,omitempty"` // serials of disks that may be overwritten

	Overrides *core.Override `json:"overrides,omitempty"` // of this run only
	Batch     string         `json:"batch,omitempty"`     // name of the batch that it joins
	Grace     int64          `json:"grace_s,omitempty"`   // seconds in which the start can be withdrawn, before the run begins; absent: it begins at once
}

// RunPlan is what a run would do on a host. Nothing is started.
type RunPlan struct {
	Host     core.MAC           `json:"host"`
	HostName string             `json:"host_name"`
	Profile  string             `json:"profile"`
	Scale    float64            `json:"scale"`
	Refused  *ErrorDetail       `json:"refused,omitempty"` // why it would not be started now; absent: it would
	Power    []core.PowerMethod `json:"power"`             // how the host is brought to boot, in the order in which it is tried
	Spec     core.Layer         `json:"spec,omitempty"`    // whose expected spec it is compared with: "host" or "class"; absent: there is none
	Writes   bool               `json:"writes"`            // armed disks would be overwritten

	ProfileModelTime

	Disks []PlannedDisk `json:"disks"` // as the last run found them, and those that are armed and were not there
}

// PlannedDisk is what becomes of a disk.
type PlannedDisk struct {
	Serial    string        `json:"serial"`
	Model     string        `json:"model,omitempty"`
	Bay       string        `json:"bay,omitempty"`
	Name      string        `json:"name,omitempty"`
	SizeBytes uint64        `json:"size_bytes,omitempty"`
	Content   string        `json:"content,omitempty"` // what the last run found on it
	Fate      string        `json:"fate"`              // "overwritten", "refused" or "read-only"
	Against   []DiskRefusal `json:"against,omitempty"` // why it is refused
}

// DiskRefusal is one thing that stands against writing to a disk.
type DiskRefusal struct {
	Code     string `json:"code"`
	Evidence string `json:"evidence"`
}

// RunList is a page of runs, the newest first.
type RunList struct {
	Runs          []RunSummary `json:"runs"`
	NextPageToken string       `json:"next_page_token,omitempty"`
}

// RunSummary is a run in a list.
type RunSummary struct {
	ID        core.RunID     `json:"id"`
	Host      core.MAC       `json:"host"`
	HostName  string         `json:"host_name"`
	Profile   string         `json:"profile"`
	Scale     float64        `json:"scale"`
	State     core.State     `json:"state"`
	Over      bool           `json:"over"`              // nothing can move it any more
	Verdict   core.Verdict   `json:"verdict,omitempty"` // empty until decided
	Words     string         `json:"verdict_words"`     // "PASS with 1 warning, waived", as the report reads
	Stage     core.StageName `json:"stage,omitempty"`   // under way, or where it stopped
	StageNo   int            `json:"stage_number"`      // 1 for the first; 0 before it
	StageOf   int            `json:"stage_count"`
	Progress  float64        `json:"progress"` // 0..1 over the whole plan
	Operator  string         `json:"operator,omitempty"`
	Batch     string         `json:"batch,omitempty"`
	CreatedAt time.Time      `json:"created_at"`
	StartedAt time.Time      `json:"started_at,omitzero"`
	EndedAt   time.Time      `json:"ended_at,omitzero"`
	UpdatedAt time.Time      `json:"updated_at"`
}

// Run is a run with its stages.
type Run struct {
	RunSummary

	Stages   []Stage        `json:"stages"`
	Findings []core.Finding `json:"findings"` // of the run as a whole; those of stages are in the stages
	Armed    []string       `json:"armed_disks"`
	Boots    int            `json:"boots"`
	Deadline time.Time      `json:"deadline,omitzero"`
	LastBeat time.Time      `json:"last_beat,omitzero"`
	Agent    core.AgentInfo `json:"agent"`
	Hold     *core.Hold     `json:"hold,omitempty"`     // once the host's SSH server was open
	Overlays []core.Overlay `json:"overlays,omitempty"` // unpacked beside the boot image
}

// StageList is the plan of a run.
type StageList struct {
	Stages []Stage `json:"stages"`
}

// Stage is one row of the plan.
type Stage struct {
	Name         core.StageName `json:"name"`
	Phase        core.Phase     `json:"phase"`
	Verdict      core.Verdict   `json:"verdict,omitempty"`
	SkipReason   string         `json:"skip_reason,omitempty"`
	Attempt      int            `json:"attempt"`
	StartedAt    time.Time      `json:"started_at,omitzero"`
	EndedAt      time.Time      `json:"ended_at,omitzero"`
	Progress     float64        `json:"progress"` // 0..1
	SubStep      string         `json:"sub_step,omitempty"`
	ETA          float64        `json:"eta_s,omitempty"` // seconds left, as the agent believes
	Coverage     string         `json:"coverage,omitempty"`
	Findings     []core.Finding `json:"findings"`
	SubSteps     []core.SubStep `json:"sub_steps"`
	Measurements []Sample       `json:"measurements"`
}

// Sample is one measured value; null when it could not be measured. Where the raw
// samples were summed up it stands for several: Time is then the start of a step and
// Value their mean.
type Sample struct {
	Time  time.Time      `json:"time"`
	Key   string         `json:"key"`
	Value *float64       `json:"value"`
	Unit  string         `json:"unit,omitempty"`
	Stage core.StageName `json:"stage,omitempty"`
	Min   *float64       `json:"min,omitempty"`
	Max   *float64       `json:"max,omitempty"`
	Count int            `json:"count,omitempty"` // the numbers it stands for; 0: it is one sample
	Badge *Badge         `json:"badge,omitempty"` // where badges were asked for and a rule looks at the key
}

// Badge is what the rules made of a sample: the gravest of those that were broken
// with it, else one that held.
type Badge struct {
	Rule     string        `json:"rule"`
	Severity core.Severity `json:"severity"`
	Verdict  core.Verdict  `json:"verdict"` // pass, fail or unmeasurable
}

// Bucket sums up the samples of one key over one step.
type Bucket struct {
	Time  time.Time `json:"time"` // start of the step
	Key   string    `json:"key"`
	Unit  string    `json:"unit,omitempty"`
	Min   float64   `json:"min"`
	Mean  float64   `json:"mean"`
	Max   float64   `json:"max"`
	Count int       `json:"count"`
}

// SampleList is a page of samples, or of buckets when a step was asked for.
type SampleList struct {
	Samples       []Sample `json:"samples,omitempty"`
	Buckets       []Bucket `json:"buckets,omitempty"`
	NextPageToken string   `json:"next_page_token,omitempty"`
}

// EvaluationList is what the rules said, and what they saw on the way: the trails
// of every try of a stage, 2000 at most.
type EvaluationList struct {
	Evaluations []report.Evaluation `json:"evaluations"`
	Trails      []report.Trail      `json:"trails"`
}

// SpecDiffList is where the expected spec and the machine differ.
type SpecDiffList struct {
	SpecGiven bool            `json:"spec_given"`
	Diffs     []core.SpecDiff `json:"diffs"`
}

// LogPage is a page of a run's log. After is the seq to go on from.
type LogPage struct {
	Lines []core.LogLine `json:"lines"`
	After uint64         `json:"after"`
}

// ArtifactList is the files a run left.
type ArtifactList struct {
	Artifacts []core.Artifact `json:"artifacts"`
}

// SightingList is the machines heard on the test network that are not
// registered.
type SightingList struct {
	Discovered    []Discovered `json:"discovered"`
	NextPageToken string       `json:"next_page_token,omitempty"`
}

// BootTrace is what was seen of a host's last boot.
type BootTrace struct {
	MAC   core.MAC        `json:"mac"`
	Steps []core.BootStep `json:"steps"`
	// Loader is the boot program that the machine was given last, Worked the one by which
	// an agent came; absent: none yet.
	Loader core.Loader `json:"loader,omitempty"`
	Worked core.Loader `json:"worked,omitempty"`
	// Home is the way by which the machine was sent to its own disk last, CameHome the one
	// after which it did not come back at once; absent: none yet.
	Home     core.Home `json:"home,omitempty"`
	CameHome core.Home `json:"came_home,omitempty"`
	// Diagnosis says what is in the way of the last boot; absent: nothing is, as far as is known.
	Diagnosis *bootdoctor.Diagnosis `json:"diagnosis,omitempty"`
}

// ProfileList is the profiles a run can be started with.
type ProfileList struct {
	Profiles []Profile `json:"profiles"`
}

// Profile is core.Profile with its durations in seconds.
type Profile struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Stages      []core.StageName  `json:"stages"`
	Scale       float64           `json:"scale"`
	Config      map[string]string `json:"config"`
	Rules       []Rule            `json:"rules"`

	Origin  core.ProfileOrigin `json:"origin,omitempty"`
	Extends string             `json:"extends,omitempty"` // of the console's: the profile below
	At      string             `json:"at,omitempty"`      // of the file's: where it stands, "/etc/vetting/vetting.yaml:41"
	Version int                `json:"version,omitempty"` // of the console's
	SetAt   time.Time          `json:"set_at,omitzero"`
	SetBy   string             `json:"set_by,omitempty"`
	Unfit   string             `json:"unfit,omitempty"` // why it cannot be used; absent: it can
}

// ProfileDetail is a profile with its text.
type ProfileDetail struct {
	Profile

	Text     string             `json:"text,omitempty"`     // of the console's: YAML, as it was written
	Versions []core.ProfileText `json:"versions,omitempty"` // of the console's: all of it, the newest first
}

// ProfileEstimate is how long the stages of a profile take.
type ProfileEstimate struct {
	Profile string             `json:"profile"`
	Host    core.MAC           `json:"host,omitempty"` // that it is for
	Models  []ProfileModelTime `json:"models"`         // of a host one
}

// ProfileModelTime is how long it takes on the machines of one model.
type ProfileModelTime struct {
	Model string             `json:"model,omitempty"`      // absent: not known, all machines together
	Disk  uint64             `json:"disk_bytes,omitempty"` // of the largest disk, about
	Known bool               `json:"known"`                // every stage was seen to its end
	Low   float64            `json:"low_s,omitempty"`      // nine of ten took longer
	Mid   float64            `json:"mid_s,omitempty"`
	High  float64            `json:"high_s,omitempty"` // nine of ten were done
	Runs  int                `json:"runs"`             // the least that any of the stages was learned from
	Stage []ProfileStageTime `json:"stages"`
}

// ProfileStageTime is how long one stage takes.
type ProfileStageTime struct {
	Stage core.StageName `json:"stage"`
	Skip  string         `json:"skip,omitempty"` // why it would be left out on the host
	Low   float64        `json:"low_s,omitempty"`
	Mid   float64        `json:"mid_s,omitempty"`
	High  float64        `json:"high_s,omitempty"`
	Runs  int            `json:"runs"` // that it was learned from; 0: not known
	Own   bool           `json:"own"`  // all of them of this model and size of disk
}

// Rule is core.Rule with its duration in seconds.
type Rule struct {
	ID       string        `json:"id"`
	Stage    string        `json:"stage"`
	Key      string        `json:"key"`
	Op       core.Op       `json:"op"`
	Value    float64       `json:"value"`
	Of       string        `json:"of,omitempty"`
	Severity core.Severity `json:"severity"`
	Code     string        `json:"code,omitempty"`
	For      float64       `json:"for_s,omitempty"`
	Count    int           `json:"count,omitempty"`
	Required bool          `json:"required"`
}

// TokenCreate asks for an API token.
type TokenCreate struct {
	Name  string `json:"name"`
	Scope Scope  `json:"scope"`
	TTL   int64  `json:"ttl_s,omitempty"` // seconds until it opens nothing any more; absent: until it is revoked
	// Password of whoever signed in more than five minutes ago; tokens need none.
	Password string `json:"password,omitempty"`
}

// Token is an API token without its secret.
type Token struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Scope     Scope     `json:"scope"` // now: no more than its owner's
	CreatedBy string    `json:"created_by,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	LastUsed  time.Time `json:"last_used,omitzero"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // absent: when it is revoked
	Suspended bool      `json:"suspended,omitempty"` // it opens nothing while its owner is not let in
}

// TokenCreated is the only answer that carries the secret.
type TokenCreated struct {
	Token

	Secret string `json:"secret"` // "vet_…": shown once, kept only as its SHA-256
}

// TokenList is all API tokens.
type TokenList struct {
	Tokens []Token `json:"tokens"`
}

// Health is the answer of the probes.
type Health struct {
	Status string        `json:"status"` // "ok" or "unready"
	Checks []HealthCheck `json:"checks,omitempty"`
}

// HealthCheck is one thing the appliance needs to be ready.
type HealthCheck struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// NewRunSummary sums run up for a list.
func NewRunSummary(run *core.Run, waivers []core.Waiver) RunSummary {
	at, done := Position(run)
	out := RunSummary{
		ID: run.ID, Host: run.Host, HostName: run.HostName, Profile: run.Profile.Name, Scale: run.Profile.Scale,
		State: run.State, Over: run.State.Over(), Verdict: run.Verdict, Words: report.Read(run, waivers).Words,
		StageOf: len(run.Stages), Progress: done, Operator: run.Operator, Batch: run.Batch,
		CreatedAt: run.CreatedAt, StartedAt: run.StartedAt, EndedAt: run.EndedAt, UpdatedAt: run.UpdatedAt,
	}

	if at >= 0 {
		out.Stage, out.StageNo = run.Stages[at].Name, at+1
	}

	return out
}

// Position returns the index of the stage that is under way or where the run
// stopped (-1 before the first) and how far the whole plan is, 0..1.
func Position(run *core.Run) (at int, done float64) {
	at = -1

	for i := range run.Stages {
		st := &run.Stages[i]

		switch st.Phase {
		case core.Done:
			at = i
			done++
		case core.Active:
			return i, (done + min(1, max(0, st.Progress))) / float64(len(run.Stages))
		case core.Pending:
		}
	}

	if len(run.Stages) > 0 {
		done /= float64(len(run.Stages))
	}

	return at, done
}

// NewRun shows run with its stages.
func NewRun(run *core.Run, waivers []core.Waiver) Run {
	return Run{
		RunSummary: NewRunSummary(run, waivers), Stages: NewStages(run),
		Findings: marked(run.Findings, ""), Armed: append([]string{}, run.Armed...),
		Boots: run.Epoch, Deadline: run.Deadline, LastBeat: run.LastBeat, Agent: run.Agent, Hold: run.Hold, Overlays: run.Overlays,
	}
}

// NewStages shows the plan of run.
func NewStages(run *core.Run) []Stage {
	list := make([]Stage, 0, len(run.Stages))

	for i := range run.Stages {
		st := &run.Stages[i]

		row := Stage{
			Name: st.Name, Phase: st.Phase, Verdict: st.Verdict, SkipReason: st.SkipReason, Attempt: st.Attempt,
			StartedAt: st.StartedAt, EndedAt: st.EndedAt, Progress: st.Progress, SubStep: st.SubStep, ETA: st.ETA.Seconds(),
			Coverage: st.Coverage, Findings: marked(st.Findings, st.Name),
			SubSteps: append([]core.SubStep{}, st.SubSteps...), Measurements: []Sample{},
		}

		for _, m := range st.Measurements {
			row.Measurements = append(row.Measurements, NewSample(m))
		}

		list = append(list, row)
	}

	return list
}

// marked shows findings with their ids; those of a stage are of that stage.
func marked(findings []core.Finding, stage core.StageName) []core.Finding {
	list := append([]core.Finding{}, findings...)

	for i := range list {
		if list[i].Stage == "" {
			list[i].Stage = stage
		}

		list[i].ID = list[i].Mark()
	}

	return list
}

// NewSummary shows what several samples were summed up to.
func NewSummary(r core.Rollup, stage core.StageName) Sample {
	out := Sample{Time: r.Time, Key: r.Key, Unit: r.Unit, Stage: stage, Count: r.Count}
	if r.Count > 0 {
		out.Value, out.Min, out.Max = &r.Mean, &r.Min, &r.Max
	}

	if r.Rule != "" {
		out.Badge = &Badge{Rule: r.Rule, Severity: r.Severity, Verdict: r.Verdict}
	}

	return out
}

// NewSample shows s; a value that is not finite is null.
func NewSample(s core.Sample) Sample {
	out := Sample{Time: s.Time, Key: s.Key, Unit: s.Unit, Stage: s.Stage}

	if !math.IsNaN(s.Value) && !math.IsInf(s.Value, 0) {
		out.Value = &s.Value
	}

	return out
}

// NewProfileEntry shows a profile and where it comes from.
func NewProfileEntry(e *core.ProfileEntry) Profile {
	out := NewProfile(&e.Profile)
	out.Origin, out.Extends, out.At, out.Unfit = e.Origin, e.Extends, e.At, e.Unfit
	out.Version, out.SetAt, out.SetBy = e.Text.Version, e.Text.SetAt, e.Text.SetBy

	return out
}

// NewProfile shows p.
func NewProfile(p *core.Profile) Profile {
	out := Profile{
		Name: p.Name, Description: p.Description, Stages: append([]core.StageName{}, p.Stages...),
		Scale: p.Scale, Config: p.Config, Rules: []Rule{},
	}

	if out.Config == nil {
		out.Config = map[string]string{}
	}

	for i := range p.Rules {
		r := &p.Rules[i]
		out.Rules = append(out.Rules, Rule{
			ID: r.ID, Stage: r.Stage, Key: r.Key, Op: r.Op, Value: r.Value, Of: r.Of, Severity: r.Severity,
			Code: r.Code, For: r.For.Seconds(), Count: r.Count, Required: r.Required,
		})
	}

	return out
}
