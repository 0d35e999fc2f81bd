package core

import "time"

// These are the agent's conversation as values; agent/wire has the same in
// JSON, and agent/gate translates, so that either may change alone.

// Hello is the agent's first word, authorised by the boot token, which it does
// not consume.
type Hello struct {
	Protocol     int
	AgentVersion string
	MAC          MAC
	IP           string
	BootID       string
	Kernel       string
	Firmware     string // "bios" or "uefi"
	SecureBoot   bool
	ImageID      string // SHA-256 of the boot image's manifest
}

// HelloReply answers Hello.
type HelloReply struct {
	State      State
	ServerTime time.Time
}

// Claim asks for the run: the boot token is consumed, the machine's identity is
// bound or compared.
type Claim struct {
	BootID   string
	Identity Identity
}

// ClaimReply hands the run over. Stages holds what is still to do, in order,
// without those of the appliance; it is empty for a run that is held.
type ClaimReply struct {
	SessionToken      string
	Epoch             int
	State             State
	Profile           Profile
	Stages            []StageName
	Disks             []ExpectedDisk
	HeartbeatInterval time.Duration
	Overrides         []string
	OverrideUntil     time.Time // when Overrides count no more
	HostName          string
	Overlays          []Overlay
}

// Beat is a heartbeat.
type Beat struct {
	Stage    StageName
	SubStep  string
	Progress float64
	ETA      time.Duration
	Uptime   time.Duration
	Meters   []Meter
}

// Command tells the agent what to do next.
type Command string

// The commands a heartbeat may bring.
const (
	CmdContinue   Command = "continue"
	CmdShutdown   Command = "shutdown"    // the run is Completed: power off, or Reboot
	CmdAbort      Command = "abort"       // kill the workers; keep beating unless Released or Cancelled
	CmdRetryStage Command = "retry_stage" // run Stage again
)

// Order answers a Beat. State lets the agent tell a hold (keep beating) from
// the end (stop, leave the machine to the operator).
type Order struct {
	Cmd             Command
	State           State
	Stage           StageName
	Overrides       []string
	OverrideUntil   time.Time // when Overrides count no more
	WriteLeaseUntil time.Time
	Reboot          bool // with CmdShutdown: start the machine anew instead
	Outlook         Outlook
	Light           *Light // in a hold: the part that is to be found by its light; nil: none
}

// Outlook is what the screen of a machine under test says of its run besides what its
// agent knows itself. It decides nothing.
type Outlook struct {
	Stage     int           // number of the stage under way in the plan, from 1; 0: none
	Stages    int           // of the plan
	LeftLow   time.Duration // how long the run still takes, learned from runs before it
	LeftHigh  time.Duration // likewise; 0: it is not known
	LeftGuess bool          // not all of it was learned
	Critical  int           // findings so far that nobody bears with
	Warnings  int           // likewise
	Verdict   Verdict       // of the run; empty until decided
	HoldUntil time.Time     // when a hold ends; zero: there is none
}

// OutlookOf reads it from a run and its findings, each with the waiver that counts for it,
// without what is learned.
func OutlookOf(r *Run, findings []Finding) Outlook {
	out := Outlook{Stages: len(r.Stages), Stage: r.StageAt(StageName(r.State)) + 1, Verdict: r.Verdict}

	if r.State == StateFailedHolding {
		out.HoldUntil = r.Deadline
	}

	for i := range findings {
		if findings[i].Waiver != nil {
			continue
		}

		switch findings[i].Severity {
		case Critical:
			out.Critical++
		case Warning:
			out.Warnings++
		case Info:
		}
	}

	return out
}

// Result is what came of a stage. The same Seq twice gets the same answer and
// changes nothing.
type Result struct {
	Seq          uint64
	Stage        StageName
	Verdict      Verdict
	SkipReason   string
	Findings     []Finding
	SubSteps     []SubStep
	Measurements []Sample
	Coverage     string
	Inventory    *Inventory     // with InventoryCheck
	Firmware     []FirmwareItem // with Firmware

	Settings []FirmwareSetting `json:",omitempty"` // with Firmware
}

// StartRun is an operator's wish to have a host vetted.
type StartRun struct {
	Profile   string   // name of a profile
	Scale     float64  // 0: the profile's own; below 1 shortens durations (virtual hosts)
	Armed     []string // serials of disks that may be overwritten
	Overrides Override // of this run only; checked like those of a host
	Who       string   // operator
	Batch     string   // name of the batch that it joins, which is made if there is none; empty: none

	// Grace is how long the start can be withdrawn before the run begins; 0: it begins at
	// once. At most MaxGrace. A run whose grace is not over when the appliance stops never
	// begins: disks are armed for a start that somebody watches.
	Grace time.Duration
}

// The grace of a start: what people get, and the most there is.
const (
	Grace    = 10 * time.Second
	MaxGrace = 10 * time.Minute
)
