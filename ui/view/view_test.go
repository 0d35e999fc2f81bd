package view_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"
	"github.com/google/go-cmp/cmp"

	"vetting/core"
	"vetting/core/report"
	"vetting/core/route"
	"vetting/ui/canned"
	"vetting/ui/lookup"
	"vetting/ui/pace"
	"vetting/ui/trial"
	"vetting/ui/view"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func frame() view.Frame {
	return view.Frame{Title: "T", Active: "/", User: "ada", Scope: route.Admin, CSS: "/c", JS: "/j", Icon: "/i", Follows: "rack", Seq: 7, Now: canned.Now()}
}

func draw(t *testing.T, page templ.Component) string {
	t.Helper()

	var b bytes.Buffer
	if err := page.Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}

	return b.String()
}

// cut returns what stands from one word to another, both without.
func cut(t *testing.T, page, from, to string) string {
	t.Helper()

	_, rest, found := strings.Cut(page, from)
	if !found {
		t.Fatalf("the page lacks %q", from)
	}

	part, _, found := strings.Cut(rest, to)
	if !found {
		t.Fatalf("the page lacks %q after %q", to, from)
	}

	return part
}

// plain leaves words, one row of the page on one line.
func plain(part string) string {
	part = regexp.MustCompile(`(?s)<svg.*?</svg>`).ReplaceAllString(part, "")
	part = regexp.MustCompile(`</?(?:div|p|li|ol|ul|section|button|form|h1|h2|a|progress|small|input)\b[^>]*>`).ReplaceAllString(part, "\n")
	part = regexp.MustCompile(`<[^>]*>`).ReplaceAllString(part, " ")

	var rows []string

	for row := range strings.SplitSeq(part, "\n") {
		if row = strings.Join(strings.Fields(row), " "); row != "" {
			rows = append(rows, row)
		}
	}

	return strings.Join(rows, "\n") + "\n"
}

