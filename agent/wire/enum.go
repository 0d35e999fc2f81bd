package wire

import (
	"fmt"
	"slices"
)

// UnknownValueError tells of a value that its enumeration does not have. An
// empty value counts as not told and is left to Validate.
type UnknownValueError struct {
	Kind  string // "verdict"
	Value string // as sent, shortened to 64 bytes
}

// Error names the enumeration and the value.
func (e *UnknownValueError) Error() string {
	return fmt.Sprintf("%q is not a %s this version knows", e.Value, e.Kind)
}

func decodeEnum[T ~string](kind string, text []byte, known []T, into *T) error {
	value := T(text)
	if value != "" && !slices.Contains(known, value) {
		return &UnknownValueError{Kind: kind, Value: string(text[:min(len(text), 64)])}
	}

	*into = value

	return nil
}

// StageName names a step of the pipeline.
type StageName string

// StageNames returns every stage, in pipeline order.
func StageNames() []StageName {
	return []StageName{
		"InventoryCheck", "Firmware", "SpecValidate", "SMART", "CPUStress", "Memory",
		"Storage", "Network", "Burn", "GPU", "PSU", "Reporting",
	}
}

// UnmarshalText refuses a stage that is not in the pipeline.
func (s *StageName) UnmarshalText(text []byte) error {
	return decodeEnum("stage", text, StageNames(), s)
}

// State is where a run is: a stage's name, or one of those around the pipeline.
type State string

// The states the agent acts upon.
const (
	StateCompleted     State = "Completed"
	StateFailed        State = "Failed"
	StateFailedHolding State = "FailedHolding"
	StateReleased      State = "Released"
	StateCancelled     State = "Cancelled"
)

// States returns every state of a run.
func States() []State {
	states := []State{
		"Registered", "Queued", "WaitingWoL", "WaitingReboot", "WaitingPower", "Booting",
		StateCompleted, StateFailed, StateFailedHolding, StateReleased, StateCancelled,
	}

	for _, stage := range StageNames() {
		states = append(states, State(stage))
	}

	return states
}

// UnmarshalText refuses a state that runs cannot be in.
func (s *State) UnmarshalText(text []byte) error { return decodeEnum("state", text, States(), s) }

// Verdict is how a stage or a sub-step ended.
type Verdict string

// The verdicts of a stage.
const (
	VerdictPass         Verdict = "pass"
	VerdictFail         Verdict = "fail"
	VerdictError        Verdict = "error"
	VerdictSkip         Verdict = "skip"
	VerdictUnmeasurable Verdict = "unmeasurable"
)

// Verdicts returns every verdict of a stage.
func Verdicts() []Verdict {
	return []Verdict{VerdictPass, VerdictFail, VerdictError, VerdictSkip, VerdictUnmeasurable}
}

// UnmarshalText refuses what is no verdict of a stage.
func (v *Verdict) UnmarshalText(text []byte) error {
	return decodeEnum("verdict", text, Verdicts(), v)
}

// Severity ranks a finding.
type Severity string

// Severities returns every severity.
func Severities() []Severity { return []Severity{"critical", "warning", "info"} }

// UnmarshalText refuses what is no severity.
func (s *Severity) UnmarshalText(text []byte) error {
	return decodeEnum("severity", text, Severities(), s)
}

// Level ranks a line of the log.
type Level string

// The levels of the log.
const (
	LevelDebug Level = "debug"
	LevelInfo  Level = "info"
	LevelWarn  Level = "warn"
	LevelError Level = "error"
)

// Levels returns every level.
func Levels() []Level { return []Level{LevelDebug, LevelInfo, LevelWarn, LevelError} }

// UnmarshalText refuses what is no level.
func (l *Level) UnmarshalText(text []byte) error { return decodeEnum("log level", text, Levels(), l) }

// Command tells the agent what to do next.
type Command string

// The commands an answer to a heartbeat brings.
const (
	CmdContinue   Command = "continue"
	CmdShutdown   Command = "shutdown"    // the run is Completed: power off
	CmdAbort      Command = "abort"       // kill the workers; keep beating in FailedHolding and in a stage, stop in Released and Cancelled
	CmdRetryStage Command = "retry_stage" // run the stage again
)

// Commands returns every command.
func Commands() []Command {
	return []Command{CmdContinue, CmdShutdown, CmdAbort, CmdRetryStage}
}

// UnmarshalText refuses what is no command.
func (c *Command) UnmarshalText(text []byte) error { return decodeEnum("command", text, Commands(), c) }

// FirmwareMode says how the machine was booted.
type FirmwareMode string

// The two ways to boot a PC.
const (
	ModeBIOS FirmwareMode = "bios"
	ModeUEFI FirmwareMode = "uefi"
)

// UnmarshalText refuses what is neither "bios" nor "uefi".
func (m *FirmwareMode) UnmarshalText(text []byte) error {
	return decodeEnum("firmware mode", text, []FirmwareMode{ModeBIOS, ModeUEFI}, m)
}
