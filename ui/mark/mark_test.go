package mark_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/report"
	"vetting/ui/mark"
	"vetting/ui/static"
)

func warned() []core.Stage {
	return []core.Stage{{
		Name: core.Firmware, Phase: core.Done, Verdict: core.Pass, Findings: []core.Finding{{Severity: core.Warning, Title: "old"}},
	}}
}

func passed() []core.Stage {
	return []core.Stage{{Name: core.Firmware, Phase: core.Done, Verdict: core.Pass}}
}

func failed() []core.Stage {
	return []core.Stage{{
		Name: core.Firmware, Phase: core.Done, Verdict: core.Fail, Findings: []core.Finding{{Severity: core.Critical, Title: "broken"}},
	}}
}

// all are the marks of everything that can be marked, by what is marked.
func all() map[string]struct{ got, want mark.Mark } {
	type pair = struct{ got, want mark.Mark }

	run := func(state core.State, verdict core.Verdict, stages []core.Stage) mark.Mark {
		return mark.Run(&core.Run{State: state, Verdict: verdict, Stages: stages})
	}

	return map[string]pair{
		"verdict pass":         {mark.Verdict(core.Pass), mark.Mark{Class: "pass", Icon: "check", Word: "Pass"}},
		"verdict fail":         {mark.Verdict(core.Fail), mark.Mark{Class: "fail", Icon: "cross", Word: "Fail"}},
		"verdict error":        {mark.Verdict(core.Error), mark.Mark{Class: "err", Icon: "bang", Word: "Error"}},
		"verdict skip":         {mark.Verdict(core.Skip), mark.Mark{Class: "idle", Icon: "dash", Word: "Skipped"}},
		"verdict unmeasurable": {mark.Verdict(core.Unmeasurable), mark.Mark{Class: "idle", Icon: "query", Word: "Not measurable"}},
		"verdict cancelled":    {mark.Verdict(core.Cancelled), mark.Mark{Class: "idle", Icon: "dash", Word: "Cancelled"}},
		"no verdict":           {mark.Verdict(""), mark.Mark{Class: "idle", Icon: "ring", Word: "Open"}},
		"a verdict of later":   {mark.Verdict("perfect"), mark.Mark{Class: "idle", Icon: "ring", Word: "Open"}},

		"critical":   {mark.Severity(core.Critical), mark.Mark{Class: "fail", Icon: "cross", Word: "Critical"}},
		"warning":    {mark.Severity(core.Warning), mark.Mark{Class: "warn", Icon: "bang", Word: "Warning"}},
		"info":       {mark.Severity(core.Info), mark.Mark{Class: "run", Icon: "info", Word: "Info"}},
		"no urgency": {mark.Severity("shrug"), mark.Mark{Class: "idle", Icon: "ring", Word: "Note"}},

		"stage under way":         {mark.Stage(core.Active, "", 0), mark.Mark{Class: "run", Icon: "play", Word: "Running"}},
		"stage to come":           {mark.Stage(core.Pending, "", 0), mark.Mark{Class: "idle", Icon: "ring", Word: "Waiting"}},
		"stage passed":            {mark.Stage(core.Done, core.Pass, 0), mark.Mark{Class: "pass", Icon: "check", Word: "Pass"}},
		"stage warned":            {mark.Stage(core.Done, core.Pass, 1), mark.Mark{Class: "warn", Icon: "bang", Word: "Warning"}},
		"stage failed and warned": {mark.Stage(core.Done, core.Fail, 1), mark.Mark{Class: "fail", Icon: "cross", Word: "Fail"}},

		"registered run": {run(core.StateRegistered, "", nil), mark.Mark{Class: "idle", Icon: "ring", Word: "Queued"}},
		"queued run":     {run(core.StateQueued, "", nil), mark.Mark{Class: "idle", Icon: "ring", Word: "Queued"}},
		"woken run":      {run(core.StateWaitingWoL, "", nil), mark.Mark{Class: "run", Icon: "play", Word: "Waking"}},
		"rebooted run":   {run(core.StateWaitingReboot, "", nil), mark.Mark{Class: "run", Icon: "play", Word: "Waking"}},
		"unpowered run":  {run(core.StateWaitingPower, "", nil), mark.Mark{Class: "run", Icon: "play", Word: "Waking"}},
		"booting run":    {run(core.StateBooting, "", nil), mark.Mark{Class: "run", Icon: "play", Word: "Booting"}},
		"run in a stage": {run("SMART", "", nil), mark.Mark{Class: "run", Icon: "play", Word: "Running"}},
		"failed run":     {run(core.StateFailed, core.Fail, failed()), mark.Mark{Class: "hold", Icon: "pause", Word: "Holding"}},
		"held run":       {run(core.StateFailedHolding, core.Fail, failed()), mark.Mark{Class: "hold", Icon: "pause", Word: "Holding"}},
		"cancelled run":  {run(core.StateCancelled, core.Cancelled, nil), mark.Mark{Class: "idle", Icon: "dash", Word: "Cancelled"}},
		"passed run":     {run(core.StateCompleted, core.Pass, passed()), mark.Mark{Class: "pass", Icon: "check", Word: "Pass"}},
		"warned run":     {run(core.StateCompleted, core.Pass, warned()), mark.Mark{Class: "warn", Icon: "bang", Word: "Warning"}},
		"released run":   {run(core.StateReleased, core.Fail, failed()), mark.Mark{Class: "fail", Icon: "cross", Word: "Fail"}},
		"broken run":     {run(core.StateReleased, core.Error, nil), mark.Mark{Class: "err", Icon: "bang", Word: "Error"}},
		// The law of the report: what did not pass every stage never reads as pass.
		"a pass that did not run": {
			run(core.StateCompleted, core.Pass, []core.Stage{{Name: core.SMART, Phase: core.Pending}}),
			mark.Mark{Class: "err", Icon: "bang", Word: "Error"},
		},

		"host never vetted": {mark.Host(&core.Host{}, nil), mark.Mark{Class: "idle", Icon: "ring", Word: "Not vetted"}},
		"quarantined host": {
			mark.Host(&core.Host{Quarantine: "x"}, &core.Run{State: core.StateCompleted, Verdict: core.Pass, Stages: passed()}),
			mark.Mark{Class: "hold", Icon: "pause", Word: "Quarantined"},
		},
		"vetted host": {
			mark.Host(&core.Host{}, &core.Run{State: core.StateCompleted, Verdict: core.Pass, Stages: passed()}),
			mark.Mark{Class: "pass", Icon: "check", Word: "Pass"},
		},

		"a report that warns": {
			mark.Read(report.Verdict{Kind: core.Pass, Words: "PASS with 2 warnings", Warnings: 2}),
			mark.Mark{Class: "warn", Icon: "bang", Word: "PASS with 2 warnings"},
		},
		"a report that fails": {
			mark.Read(report.Verdict{Kind: core.Fail, Words: "FAIL", Warnings: 2}), mark.Mark{Class: "fail", Icon: "cross", Word: "FAIL"},
		},
	}
}