func golden(t *testing.T, name, got string) {
	t.Helper()

	file := filepath.Join("testdata", name)

	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func stages(done int, active bool) []core.Stage {
	var list []core.Stage

	for i, name := range []core.StageName{core.InventoryCheck, core.Firmware, core.SMART, core.Reporting} {
		st := core.Stage{Name: name, Phase: core.Pending, Attempt: 1}

		switch {
		case i < done:
			st.Phase, st.Verdict, st.StartedAt, st.EndedAt = core.Done, core.Pass, canned.Now().Add(-time.Hour), canned.Now().Add(-58*time.Minute)
		case i == done && active:
			st.Phase, st.Progress, st.ETA, st.SubStep = core.Active, 0.4, 3*time.Minute, "sda"
		}

		list = append(list, st)
	}

	return list
}

// runs is a run in every state there is, in the order of its life.
func runs() []core.Run {
	var list []core.Run

	add := func(state core.State, done int, change func(*core.Run)) {
		run := core.Run{
			ID: core.RunID(fmt.Sprintf("01JD4X000000000000000000%02d", len(list))), Host: canned.Host, HostName: "u1", State: state,
			Profile: core.Profile{Name: "quick", Scale: 1}, Stages: stages(done, core.StageName(state) != "" && change == nil),
			CreatedAt: canned.Now().Add(-70 * time.Minute), StartedAt: canned.Now().Add(-time.Hour), UpdatedAt: canned.Now(),
			LastBeat: canned.Now().Add(-3 * time.Second), Operator: "ada",
		}
		if change != nil {
			change(&run)
		}

		list = append(list, run)
	}
	waits := func(r *core.Run) {
		r.LastBeat, r.Deadline = time.Time{}, canned.Now().Add(13*time.Minute)
	}
	queued := func(r *core.Run) { r.LastBeat, r.StartedAt = time.Time{}, time.Time{} }
	ends := func(v core.Verdict) func(*core.Run) {
		return func(r *core.Run) { r.Verdict, r.EndedAt = v, canned.Now().Add(-10*time.Minute) }
	}

	add(core.StateRegistered, 0, queued)
	add(core.StateQueued, 0, queued)
	add(core.StateWaitingWoL, 0, waits)
	add(core.StateWaitingReboot, 0, waits)
	add(core.StateWaitingPower, 0, waits)
	add(core.StateBooting, 0, waits)

	for i, st := range stages(0, false) {
		add(core.State(st.Name), i, nil)
	}

	add(core.State(core.SMART), 2, func(r *core.Run) { r.LastBeat = canned.Now().Add(-2 * time.Minute); r.Stages = stages(2, true) })
	add(core.StateFailed, 2, func(r *core.Run) { r.Verdict = core.Fail; r.Stages[1].Verdict = core.Fail })
	add(core.StateFailedHolding, 2, func(r *core.Run) { r.Verdict = core.Fail; r.Stages[1].Verdict, r.Stages[1].Attempt = core.Fail, 2 })
	add(core.StateCompleted, 4, ends(core.Pass))
	add(core.StateReleased, 2, func(r *core.Run) { ends(core.Fail)(r); r.Stages[1].Verdict = core.Fail })
	add(core.StateCancelled, 1, ends(core.Cancelled))

	return list
}

// What a tile of the rack and the head of a run say in every state.
func TestWhatIsSaidOfARunInEveryState(t *testing.T) {
	t.Parallel()

	rows := []view.HostRow{
		{Host: core.Host{MAC: "52:54:00:00:00:01", Name: "never"}},
		{Host: core.Host{MAC: "52:54:00:00:00:02", Quarantine: "another machine answered"}},
	}

	var heads strings.Builder

	for _, run := range runs() {
		rows = append(rows, view.HostRow{Host: core.Host{MAC: canned.Host, Name: string(run.State)}, Run: &run, Model: "Dell Inc. R740"})

		page := view.Run{Frame: frame(), Run: run, Report: report.Build(report.Input{Run: run, Now: canned.Now()})}
		drawn := draw(t, view.ShowRun(&page))

		fmt.Fprintf(&heads, "== %s\n%s%s", run.State, plain(cut(t, drawn, `<div id="run-head" data-live>`, `<ol class="stages`)),
			plain(cut(t, drawn, `id="run-stages" data-live>`, `<div class="two top">`)))
	}

	golden(t, "heads.txt", heads.String())

	rack := draw(t, view.ShowRack(view.Rack{Frame: frame(), Rows: rows}))
	golden(t, "tiles.txt", strings.ReplaceAll(plain(strings.ReplaceAll("<div"+cut(t, rack, `<div id="rack" data-live`, `</main>`), `<a class="tile`, `<p>--</p><a class="tile`)), "--\n", "\n"))
}

// What was put beside the boot image is part of what the run did: by name and digest.
func TestARunNamesItsOverlays(t *testing.T) {
	t.Parallel()

	run := runs()[0]
	page := view.Run{Frame: frame(), Run: run, Report: report.Build(report.Input{Run: run, Now: canned.Now()})}

	if drawn := draw(t, view.ShowRun(&page)); strings.Contains(drawn, "Overlays") {
		t.Error("a run without overlays speaks of some")
	}

	page.Run.Overlays = []core.Overlay{
		{Name: "nvidia", SHA256: strings.Repeat("ab", 32), Bytes: 300 << 20},
		{Name: "acme", SHA256: strings.Repeat("cd", 32), Bytes: 4096, Scripts: []core.Script{{Name: "fan-check", Stage: core.Burn}, {Name: "<b>x", Stage: core.PSU}}},
	}

	card := plain(cut(t, draw(t, view.ShowRun(&page)), `<section class="card" id="run-overlays">`, `</section>`))

	for _, want := range []string{"nvidia", strings.Repeat("ab", 32), "300", "acme", strings.Repeat("cd", 32), "fan-check after Burn, ", "x after PSU"} {
		if !strings.Contains(card, want) {
			t.Errorf("%q is not in it: %s", want, card)
		}
	}

	if strings.Contains(draw(t, view.ShowRun(&page)), "<b>x") {
		t.Error("a name is taken for HTML")
	}
}

// A rack of nothing, and forms as they first stand.
func TestAPageOfNothingSaysWhatToDo(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		page templ.Component
		want string
	}{
		"no hosts":           {view.ShowRack(view.Rack{Frame: frame()}), "Add a host by its MAC address"},
		"no host that fits":  {view.ShowHosts(&view.Hosts{Frame: frame(), Rows: make([]view.HostRow, 3), Want: view.HostsWant{Query: "x"}}), "show all 3"},
		"no runs":            {view.ShowRuns(&view.Runs{Frame: frame()}), "Open a host and start one."},
		"no runs that fit":   {view.ShowRuns(&view.Runs{Frame: frame(), Filter: lookup.Filter{State: "over"}}), "None fits the filter."},
		"nobody heard":       {view.ShowInbox(&view.Inbox{Frame: frame()}), "Nothing unknown has asked for an address"},
		"no administrator":   {view.ShowLogin(&view.Login{Frame: frame()}), "vetting admin link"},
		"a link that is old": {view.ShowSetup(&view.Setup{Frame: frame()}), "vetting admin link"},
		"a problem":          {view.ShowProblem(&view.Problem{Frame: frame(), Status: 404, Code: "a/b", Text: "Not here."}), "a/b</span> · 404"},
	} {
		if drawn := draw(t, c.page); !strings.Contains(drawn, c.want) {
			t.Errorf("%s: the page lacks %q", name, c.want)
		}
	}
}

