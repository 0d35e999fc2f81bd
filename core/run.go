package core

import (
	"slices"
	"time"
)

// RunID is a ULID: 26 characters, sortable by time of creation.
type RunID string

// State is where a run is. The names are those of the pipeline; a stage that is
// under way gives the run its name.
type State string

// The states of a run outside the stages.
const (
	StateRegistered    State = "Registered"
	StateQueued        State = "Queued"
	StateWaitingWoL    State = "WaitingWoL"
	StateWaitingReboot State = "WaitingReboot"
	StateWaitingPower  State = "WaitingPower"
	StateBooting       State = "Booting"
	StateCompleted     State = "Completed"
	StateFailed        State = "Failed"
	StateFailedHolding State = "FailedHolding"
	StateReleased      State = "Released"
	StateCancelled     State = "Cancelled"
)

// Over reports whether no input can move the run any more.
func (s State) Over() bool {
	return s == StateCompleted || s == StateReleased || s == StateCancelled
}

// AwaitsBoot reports whether a boot is waited for.
func (s State) AwaitsBoot() bool {
	return s == StateWaitingWoL || s == StateWaitingReboot || s == StateWaitingPower || s == StateBooting
}

// Pending reports whether the run was started with a grace that is not over: until its
// deadline the start can be withdrawn, and nothing of the run begins.
func (r *Run) Pending() bool { return r.State == StateQueued && !r.Deadline.IsZero() }

// Withdrawn reports whether the start of the run was taken back before it began.
func (r *Run) Withdrawn() bool {
	return r.State == StateCancelled && slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Code == "run/withdrawn" })
}

// Run is one vetting of one host with one profile. It may be shown to anybody
// who may see the host: secrets live in RunSecret.
type Run struct {
	ID        RunID     `json:"id"`
	Host      MAC       `json:"host"`
	HostName  string    `json:"host_name"`
	Profile   Profile   `json:"profile"` // frozen when the run was created
	SpecYAML  string    `json:"spec_yaml,omitempty"`
	SpecFrom  string    `json:"spec_from,omitempty"` // "host", "class r640" or empty: none
	Overrides Override  `json:"overrides,omitzero"`  // as given for this run
	Rules     []Rule    `json:"rules"`               // frozen likewise, of profile, class, host and run together
	State     State     `json:"state"`
	Verdict   Verdict   `json:"verdict,omitempty"` // empty until decided
	Stages    []Stage   `json:"stages"`            // one row for each stage of the plan, in order
	Epoch     int       `json:"epoch"`             // boots claimed so far; an older epoch's calls get 410
	BootID    string    `json:"boot_id,omitempty"` // kernel boot id of the current epoch
	Armed     []string  `json:"armed_disks,omitempty"`
	Deadline  time.Time `json:"deadline,omitzero"`  // when the current wait (grace of the start, boot, contact) ends
	LastBeat  time.Time `json:"last_beat,omitzero"` // last sign of life of the agent
	CreatedAt time.Time `json:"created_at"`
	StartedAt time.Time `json:"started_at,omitzero"` // left the queue
	EndedAt   time.Time `json:"ended_at,omitzero"`
	UpdatedAt time.Time `json:"updated_at"`
	Operator  string    `json:"operator,omitempty"` // who started it
	Batch     string    `json:"batch,omitempty"`    // name of the Batch that it belongs to; empty: none
	Findings  []Finding `json:"findings,omitempty"` // of the run as a whole (lost contact, boot deadline)
	Agent     AgentInfo `json:"agent"`
	Stale     bool      `json:"stale,omitempty"`    // no sign of life for a while, not yet given up
	Retrying  StageName `json:"retrying,omitempty"` // the agent has yet to hear that it must run this stage again
	Ending    StageName `json:"ending,omitempty"`   // the agent has yet to show that it ended its last attempt at this stage
	Expired   bool      `json:"expired,omitempty"`  // the hold ran out: power the machine off
	Wakes     int       `json:"wakes,omitempty"`    // attempts made by the way it is at
	NextWake  time.Time `json:"next_wake,omitzero"` // when the next attempt, or the next way, is due; zero: none

	Ways       []PowerMethod `json:"ways,omitempty"`       // how its host is brought to boot, frozen at its turn
	Way        int           `json:"way,omitempty"`        // index of the way it is at
	Switched   bool          `json:"switched,omitempty"`   // that way's order is out and was taken: wait
	RebootTold time.Time     `json:"reboot_told,omitzero"` // when the installed agent was told to reboot
	Wipe       *WipeOverride `json:"wipe_override,omitempty"`
	Hold       *Hold         `json:"hold,omitempty"` // nil: the agent has opened none

	HeardIn string    `json:"heard_in,omitempty"` // what the agent's beats name in place of the stage that it is to run
	MovedAt time.Time `json:"moved_at,omitzero"`  // when the stage under way was last seen to get on
	Stuck   bool      `json:"stuck,omitempty"`    // people were told that it does not

	Overlays []Overlay `json:"overlays,omitempty"` // unpacked beside the boot image, frozen when the run was created

	Unkept   []Unkept  `json:"unkept,omitempty"`   // when its raw samples were not kept
	Attempts []Attempt `json:"attempts,omitempty"` // of stages that were run again, as they had ended

	FirmwareRules FirmwareRules `json:"firmware_rules,omitzero"` // frozen when the run was created
}