func TestEveryStateHasItsSignWordAndColour(t *testing.T) {
	t.Parallel()

	for name, c := range all() {
		if c.got != c.want {
			t.Errorf("%s: %+v, want %+v", name, c.got, c.want)
		}
	}
}

// Colour is never alone, and no colour is without its rule in the style.
func TestEveryMarkIsDrawnWithASignAWordAndAColour(t *testing.T) {
	t.Parallel()

	shapes, ring := map[string]string{}, drawn(t, mark.Mark{Icon: "ring"})

	for name, c := range all() {
		page := drawn(t, c.got)

		if !strings.Contains(page, c.got.Word) || !strings.Contains(page, "<svg") || !strings.Contains(page, `aria-hidden="true"`) {
			t.Errorf("%s is drawn as %s", name, page)
		}

		if !regexp.MustCompile(`\.` + c.got.Class + `\b[^{]*\{ --c: var`).MatchString(static.Base()) {
			t.Errorf("%s: the style has no colour for %q", name, c.got.Class)
		}

		shape := regexp.MustCompile(`(?s)<svg.*</svg>`).FindString(page)
		if c.got.Icon != "ring" && strings.Contains(ring, shape) {
			t.Errorf("%s: the sign %q is not drawn", name, c.got.Icon)
		}

		if other, known := shapes[shape]; known && other != c.got.Icon {
			t.Errorf("the signs %q and %q look alike", c.got.Icon, other)
		}

		shapes[shape] = c.got.Icon
	}
}

func TestTheWordOfAMarkIsText(t *testing.T) {
	t.Parallel()

	if page := drawn(t, mark.Mark{Class: "pass", Icon: "check", Word: "<script>x</script>"}); strings.Contains(page, "<script") {
		t.Error(page)
	}
}

func drawn(t *testing.T, m mark.Mark) string {
	t.Helper()

	var b bytes.Buffer
	if err := mark.Show(m).Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}

	return b.String()
}

func TestAStageOfARunThatIsOverDoesNotWait(t *testing.T) {
	t.Parallel()

	begun := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	warning := []core.Finding{{Severity: core.Warning}, {Severity: core.Info}}

	for name, c := range map[string]struct {
		state core.State
		stage core.Stage
		want  string
	}{
		"to come":             {core.State(core.SMART), core.Stage{Phase: core.Pending}, "Waiting"},
		"to come after a fix": {core.StateFailedHolding, core.Stage{Phase: core.Pending}, "Waiting"},
		"never reached":       {core.StateReleased, core.Stage{Phase: core.Pending}, "Not run"},
		"of a cancelled run":  {core.StateCancelled, core.Stage{Phase: core.Pending}, "Not run"},
		"broken off":          {core.StateCancelled, core.Stage{Phase: core.Pending, StartedAt: begun}, "Broken off"},
		"under way":           {core.State(core.SMART), core.Stage{Phase: core.Active, StartedAt: begun}, "Running"},
		"warned":              {core.StateCompleted, core.Stage{Phase: core.Done, Verdict: core.Pass, Findings: warning}, "Warning"},
		"only noted":          {core.StateCompleted, core.Stage{Phase: core.Done, Verdict: core.Pass, Findings: warning[1:]}, "Pass"},
	} {
		if got := mark.StageOf(&core.Run{State: c.state}, &c.stage); got.Word != c.want {
			t.Errorf("%s: %q, want %q", name, got.Word, c.want)
		}
	}
}