func TestTheFrameFollowsWhoLooks(t *testing.T) {
	t.Parallel()

	nobody := frame()
	nobody.User, nobody.Follows = "", ""

	if drawn := draw(t, view.ShowLogin(&view.Login{Frame: nobody, Peopled: true})); strings.Contains(drawn, "<nav") || strings.Contains(drawn, "Sign out") {
		t.Error("who is not signed in sees the navigation")
	}

	dark := frame()
	dark.Theme, dark.Insecure, dark.Problem, dark.Unknown = "dark", true, "It <b>broke</b>.", 4
	drawn := draw(t, view.ShowRack(view.Rack{Frame: dark}))

	for _, want := range []string{`data-theme="dark"`, "without TLS", "It &lt;b&gt;broke&lt;/b&gt;.", `not registered">4<`, `data-view="rack"`, `data-seq="7"`, `aria-current="page"`} {
		if !strings.Contains(drawn, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

// The place of an error in a spec, whatever the spec is.
func TestTheErrorOfASpecIsShownInItsPlace(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		spec string
		err  view.SpecError
		want []string
		not  string
	}{
		"in the middle": {
			"a\nb\nc\nd\ne\nf",
			view.SpecError{Line: 3, Column: 1},
			[]string{"Line 3, column 1", "   1  a", "<mark>   3  c\n</mark>      ^\n", "   5  e"},
			"   6  f",
		},
		"in the last line":     {"a\nb", view.SpecError{Line: 2}, []string{"Line 2", "<mark>   2  b"}, "column"},
		"beyond the end":       {"a", view.SpecError{Line: 9, Column: 1}, []string{"Line 9"}, "^"},
		"nowhere":              {"a", view.SpecError{Sentences: []string{"No <b>."}}, []string{"No &lt;b&gt;."}, "Line"},
		"in a column far away": {"a", view.SpecError{Line: 1, Column: 5000}, []string{"Line 1, column 5000"}, "^"},
		"in hostile text":      {"</pre><script>\x1b[31m", view.SpecError{Line: 1, Column: 1}, []string{"&lt;/pre&gt;&lt;script&gt;\n</mark>"}, "\x1b"},
	} {
		page := draw(t, view.ShowHost(&view.Host{Frame: frame(), Row: view.HostRow{Host: core.Host{MAC: canned.Host}}, Spec: c.spec, SpecErr: &c.err}))
		part := cut(t, page, `<div id="spec">`, "<form")

		for _, want := range c.want {
			if !strings.Contains(part, want) {
				t.Errorf("%s: %q is not in\n%s", name, want, part)
			}
		}

		if strings.Contains(part, c.not) {
			t.Errorf("%s: %q is in\n%s", name, c.not, part)
		}
	}
}

// A spec that was taken from a run never stands there without a word of what it changes.
func TestALearnedSpecSaysWhatItChanges(t *testing.T) {
	t.Parallel()

	long := strings.Repeat("- a: b\n", 1001)

	for name, c := range map[string]struct {
		before, after string
		learned       bool
		want          string
	}{
		"something":            {"a: 1\n", "a: 2\n", true, "What would change"},
		"nothing":              {"a: 1\n", "a: 1", true, "Nothing would change"},
		"too much to be shown": {"a: 1\n", long, true, "too long to be compared"},
		"it was not learned":   {"a: 1\n", "a: 1\n", false, ""},
	} {
		page := draw(t, view.ShowHost(&view.Host{
			Frame: frame(), Row: view.HostRow{Host: core.Host{MAC: canned.Host, SpecYAML: c.before}}, Spec: c.after, Learned: c.learned,
		}))

		part := cut(t, page, `<div id="spec">`, "<form")
		if !strings.Contains(part, c.want) || c.want == "" && strings.Contains(part, "change") {
			t.Errorf("%s: %q is not in\n%s", name, c.want, part)
		}
	}
}

func TestAHostIsFoundByItsWords(t *testing.T) {
	t.Parallel()

	row := view.HostRow{Host: core.Host{
		Name: "rack3-u17", MAC: "52:54:00:00:00:11", Notes: "Wall side", Aliases: []core.MAC{"52:54:00:00:01:11"},
		Identity: core.Identity{BoardSerial: "CN7C9F1R3"},
	}, Model: "Dell Inc. PowerEdge R740"}

	for _, query := range []string{"", "RACK3", "u17 dell", "01:11", "cn7c9", "not vetted", "wall  R740"} {
		if !row.Fits(query) {
			t.Errorf("%q does not find it", query)
		}
	}

	for _, query := range []string{"u18", "dell u18", "holding"} {
		if row.Fits(query) {
			t.Errorf("%q finds it", query)
		}
	}
}

// What is typed before disks are overwritten is never nothing, whatever a machine tells.
func TestTheWordBeforeDisksAreOverwrittenIsNeverEmpty(t *testing.T) {
	t.Parallel()

	for _, of := range []struct{ system, board, want string }{
		{"SN-1234567", "B1", "4567"}, {"   ", "B1", "B1"}, {"\u200b\x00 ", "\u00a0", "f1b3"}, {"", "", "f1b3"}, {"7", "", "7"},
	} {
		page := view.StartPlan{Trial: &view.Trial{Trial: &trial.Trial{Host: core.Host{MAC: "3c:ec:ef:9a:f1:b3"}}}}
		page.Trial.Inventory.System.Serial, page.Trial.Host.Identity.BoardSerial = of.system, of.board

		if got := page.Word(); got != of.want {
			t.Errorf("%q and %q: %q, want %q", of.system, of.board, got, of.want)
		}
	}
}

// The place that is free next is one that somebody has: a run that waits, and a held one, has none.
func TestTheNextFreePlaceIsOneThatIsTaken(t *testing.T) {
	t.Parallel()

	row := func(state core.State, left time.Duration) view.HostRow {
		return view.HostRow{
			Host: core.Host{MAC: canned.Host}, Plan: pace.Plan{core.SMART: {Runs: 9, Own: true, Low: left, Mid: left, High: left}},
			Run: &core.Run{State: state, Stages: []core.Stage{{Name: core.SMART, Phase: core.Pending}}},
		}
	}

	page := view.Rack{Frame: frame(), Slots: 2, Rows: []view.HostRow{
		row(core.State(core.SMART), 5*time.Hour), row(core.StateBooting, 3*time.Hour),
		row(core.StateQueued, time.Hour), row(core.StateFailedHolding, time.Minute), row(core.StateCompleted, time.Minute),
	}}

	if got := draw(t, view.ShowRack(page)); !strings.Contains(got, "2 of 2 places busy · 1 queued · next free in about 3 h") {
		t.Error(cut(t, got, `id="rack-summary"`, "</span>"))
	}

	page.Slots = 3
	if got := draw(t, view.ShowRack(page)); strings.Contains(got, "next free") {
		t.Error("a place is free now, and the next is told of")
	}
}
