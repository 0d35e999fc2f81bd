package wire

// Heartbeat is the sign of life.
type Heartbeat struct {
	Stage    StageName `json:"stage,omitempty"` // under way; empty between stages and in a hold
	SubStep  string    `json:"sub_step,omitempty"`
	Progress float64   `json:"progress"` // 0..1
	ETAS     Seconds   `json:"eta_s"`    // 0: unknown
	UptimeS  Seconds   `json:"uptime_s"`
}

// Validate checks shape and limits.
func (h Heartbeat) Validate() error {
	var f faults

	f.atMost("sub_step", len(h.SubStep), MaxName)
	f.ratio("progress", h.Progress)
	f.seconds("eta_s", h.ETAS)
	f.seconds("uptime_s", h.UptimeS)

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
}

// Validate checks shape and limits.
func (o Order) Validate() error {
	var f faults

	f.need("cmd", string(o.Cmd), MaxName)
	f.need("state", string(o.State), MaxName)
	f.atMost("override_flags", len(o.OverrideFlags), MaxName)

	if o.Cmd == CmdRetryStage && o.Stage == "" {
		f.add("stage is missing; retry_stage needs one")
	}

	return f.err()
}
