package lifecycle

// Event is what can happen to a run.
type Event string

// The events.
const (
	// Enqueue: an operator wants the host vetted.
	Enqueue Event = "enqueue"
	// DispatchWoL: it is the run's turn, and its host is woken over the network.
	DispatchWoL Event = "dispatch-wol"
	// DispatchReboot: it is the run's turn, and an installed agent reboots its host.
	DispatchReboot Event = "dispatch-reboot"
	// DispatchPower: it is the run's turn, and somebody switches its host on.
	DispatchPower Event = "dispatch-power"
	// Arm: the host fetched its boot script, so a boot token was minted.
	Arm Event = "arm"
	// Claim: the agent on the right machine took the run over.
	Claim Event = "claim"
	// Reset: the machine came back with another boot id, without being asked.
	Reset Event = "reset"
	// Clear: the stage is done and the run may go on (pass, declared skip, unmeasurable).
	Clear Event = "clear"
	// Fail: the stage found the hardware bad.
	Fail Event = "fail"
	// Break: the stage could not be carried out; the hardware is not judged.
	Break Event = "break"
	// Breach: a critical threshold was broken while the stage ran.
	Breach Event = "breach"
	// BootTimeout: the boot deadline passed without a claim.
	BootTimeout Event = "boot-timeout"
	// ContactTimeout: the agent has not been heard for too long.
	ContactTimeout Event = "contact-timeout"
	// Hold: the failure is written down; keep the host for the operator.
	Hold Event = "hold"
	// Retry: the operator wants the failed stage run again.
	Retry Event = "retry"
	// Release: the operator is done with the held host.
	Release Event = "release"
	// Condemn: the operator ends the hold and gives the host up as failed.
	Condemn Event = "condemn"
	// HoldTimeout: nobody came for the held host.
	HoldTimeout Event = "hold-timeout"
	// Cancel: the operator calls the run off.
	Cancel Event = "cancel"
)

// Events returns all events, in the order in which a run meets them.
func Events() []Event {
	return []Event{
		Enqueue, DispatchWoL, DispatchReboot, DispatchPower, Arm, Claim, Reset, Clear, Fail, Break,
		Breach, BootTimeout, ContactTimeout, Hold, Retry, Release, Condemn, HoldTimeout, Cancel,
	}
}

// Action is something owed because of a transition. The engine pays it in the
// same write, except Wake, which leaves after the write.
type Action string

// The actions.
const (
	StartBootDeadline    Action = "start-boot-deadline"    // 15 min to be claimed
	StartContactDeadline Action = "start-contact-deadline" // 5 min without a heartbeat
	StartHoldDeadline    Action = "start-hold-deadline"    // 24 h for the operator
	Wake                 Action = "wake"                   // bring the host to boot, by the way it is at, after the write
	RaiseEpoch           Action = "raise-epoch"            // fence the boot before
	StartStage           Action = "start-stage"            // of the next state
	RestartStage         Action = "restart-stage"          // forget what the failed stage found
	MarkReset            Action = "mark-reset"             // stage fails with host/spontaneous-reset
	MarkBreach           Action = "mark-breach"            // stage fails with the broken thresholds
	MarkLost             Action = "mark-lost"              // stage ends in error, host/lost-contact
	MarkNoBoot           Action = "mark-no-boot"           // run gets boot/deadline
	MarkStopped          Action = "mark-stopped"           // stage under way ends unfinished
	MarkCondemned        Action = "mark-condemned"         // run gets run/failed-by-operator, with the reason
	JudgePass            Action = "verdict-pass"
	JudgeFail            Action = "verdict-fail"
	JudgeError           Action = "verdict-error"
	JudgeCancelled       Action = "verdict-cancelled"
	WriteReport          Action = "write-report"
	RevokeTokens         Action = "revoke-tokens" // no new boot, no session but for the last word
	FreeHost             Action = "free-host"     // the host may be vetted again
	PowerOff             Action = "power-off"     // told to the agent at its next heartbeat
)
