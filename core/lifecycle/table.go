package lifecycle

import (
	"slices"

	"vetting/core"
)

// target is where a row leads. It is a state, or one of the symbols, which the
// run's plan resolves.
type target string

const (
	stay        target = "(stays)"
	nextStage   target = "(next stage of the plan, or Completed)"
	failedStage target = "(stage to run again)"
)

// row is one line of the table: the states it holds for, the event, where it
// leads and what is owed.
type row struct {
	from  []core.State
	event Event
	to    target
	owed  []Action
}

// table returns the rows. A pair of state and event is in one row at most.
func table() []row {
	return slices.Concat(queueRows(), bootRows(), stageRows(), holdRows(), cancelRows())
}

func queueRows() []row {
	queued := []core.State{core.StateQueued}

	return []row{
		{[]core.State{core.StateRegistered}, Enqueue, target(core.StateQueued), nil},
		{queued, DispatchWoL, target(core.StateWaitingWoL), []Action{StartBootDeadline, Wake}},
		{queued, DispatchReboot, target(core.StateWaitingReboot), []Action{StartBootDeadline, Wake}},
		{queued, DispatchPower, target(core.StateWaitingPower), []Action{StartBootDeadline, Wake}},
		// The way before did not work; the deadline stays.
		{waiting(), DispatchWoL, target(core.StateWaitingWoL), []Action{Wake}},
		{waiting(), DispatchReboot, target(core.StateWaitingReboot), []Action{Wake}},
		{waiting(), DispatchPower, target(core.StateWaitingPower), []Action{Wake}},
	}
}

func bootRows() []row {
	return []row{
		{waiting(), Arm, target(core.StateBooting), nil},
		{booting(), Arm, stay, nil},
		{stages(), Arm, stay, nil},
		{holding(), Arm, stay, nil},
		{booting(), Claim, nextStage, []Action{RaiseEpoch, StartStage, StartContactDeadline}},
		{stages(), Claim, stay, []Action{RaiseEpoch, StartContactDeadline}},
		{holding(), Claim, stay, []Action{RaiseEpoch}},
		{slices.Concat(waiting(), booting()), BootTimeout, target(core.StateFailed), []Action{MarkNoBoot, JudgeError}},
	}
}

func stageRows() []row {
	failed := target(core.StateFailed)

	return []row{
		{stages(), Clear, nextStage, []Action{StartStage, StartContactDeadline}},
		{stages(), Fail, failed, []Action{JudgeFail}},
		{stages(), Break, failed, []Action{JudgeError}},
		{stages(), Breach, failed, []Action{MarkBreach, JudgeFail}},
		{stages(), Reset, failed, []Action{MarkReset, JudgeFail}},
		{stages(), ContactTimeout, failed, []Action{MarkLost, JudgeError}},
	}
}

func holdRows() []row {
	released := target(core.StateReleased)

	return []row{
		{[]core.State{core.StateFailed}, Hold, target(core.StateFailedHolding), []Action{WriteReport, StartHoldDeadline}},
		{holding(), Retry, failedStage, []Action{RestartStage, StartBootDeadline}},
		{holding(), Release, released, []Action{RevokeTokens, FreeHost, WriteReport}},
		{holding(), Condemn, released, []Action{MarkCondemned, JudgeFail, RevokeTokens, FreeHost, WriteReport}},
		{holding(), HoldTimeout, released, []Action{PowerOff, RevokeTokens, FreeHost, WriteReport}},
	}
}

func cancelRows() []row {
	active := slices.Concat(
		[]core.State{core.StateRegistered, core.StateQueued}, waiting(), booting(), stages())

	return []row{
		{
			active, Cancel, target(core.StateCancelled),
			[]Action{MarkStopped, JudgeCancelled, RevokeTokens, FreeHost, WriteReport},
		},
	}
}

// onCompletion is owed besides when nextStage finds no stage left.
func onCompletion() []Action {
	return []Action{JudgePass, RevokeTokens, FreeHost, WriteReport, PowerOff}
}

// States returns every state a run can be in, in the order of a good life, then
// the bad ends.
func States() []core.State {
	return slices.Concat(
		[]core.State{core.StateRegistered, core.StateQueued}, waiting(), booting(), stages(),
		[]core.State{
			core.StateCompleted, core.StateFailed, core.StateFailedHolding, core.StateReleased, core.StateCancelled,
		})
}

func waiting() []core.State {
	return []core.State{core.StateWaitingWoL, core.StateWaitingReboot, core.StateWaitingPower}
}

func booting() []core.State { return []core.State{core.StateBooting} }

func holding() []core.State { return []core.State{core.StateFailedHolding} }

func stages() (states []core.State) {
	for _, name := range core.Pipeline() {
		states = append(states, core.State(name))
	}

	return states
}
