package core

import "slices"

// Severity ranks a finding.
type Severity string

// The severities. A critical finding fails its stage.
const (
	Critical Severity = "critical"
	Warning  Severity = "warning"
	Info     Severity = "info"
)

// Rank orders severities, the gravest first: 0 is critical, and -1 what is none.
func (s Severity) Rank() int { return slices.Index([]Severity{Critical, Warning, Info}, s) }

// Finding is one thing worth telling.
type Finding struct {
	Code     string    `json:"code"` // "smart/pending-sectors": an entry of core/problem
	Severity Severity  `json:"severity"`
	Title    string    `json:"title"`
	Stage    StageName `json:"stage,omitempty"`
	Part     Part      `json:"part"`
	Evidence string    `json:"evidence"` // what was seen, with the numbers
	Next     string    `json:"next"`     // what a technician does now

	Subject string  `json:"subject,omitempty"` // what of the part, where one code says several things: a rule and a key, a field
	ID      string  `json:"id,omitempty"`      // Mark, where findings are shown
	Waiver  *Waiver `json:"waiver,omitempty"`  // where findings are shown: who bears with it
}

// Part names a thing one can pull out of a machine.
type Part struct {
	Kind   string `json:"kind,omitempty"` // "disk", "dimm", "cpu", "nic", "board", …
	Slot   string `json:"slot,omitempty"` // "DIMM_A2", "0000:03:00.0", "nvme0"
	Model  string `json:"model,omitempty"`
	Serial string `json:"serial,omitempty"`
}

// SpecDiff is one field where the expected spec and reality were compared and
// differ, or could not be compared.
type SpecDiff struct {
	Path        string   `json:"path"` // "memory.dimms.count"
	Expected    string   `json:"expected"`
	Actual      string   `json:"actual"` // empty with NotReported
	NotReported bool     `json:"not_reported,omitempty"`
	Severity    Severity `json:"severity"`
	Part        Part     `json:"part"`
}
