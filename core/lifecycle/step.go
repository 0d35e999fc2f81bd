package lifecycle

import (
	"fmt"
	"slices"

	"vetting/core"
)

// Move is a transition that is allowed.
type Move struct {
	Next core.State
	Owed []Action // in the order in which they are to be paid
}

// Owes reports whether the move asks for an action.
func (m Move) Owes(a Action) bool { return slices.Contains(m.Owed, a) }

// Step says where event leads a run that is in state, with the given plan. The
// plan's rows must be as they stand after the event: for Clear the stage just
// ended is Done, for Retry the stage to run again comes from Again. The error is
// a *core.Problem of kind core.ErrConflict that carries the state.
func Step(state core.State, plan []core.Stage, event Event) (Move, error) {
	for _, r := range table() {
		if r.event == event && slices.Contains(r.from, state) {
			return resolve(r, state, plan)
		}
	}

	return Move{}, refuse(state, event)
}

func resolve(r row, state core.State, plan []core.Stage) (Move, error) {
	switch r.to {
	case stay:
		return Move{Next: state, Owed: r.owed}, nil
	case nextStage:
		for _, s := range plan {
			if s.Phase != core.Done {
				return Move{Next: core.State(s.Name), Owed: r.owed}, nil
			}
		}

		return Move{Next: core.StateCompleted, Owed: onCompletion()}, nil
	case failedStage:
		name, ok := Again(plan)
		if !ok {
			return Move{}, core.NewProblem(core.ErrConflict, "run/nothing-to-retry",
				"No stage of this run has failed, so there is none to run again; release it and start a new run.")
		}

		return Move{Next: core.State(name), Owed: r.owed}, nil
	default:
		return Move{Next: core.State(r.to), Owed: r.owed}, nil
	}
}

// Again names the stage to run when the operator asks for a retry: the first one
// that ended in fail or error, or, when that is one of the appliance's, the
// agent's stage that its evidence comes from.
func Again(plan []core.Stage) (core.StageName, bool) {
	i := slices.IndexFunc(plan, func(s core.Stage) bool {
		return s.Phase == core.Done && (s.Verdict == core.Fail || s.Verdict == core.Error)
	})
	if i < 0 {
		return "", false
	}

	if !plan[i].Name.ByAppliance() {
		return plan[i].Name, true
	}

	return evidence(plan, i)
}

// evidence finds the stage that an appliance's stage judges: the inventory for
// SpecValidate, the first unmeasurable stage for Reporting.
func evidence(plan []core.Stage, i int) (core.StageName, bool) {
	for _, s := range plan[:i] {
		if plan[i].Name == core.SpecValidate && s.Name == core.InventoryCheck {
			return s.Name, true
		}

		if plan[i].Name == core.Reporting && s.Verdict == core.Unmeasurable && !s.Name.ByAppliance() {
			return s.Name, true
		}
	}

	return "", false
}

func refuse(state core.State, event Event) error {
	p := core.NewProblem(core.ErrConflict, "run/wrong-state", sentence(state, event))

	return p.With("state", string(state)).With("event", string(event))
}

// sentence says in words why a pair is refused and what to do instead.
func sentence(state core.State, event Event) string {
	switch {
	case state.Over():
		return fmt.Sprintf("This run is over (%s) and nothing moves it any more; start a new run.", state)
	case event == Cancel && state == core.StateFailedHolding:
		return "This run has failed and its host is held; release it instead of cancelling it."
	case event == Release:
		return fmt.Sprintf("Only a held host can be released, and this run is in %s; cancel the run to stop it.", state)
	case event == Condemn:
		return fmt.Sprintf("Only the run of a held host can be ended as failed, and this run is in %s; cancel the run to stop it.", state)
	case event == Retry:
		return fmt.Sprintf("Only a held run can run its failed stage again, and this run is in %s.", state)
	case event == Claim:
		return fmt.Sprintf("This run waits for no machine (it is in %s); boot the host from the network first.", state)
	default:
		return fmt.Sprintf("%q does not happen to a run in %s; look at the run's page for what is possible now.", event, state)
	}
}
