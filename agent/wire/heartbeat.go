package wire

// Heartbeat is the sign of life.
type Heartbeat struct {
	Stage    StageName `json:"stage,omitempty"` // under way; empty between stages and in a hold
	SubStep  string    `json:"sub_step,omitempty"`
	Progress float64   `json:"progress"` // 0..1
	ETAS     Seconds   `json:"eta_s"`    // 0: unknown
	UptimeS  Seconds   `json:"uptime_s"`

	// Meters tell how far parts of the stage are: disks, while they are tested.
	Meters []Meter `json:"meters,omitempty"`
}

// Meter is how far a part of a stage is.
type Meter struct {
	Part      Part    `json:"part"`
	Step      string  `json:"step,omitempty"`  // what is done now
	Walks     []Walk  `json:"walks,omitempty"` // all of it, in order
	Done      float64 `json:"done"`            // 0..1
	Rate      float64 `json:"bytes_per_s"`
	LeftLowS  Seconds `json:"left_low_s,omitempty"` // 0 and left_high_s 0: not known
	LeftHighS Seconds `json:"left_high_s,omitempty"`
	Errors    int     `json:"errors,omitempty"`
	Over      bool    `json:"over,omitempty"`
}

// Walk is one way over a part: "write" or "verify" of a pass.
type Walk struct {
	Name string  `json:"name"`
	Pass int     `json:"pass,omitempty"`
	Done float64 `json:"done"` // 0..1
}

// check checks shape and limits.
func (m *Meter) check(f *faults) {
	for field, word := range map[string]string{
		"step": m.Step, "part.kind": m.Part.Kind, "part.slot": m.Part.Slot, "part.model": m.Part.Model, "part.serial": m.Part.Serial,
	} {
		f.atMost("meters."+field, len(word), MaxName)
	}

	f.atMost("meters.walks", len(m.Walks), MaxWalks)
	f.ratio("meters.done", m.Done)
	f.seconds("meters.left_low_s", m.LeftLowS)
	f.seconds("meters.left_high_s", m.LeftHighS)

	if !(m.Rate >= 0) || m.Errors < 0 {
		f.add("meters has a number below 0")
	}

	for _, w := range m.Walks {
		f.atMost("meters.walks.name", len(w.Name), MaxName)
		f.ratio("meters.walks.done", w.Done)
	}
}

// Validate checks shape and limits.
func (h Heartbeat) Validate() error {
	var f faults

	f.atMost("sub_step", len(h.SubStep), MaxName)
	f.ratio("progress", h.Progress)
	f.seconds("eta_s", h.ETAS)
	f.seconds("uptime_s", h.UptimeS)
	f.atMost("meters", len(h.Meters), MaxMeters)

	for i := range h.Meters {
		h.Meters[i].check(&f)
	}

	return f.err()
}

// Order answers [Heartbeat]. The state tells a hold (keep beating) from the end
// (stop, leave the machine to the operator).
type Order struct {
	Cmd             Command   `json:"cmd"`
	State           State     `json:"state"`
	Stage           StageName `json:"stage,omitempty"`            // with retry_stage
	OverrideFlags   []string  `json:"override_flags,omitempty"`   // with retry_stage
	OverrideUntil   Time      `json:"override_until,omitzero"`    // when the flags count no more
	WriteLeaseUntil Time      `json:"write_lease_until,omitzero"` // a destructive test stops when this is past
	Reboot          bool      `json:"reboot,omitempty"`           // with shutdown: start the machine anew instead

	// Outlook is for whoever stands in front of the machine; it decides nothing. Absent:
	// the appliance does not tell.
	Outlook *Outlook `json:"outlook,omitempty"`

	// Locate names, in a hold, the part that is to be found by its light, or was: where its time
	// is over the light goes off, whoever had it on. Absent: none, and a light that is on goes off.
	Locate *Locate `json:"locate,omitempty"`
}

// Locate is a part that is to be found by its light. A kind that the agent does not know
// is no reason to refuse the order.
type Locate struct {
	Kind  string `json:"kind"` // "disk", "nic"
	Name  string `json:"name"` // serial of the disk, name of the port
	Until Time   `json:"until"`
}

// check checks shape and limits.
func (l *Locate) check(f *faults) {
	if l == nil {
		return
	}

	f.need("locate.kind", l.Kind, MaxName)
	f.need("locate.name", l.Name, MaxName)

	if l.Until.IsZero() {
		f.add("locate.until is missing")
	}
}

// Outlook is what the machine's own screen says of a run besides what its agent knows.
type Outlook struct {
	Stage     int     `json:"stage,omitempty"`       // number of the stage under way in the run's plan, from 1; 0: none
	Stages    int     `json:"stages,omitempty"`      // of the plan
	LeftLowS  Seconds `json:"left_low_s,omitempty"`  // how long the run still takes, learned from runs before it
	LeftHighS Seconds `json:"left_high_s,omitempty"` // likewise; 0: it is not known
	LeftGuess bool    `json:"left_guess,omitempty"`  // not all of it was learned
	Critical  int     `json:"critical,omitempty"`    // findings so far that nobody waived
	Warnings  int     `json:"warnings,omitempty"`    // likewise
	Verdict   string  `json:"verdict,omitempty"`     // of the run: pass, fail, error, cancelled; empty: undecided
	HoldUntil Time    `json:"hold_until,omitzero"`   // when a hold ends
}

// check checks shape and limits.
func (o *Outlook) check(f *faults) {
	if o == nil {
		return
	}

	f.seconds("outlook.left_low_s", o.LeftLowS)
	f.seconds("outlook.left_high_s", o.LeftHighS)
	f.atMost("outlook.verdict", len(o.Verdict), MaxName)

	if min(o.Stage, o.Stages, o.Critical, o.Warnings) < 0 {
		f.add("outlook has a number below 0")
	}
}

// Validate checks shape and limits.
func (o Order) Validate() error {
	var f faults

	f.need("cmd", string(o.Cmd), MaxName)
	f.need("state", string(o.State), MaxName)
	f.atMost("override_flags", len(o.OverrideFlags), MaxName)

	o.Outlook.check(&f)
	o.Locate.check(&f)

	if o.Cmd == CmdRetryStage && o.Stage == "" {
		f.add("stage is missing; retry_stage needs one")
	}

	return f.err()
}