// Attempt is what came of a stage before it was run again.
type Attempt struct {
	Stage     StageName `json:"stage"`
	Attempt   int       `json:"attempt"` // 1 for the first try
	Verdict   Verdict   `json:"verdict"`
	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	Findings  []Finding `json:"findings,omitempty"` // the gravest
	LeftOut   int       `json:"left_out,omitempty"` // findings that are not kept
}

// Bad reports whether the attempt speaks against the machine, or came to nothing.
func (a *Attempt) Bad() bool { return a.Verdict == Fail || a.Verdict == Error }

// Unkept is a time in which the disk of the appliance was nearly full, so that of
// the samples of a run only those were kept that verdicts depend on.
type Unkept struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to,omitzero"` // zero: it goes on
}

// AgentInfo is what the agent said of itself in hello.
type AgentInfo struct {
	Version    string `json:"version,omitempty"`
	Protocol   int    `json:"protocol,omitempty"`
	Kernel     string `json:"kernel,omitempty"`
	Firmware   string `json:"firmware,omitempty"` // "bios" or "uefi"
	SecureBoot bool   `json:"secure_boot"`
	IP         string `json:"ip,omitempty"`
	ImageID    string `json:"image_id,omitempty"` // SHA-256 of the manifest of the image it booted
}

// StageAt returns the index of the named stage in the plan, or -1.
func (r *Run) StageAt(name StageName) int {
	for i := range r.Stages {
		if r.Stages[i].Name == name {
			return i
		}
	}

	return -1
}

// RunSecret holds what a run must keep from everybody: SHA-256 of its tokens.
// It is a record of its own, so that a Run can be shown.
type RunSecret struct {
	Run           RunID     `json:"run"`
	BootToken     []byte    `json:"boot_token,omitempty"`     // SHA-256; empty: none armed
	BootNonce     string    `json:"boot_nonce,omitempty"`     // names the seed archive, and with the appliance's own secret makes the boot token
	BootAddr      string    `json:"boot_addr,omitempty"`      // the leased address it was minted for
	BootExpires   time.Time `json:"boot_expires,omitzero"`    // ten minutes after minting
	BootUsed      bool      `json:"boot_used,omitempty"`      // consumed by a claim
	SeedGets      int       `json:"seed_gets,omitempty"`      // at most 8
	SpentTokens   [][]byte  `json:"spent_tokens,omitempty"`   // SHA-256 of consumed boot tokens: a second use is an alarm
	SessionToken  []byte    `json:"session_token,omitempty"`  // SHA-256
	SpentSessions [][]byte  `json:"spent_sessions,omitempty"` // SHA-256 of session tokens of older epochs: 410
	ClaimToken    []byte    `json:"claim_token,omitempty"`    // SHA-256 of the boot token that began the epoch, until the first word with its session token
	Claimer       []byte    `json:"claimer,omitempty"`        // SHA-256 of who claimed with it, likewise
	HoldNonce     []byte    `json:"hold_nonce,omitempty"`     // with the appliance's own secret makes the hold's private key, which is kept nowhere
}

// Profile says which stages run, how long, with which thresholds.
type Profile struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Stages      []StageName       `json:"stages"`
	Scale       float64           `json:"scale"`            // 1; below 1 shortens durations for virtual hosts, printed on the report
	Config      map[string]string `json:"config,omitempty"` // "SMART.self_test": "short"
	Rules       []Rule            `json:"rules,omitempty"`
}

// Rule is a threshold: the condition that must hold for every sample whose
// stage and key match.
type Rule struct {
	ID       string        `json:"id"`
	Stage    string        `json:"stage"` // glob over stage names, "*" for all
	Key      string        `json:"key"`   // glob over sample keys, "disk/*/temperature_celsius"
	Op       Op            `json:"op"`
	Value    float64       `json:"value"`
	Of       string        `json:"of,omitempty"` // Value is a percentage of it: a constant, a catalogue key or "baseline"
	Severity Severity      `json:"severity"`
	Code     string        `json:"code,omitempty"` // problem code of the finding; empty: "threshold/breach"
	For      time.Duration `json:"for,omitempty"`  // must be broken this long
	Count    int           `json:"count,omitempty"`
	Required bool          `json:"required,omitempty"` // absent or NaN is an error, not a pass
	From     Layer         `json:"from,omitempty"`     // who gave it; empty: the profile
	Fallback float64       `json:"fallback,omitempty"` // with of: baseline, what to compare with while no host has passed; 0: nothing
	Baseline Baseline      `json:"baseline,omitzero"`  // what "baseline" stands for in this run, frozen with it
}

// Baseline is what "baseline" stood for when a run was created. The zero value:
// there was none.
type Baseline struct {
	Value float64 `json:"value"`
	From  string  `json:"from"` // "median of 7 hosts of r640", "golden host g1", "fallback"
}

// Layer says who gave a rule. Between rules that are equally specific about stage
// and key the later layer counts.
type Layer string

// The layers, in their order.
const (
	FromProfile Layer = ""
	FromClass   Layer = "class"
	FromHost    Layer = "host"
	FromRun     Layer = "run"
)

// Op is a comparison.
type Op string

// The comparisons of the threshold engine.
const (
	OpLT        Op = "lt"
	OpLTE       Op = "lte"
	OpGT        Op = "gt"
	OpGTE       Op = "gte"
	OpWithinPct Op = "within_pct"
)
