// Package mark gives every state a sign, a word and a colour: never colour alone.
package mark

import (
	"vetting/core"
	"vetting/core/report"
)

// Mark is how a state looks.
type Mark struct {
	Class string // pass, warn, fail, err, run, hold, idle
	Icon  string // name of a sign
	Word  string
}

// Verdict marks how a stage or a run ended.
func Verdict(v core.Verdict) Mark {
	switch v {
	case core.Pass:
		return Mark{"pass", "check", "Pass"}
	case core.Fail:
		return Mark{"fail", "cross", "Fail"}
	case core.Error:
		return Mark{"err", "bang", "Error"}
	case core.Skip:
		return Mark{"idle", "dash", "Skipped"}
	case core.Unmeasurable:
		return Mark{"idle", "query", "Not measurable"}
	case core.Cancelled:
		return Mark{"idle", "dash", "Cancelled"}
	default:
		return Mark{"idle", "ring", "Open"}
	}
}

// Severity marks a finding.
func Severity(s core.Severity) Mark {
	switch s {
	case core.Critical:
		return Mark{"fail", "cross", "Critical"}
	case core.Warning:
		return Mark{"warn", "bang", "Warning"}
	case core.Info:
		return Mark{"run", "info", "Info"}
	default:
		return Mark{"idle", "ring", "Note"}
	}
}

// Read marks the verdict of a whole run as its report reads.
func Read(v report.Verdict) Mark {
	m := Verdict(v.Kind)
	if v.Kind == core.Pass && v.Warnings > 0 {
		m = Mark{Class: "warn", Icon: "bang"}
	}

	m.Word = v.Words

	return m
}

// Stage marks a row of the plan.
func Stage(phase core.Phase, v core.Verdict, warnings int) Mark {
	switch phase {
	case core.Active:
		return Mark{"run", "play", "Running"}
	case core.Pending:
		return Mark{"idle", "ring", "Waiting"}
	case core.Done:
	}

	m := Verdict(v)
	if v == core.Pass && warnings > 0 {
		m = Mark{"warn", "bang", "Warning"}
	}

	return m
}

// StageOf marks a stage of a run. What a run that is over did not get to does not wait.
func StageOf(run *core.Run, st *core.Stage) Mark {
	if run.State.Over() && st.Phase != core.Done {
		return Unfinished(!st.StartedAt.IsZero())
	}

	warnings := 0

	for i := range st.Findings {
		if st.Findings[i].Severity == core.Warning {
			warnings++
		}
	}

	return Stage(st.Phase, st.Verdict, warnings)
}

// Unfinished marks a stage that its run ended without, or in the middle of.
func Unfinished(begun bool) Mark {
	if begun {
		return Mark{"idle", "dash", "Broken off"}
	}

	return Mark{"idle", "dash", "Not run"}
}

// Run marks a run: where it is while it goes on, how it read when it is over.
func Run(run *core.Run) Mark {
	switch run.State {
	case core.StateRegistered, core.StateQueued:
		return Mark{"idle", "ring", "Queued"}
	case core.StateWaitingWoL, core.StateWaitingReboot, core.StateWaitingPower:
		return Mark{"run", "play", "Waking"}
	case core.StateBooting:
		return Mark{"run", "play", "Booting"}
	case core.StateFailed, core.StateFailedHolding:
		return Mark{"hold", "pause", "Holding"}
	case core.StateCancelled:
		return Mark{"idle", "dash", "Cancelled"}
	case core.StateCompleted, core.StateReleased:
		m := Read(report.Read(run, nil))

		switch m.Class {
		case "pass":
			m.Word = "Pass"
		case "warn":
			m.Word = "Warning"
		default:
			m.Word = Verdict(report.Read(run, nil).Kind).Word
		}

		return m
	}

	return Mark{"run", "play", "Running"}
}

// Online marks whether an installed host is heard.
func Online(is bool) Mark {
	if is {
		return Mark{"run", "check", "Online"}
	}

	return Mark{"idle", "ring", "Offline"}
}

// Key marks what a host key is good for.
func Key(s core.HostKeyState) Mark {
	switch s {
	case core.HostKeyApproved:
		return Mark{"pass", "check", "Approved"}
	case core.HostKeyPending:
		return Mark{"hold", "pause", "Waits for approval"}
	case core.HostKeyRevoked:
	}

	return Mark{"idle", "dash", "Revoked"}
}

// Host marks a host by its quarantine and the run that matters.
func Host(host *core.Host, run *core.Run) Mark {
	switch {
	case host.Quarantine != "":
		return Mark{"hold", "pause", "Quarantined"}
	case run == nil:
		return Mark{"idle", "ring", "Not vetted"}
	default:
		return Run(run)
	}
}
