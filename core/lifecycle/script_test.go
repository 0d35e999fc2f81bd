package lifecycle_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/lifecycle"
)

// runner plays a run without an engine: it keeps state and plan as the engine
// would.
type runner struct {
	state core.State
	plan  []core.Stage
}

func newRunner(names ...core.StageName) *runner {
	r := &runner{state: core.StateRegistered}
	for _, name := range names {
		r.plan = append(r.plan, core.Stage{Name: name, Phase: core.Pending})
	}

	return r
}

// step applies an event and returns the line of the trace.
func (r *runner) step(event lifecycle.Event) string {
	trial := slices.Clone(r.plan)
	r.note(trial, event)

	m, err := lifecycle.Step(r.state, trial, event)
	if err != nil {
		if p, ok := errors.AsType[*core.Problem](err); ok {
			return "refused " + p.Error()
		}

		return "refused " + err.Error()
	}

	before := r.state
	r.state, r.plan = m.Next, trial

	for i := range r.plan {
		s := &r.plan[i]

		switch {
		case m.Owes(lifecycle.RestartStage) && core.State(s.Name) == r.state,
			m.Owes(lifecycle.StartStage) && core.State(s.Name) == r.state:
			s.Phase, s.Verdict = core.Active, ""
		case m.Owes(lifecycle.RestartStage) && s.Verdict != core.Pass:
			s.Phase, s.Verdict = core.Pending, ""
		}
	}

	owed := ""
	if len(m.Owed) > 0 {
		owed = fmt.Sprint(" ", m.Owed)
	}

	return fmt.Sprintf("%s -> %s%s", before, r.state, owed)
}

// note ends the stage under way as the event says.
func (r *runner) note(plan []core.Stage, event lifecycle.Event) {
	verdicts := map[lifecycle.Event]core.Verdict{
		lifecycle.Clear: core.Pass, lifecycle.Fail: core.Fail, lifecycle.Breach: core.Fail,
		lifecycle.Reset: core.Fail, lifecycle.Break: core.Error, lifecycle.ContactTimeout: core.Error,
	}

	verdict, ends := verdicts[event]
	if !ends {
		return
	}

	for i := range plan {
		if core.State(plan[i].Name) == r.state {
			plan[i].Phase, plan[i].Verdict = core.Done, verdict
		}
	}
}

// TestScripts plays testdata/*.txt: "plan" names the stages, every other line is
// an event, and below each stands what it does, indented.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}

	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}

		var (
			r   *runner
			out strings.Builder
		)

		for line := range strings.Lines(string(raw)) {
			line = strings.TrimRight(line, "\n")

			switch words := strings.Fields(line); {
			case strings.HasPrefix(line, "  "): // an old trace
			case len(words) == 0 || words[0] == "#":
				fmt.Fprintln(&out, line)
			case words[0] == "plan":
				fmt.Fprintln(&out, line)

				r = newRunner()
				for _, w := range words[1:] {
					r.plan = append(r.plan, core.Stage{Name: core.StageName(w), Phase: core.Pending})
				}
			default:
				fmt.Fprintf(&out, "%s\n  %s\n", line, r.step(lifecycle.Event(words[0])))
			}
		}

		golden(t, file, out.String())
	}
}
