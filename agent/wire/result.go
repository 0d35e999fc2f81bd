package wire

// Result is what came of a stage. The same seq twice gets the same answer and
// changes nothing.
type Result struct {
	Seq          uint64         `json:"seq"`
	Stage        StageName      `json:"stage"`
	Verdict      Verdict        `json:"verdict"`
	SkipReason   string         `json:"skip_reason,omitempty"` // with the verdict skip
	Findings     []Finding      `json:"findings"`
	SubSteps     []SubStep      `json:"sub_steps"`
	Measurements []Sample       `json:"measurements"`
	Coverage     string         `json:"coverage"`            // "2 of 2 disks"
	Inventory    *Inventory     `json:"inventory,omitempty"` // with InventoryCheck
	Firmware     []FirmwareItem `json:"firmware,omitempty"`  // with Firmware

	Settings []FirmwareSetting `json:"settings,omitempty"` // with Firmware
}

// Finding is one thing worth telling.
type Finding struct {
	Code     string    `json:"code"` // "smart/pending-sectors"
	Severity Severity  `json:"severity"`
	Title    string    `json:"title"`
	Stage    StageName `json:"stage,omitempty"`
	Part     Part      `json:"part"`
	Evidence string    `json:"evidence"` // what was seen, with the numbers
	Next     string    `json:"next"`     // what a technician does now
}

// Part names a thing one can pull out of a machine.
type Part struct {
	Kind   string `json:"kind,omitempty"`
	Slot   string `json:"slot,omitempty"`
	Model  string `json:"model,omitempty"`
	Serial string `json:"serial,omitempty"`
}

// SubStep is a part of a stage: a disk, a NIC, a kernel.
type SubStep struct {
	Name     string  `json:"name"`
	Part     Part    `json:"part"`
	Verdict  Verdict `json:"verdict"`
	Summary  string  `json:"summary,omitempty"`
	Progress float64 `json:"progress"`
}

// Validate checks shape and limits.
func (r Result) Validate() error {
	var f faults

	f.seq(r.Seq)
	f.need("stage", string(r.Stage), MaxName)
	f.need("verdict", string(r.Verdict), MaxName)
	f.atMost("skip_reason", len(r.SkipReason), MaxText)
	f.atMost("coverage", len(r.Coverage), MaxText)
	f.atMost("findings", len(r.Findings), MaxFindings)
	f.atMost("sub_steps", len(r.SubSteps), MaxSubSteps)
	f.atMost("measurements", len(r.Measurements), MaxMeasurements)
	f.atMost("firmware", len(r.Firmware), MaxParts)
	f.atMost("settings", len(r.Settings), MaxParts)
	f.samples("measurements", r.Measurements)

	if r.Verdict == VerdictSkip && r.SkipReason == "" {
		f.add("skip_reason is missing; a skip is declared, never silent")
	}

	for i := range r.Findings {
		f.finding(&r.Findings[i])
	}

	for i := range r.SubSteps {
		f.subStep(&r.SubSteps[i])
	}

	if r.Inventory != nil {
		f.inventory(r.Inventory)
	}

	return f.err()
}

func (f *faults) finding(v *Finding) {
	f.need("findings.code", v.Code, MaxName)
	f.need("findings.severity", string(v.Severity), MaxName)
	f.atMost("findings.title", len(v.Title), MaxText)
	f.atMost("findings.evidence", len(v.Evidence), MaxText)
	f.atMost("findings.next", len(v.Next), MaxText)
}

func (f *faults) subStep(v *SubStep) {
	f.need("sub_steps.verdict", string(v.Verdict), MaxName)
	f.atMost("sub_steps.name", len(v.Name), MaxName)
	f.atMost("sub_steps.summary", len(v.Summary), MaxText)
	f.ratio("sub_steps.progress", v.Progress)
}

// ResultReply answers [Result]: where the run is now.
type ResultReply struct {
	NextState State `json:"next_state"`
}

// Validate demands a state.
func (r ResultReply) Validate() error {
	var f faults

	f.need("next_state", string(r.NextState), MaxName)

	return f.err()
}
