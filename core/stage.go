package core

import "time"

// StageName names a step of the pipeline, as product.md spells it; it is also
// the State of a run that is in it.
type StageName string

// The pipeline, in order.
const (
	InventoryCheck StageName = "InventoryCheck"
	Firmware       StageName = "Firmware"
	SpecValidate   StageName = "SpecValidate"
	SMART          StageName = "SMART"
	CPUStress      StageName = "CPUStress"
	Memory         StageName = "Memory"
	Storage        StageName = "Storage"
	Network        StageName = "Network"
	Burn           StageName = "Burn"
	GPU            StageName = "GPU"
	PSU            StageName = "PSU"
	Reporting      StageName = "Reporting"
)

// Pipeline returns all stages in the order in which they run.
func Pipeline() []StageName {
	return []StageName{
		InventoryCheck, Firmware, SpecValidate, SMART, CPUStress, Memory,
		Storage, Network, Burn, GPU, PSU, Reporting,
	}
}

// ByAppliance reports whether the appliance resolves the stage itself, while
// handling the result of the one before; the agent never sees it.
func (s StageName) ByAppliance() bool { return s == SpecValidate || s == Reporting }

// Verdict is how a stage or a run ended.
type Verdict string

// The verdicts. Cancelled belongs to runs only, skip and unmeasurable to stages
// and sub-steps.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Error        Verdict = "error" // we broke, not the hardware
	Skip         Verdict = "skip"
	Unmeasurable Verdict = "unmeasurable"
	Cancelled    Verdict = "cancelled"
)

// Stage is one row of a run's plan and what came of it.
type Stage struct {
	Name         StageName     `json:"name"`
	Phase        Phase         `json:"phase"`
	Verdict      Verdict       `json:"verdict,omitempty"`
	SkipReason   string        `json:"skip_reason,omitempty"`
	Attempt      int           `json:"attempt"` // 1 for the first try
	StartedAt    time.Time     `json:"started_at,omitzero"`
	EndedAt      time.Time     `json:"ended_at,omitzero"`
	Progress     float64       `json:"progress"` // 0..1
	SubStep      string        `json:"sub_step,omitempty"`
	ETA          time.Duration `json:"eta,omitempty"` // nanoseconds left, as the agent believes
	Findings     []Finding     `json:"findings,omitempty"`
	SubSteps     []SubStep     `json:"sub_steps,omitempty"`
	Measurements []Sample      `json:"measurements,omitempty"`
	Evaluations  []Evaluation  `json:"evaluations,omitempty"`
	Diffs        []SpecDiff    `json:"diffs,omitempty"`    // SpecValidate only
	Coverage     string        `json:"coverage,omitempty"` // "2 of 2 disks"; what was not tested is said here
	ResultSeq    uint64        `json:"result_seq,omitempty"`
	Meters       []Meter       `json:"meters,omitempty"` // of its parts, while it is under way
}

// Meter is how far a part of a stage is: a disk, while it is tested.
type Meter struct {
	Part     Part          `json:"part"`
	Step     string        `json:"step,omitempty"`  // what is done now: "verify"
	Walks    []Walk        `json:"walks,omitempty"` // all of it, in order
	Done     float64       `json:"done"`            // 0..1 of all
	Rate     float64       `json:"bytes_per_second,omitempty"`
	LeftLow  time.Duration `json:"left_low,omitempty"` // nanoseconds, as fast as it is now or was on the whole
	LeftHigh time.Duration `json:"left_high,omitempty"`
	Errors   int           `json:"errors,omitempty"` // so far
	Over     bool          `json:"over,omitempty"`
}

// Walk is one way over a part: a pattern is written, or read back and compared.
type Walk struct {
	Name string  `json:"name"` // "write"
	Pass int     `json:"pass,omitempty"`
	Done float64 `json:"done"` // 0..1
}

// The most that is kept of them.
const (
	MaxMeters    = 48
	MaxWalks     = 12
	MaxMeterWord = 48 // bytes of a name
)

// Phase says whether a stage waits, works or is over.
type Phase string

// The phases of a stage.
const (
	Pending Phase = "pending"
	Active  Phase = "active"
	Done    Phase = "done"
)

// SubStep is a part of a stage: a disk, a NIC, a kernel.
type SubStep struct {
	Name     string  `json:"name"`
	Part     Part    `json:"part"`
	Verdict  Verdict `json:"verdict"`
	Summary  string  `json:"summary,omitempty"` // one line
	Progress float64 `json:"progress"`
}
