package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"vetting/core"
	"vetting/core/coretest"
	model "vetting/core/report"
	"vetting/ui/canned"
	"vetting/ui/lookup"
	"vetting/ui/plot"
	"vetting/ui/qr"
	"vetting/ui/report"
	"vetting/ui/report/seal"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// found makes the report of a run of a scene, as the console would show it.
func found(t *testing.T, scene canned.Scene, id core.RunID) model.Report {
	t.Helper()

	ledger := coretest.NewLedger()
	if err := canned.Fill(t.Context(), ledger, scene); err != nil {
		t.Fatal(err)
	}

	var out model.Report

	err := ledger.View(t.Context(), func(r core.Reader) error {
		run, err := lookup.Run(r, id)
		if err != nil {
			return err
		}

		out, err = lookup.Report(r, &run, canned.Author())

		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	return out
}

func cases() map[string]struct {
	scene canned.Scene
	id    core.RunID
	class string // of the verdict's card
} {
	return map[string]struct {
		scene canned.Scene
		id    core.RunID
		class string
	}{
		"pass":                {canned.Full, canned.Run[:25] + "5", "pass"},
		"pass-with-a-warning": {canned.Full, canned.Run[:25] + "3", "warn"},
		"fail":                {canned.Full, canned.Run[:25] + "4", "fail"},
		"held":                {canned.Full, canned.Run[:25] + "2", "fail"},
		"cancelled":           {canned.Full, canned.Run[:25] + "9", "idle"},
		"preliminary":         {canned.Full, canned.Run, "idle"},
		"error":               {canned.Failed, canned.Run[:25] + "2", "err"},
		"hostile":             {canned.Hostile, canned.Run, "fail"},
	}
}

// link is where the run of a report is on its appliance.
func link(r *model.Report) string { return "https://10.0.3.1:8443/runs/" + string(r.Run.ID) }

func page(t *testing.T, r model.Report) string {
	t.Helper()

	return pageWith(t, r, report.With{Link: link(&r)})
}

func pageWith(t *testing.T, r model.Report, with report.With) string {
	t.Helper()

	var b bytes.Buffer
	if err := report.WriteHTML(t.Context(), &b, r, with, canned.Keys{}.Key()); err != nil {
		t.Fatal(err)
	}

	return b.String()
}

// A mail client takes the style out of a page: what is drawn must not fill the window then.
func TestEveryPictureHasASizeOfItsOwn(t *testing.T) {
	t.Parallel()

	r := found(t, canned.Full, canned.MeasuredRun)
	points := []plot.Point{{Time: canned.Now(), Max: 60}, {Time: canned.Now().Add(time.Minute), Min: 40, Max: 50, Mean: 45}}
	charts := plot.Charts(&core.Run{Rules: []core.Rule{{Key: canned.MeasuredKey, Op: core.OpLTE, Value: 55, Severity: core.Warning}}}, r.Evaluations, []plot.Series{{Key: canned.MeasuredKey, Points: points}})

	drawn := pageWith(t, r, report.With{Charts: charts, Link: link(&r)})
	pictures := regexp.MustCompile(`<svg[^>]*>`).FindAllString(drawn, -1)

	for _, svg := range pictures {
		if !regexp.MustCompile(` width="[0-9]+" height="[0-9]+"`).MatchString(svg) {
			t.Errorf("no size: %s", svg)
		}
	}

	for _, has := range []string{`class="qr"`, `class="key"`, `data-plot=`} {
		if !strings.Contains(strings.Join(pictures, ""), has) {
			t.Errorf("%s is not drawn: the test does not see all", has)
		}
	}

	for _, line := range regexp.MustCompile(`<path[^>]*class="(?:line|level|mark|lim|area)\b[^>]*>`).FindAllString(drawn, -1) {
		if !strings.Contains(line, `fill="none"`) {
			t.Errorf("it is a black area without the style: %s", line)
		}
	}
}

// The code in the head of a page leads to the run where somebody reaches it, and its address
// can be read; without one there is neither.
func TestAPageLeadsToItsRun(t *testing.T) {
	t.Parallel()

	r := found(t, canned.Full, canned.MeasuredRun)

	code, _, err := qr.Path(link(&r))
	if err != nil {
		t.Fatal(err)
	}

	if drawn := page(t, r); !strings.Contains(drawn, code) || !strings.Contains(drawn, `<dd class="mono">`+link(&r)) {
		t.Error("the page does not lead to its run")
	}

	if drawn := pageWith(t, r, report.With{}); strings.Contains(drawn, `class="qr"`) || strings.Contains(drawn, "Its page") {
		t.Error("the page leads nowhere, and says so")
	}
}

func TestThePageSaysWhenTheRunWas(t *testing.T) {
	t.Parallel()

	r := found(t, canned.Full, canned.MeasuredRun)

	for want, ends := range map[string][2]time.Time{
		"22 Nov 2026 22:31 to 23:05 UTC<":               {time.Date(2026, 11, 22, 22, 31, 5, 0, time.UTC), time.Date(2026, 11, 22, 23, 5, 9, 0, time.UTC)},
		"22 Nov 2026 22:31 to 23 Nov 08:12 UTC<":        {time.Date(2026, 11, 22, 22, 31, 5, 0, time.UTC), time.Date(2026, 11, 23, 8, 12, 9, 0, time.UTC)},
		"31 Dec 2026 22:31 to 1 Jan 2027 08:12 UTC<":    {time.Date(2026, 12, 31, 22, 31, 5, 0, time.UTC), time.Date(2027, 1, 1, 8, 12, 9, 0, time.UTC)},
		"22 Nov 2026 22:31 UTC<":                        {time.Date(2026, 11, 22, 22, 31, 5, 0, time.UTC)},
		"22 Nov 2026 22:31:05 UTC, not ended, ":         {time.Date(2026, 11, 22, 22, 31, 5, 0, time.UTC)},
		"22 Nov 2026 22:31:05 UTC to 23 Nov 2026 08:12": {time.Date(2026, 11, 22, 22, 31, 5, 0, time.UTC), time.Date(2026, 11, 23, 8, 12, 9, 0, time.UTC)},
		"<dd>not started":                               {},
	} {
		if r.Run.StartedAt, r.Run.EndedAt = ends[0], ends[1]; !strings.Contains(page(t, r), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestEveryKindOfReportAsItIsDrawn(t *testing.T) {
	t.Parallel()

	for name, c := range cases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := found(t, c.scene, c.id)
			drawn := page(t, r)

			if !strings.Contains(drawn, `<div class="card verdict `+c.class+`">`) {
				t.Errorf("the verdict is not drawn as %s", c.class)
			}

			golden(t, name+".html", lines(drawn))

			var b bytes.Buffer
			if err := report.WriteJSON(&b, r, canned.Keys{}.Key()); err != nil {
				t.Fatal(err)
			}

			golden(t, name+".json", b.String())
			checkJSON(t, b.Bytes(), r)
		})
	}
}

// checkJSON wants the report back as it was, and nothing in its text that a
// browser would take for markup.
func checkJSON(t *testing.T, text []byte, r model.Report) {
	t.Helper()

	var back model.Report

	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}

	if back.Signature == nil {
		t.Fatal("it is not signed")
	}

	back.Signature = nil
	if diff := cmp.Diff(again(t, r), again(t, back)); diff != "" {
		t.Errorf("the report does not come back (-written +read):\n%s", diff)
	}

	if bytes.ContainsAny(text, "<>\x1b\x07") {
		t.Error("the JSON holds markup or escapes as they are")
	}
}

func again(t *testing.T, r model.Report) string {
	t.Helper()

	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}

	return string(text)
}

// elements are all a report may be made of.
func elements() []string {
	return []string{
		"html", "head", "meta", "title", "style", "body", "main", "header", "div", "b", "h1", "h2", "p", "section", "span", "wbr", "i", "svg",
		"path", "circle", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "dl", "dt", "dd",
		"script", // the signed data, which no browser runs
	}
}

// What a machine says of itself stays text, in every place of the report.
func TestWhatAHostSaysStaysText(t *testing.T) {
	t.Parallel()

	drawn := page(t, found(t, canned.Hostile, canned.Run))

	if strings.ContainsAny(drawn, "\x1b\x07\u202e\u200b\u009b") {
		t.Error("the report holds characters that steer a terminal or the reading direction")
	}

	words, z := 0, html.NewTokenizer(strings.NewReader(drawn))

	for z.Next() != html.ErrorToken {
		token := z.Token()

		switch token.Type {
		case html.TextToken:
			words += strings.Count(token.Data, "<script>alert(1)</script>")
		case html.StartTagToken, html.SelfClosingTagToken:
			if token.Data == "script" && !strings.HasPrefix(token.String(), `<script type="application/json"`) {
				t.Errorf("the report holds a script: %s", token.String())
			}

			if !slices.Contains(elements(), token.Data) {
				t.Errorf("the report holds a <%s>", token.Data)
			}

			for _, a := range token.Attr {
				if strings.HasPrefix(a.Key, "on") || strings.Contains(a.Val, "alert") || a.Key == "href" || a.Key == "src" {
					t.Errorf("the report holds <%s %s=%q>", token.Data, a.Key, a.Val)
				}
			}
		default:
		}
	}

	if words < 40 {
		t.Errorf("only %d places show what the host said: the scene does not try them all", words)
	}
}

// The real report, with everything that a report may have: every byte of it counts.
func TestAChangeAnywhereInARealReportIsTold(t *testing.T) {
	t.Parallel()

	r := found(t, canned.Hostile, canned.Run)

	var text bytes.Buffer
	if err := report.WriteJSON(&text, r, canned.Keys{}.Key()); err != nil {
		t.Fatal(err)
	}

	for kind, file := range map[string][]byte{"json": text.Bytes(), "html": []byte(page(t, r))} {
		if _, err := seal.Verify(file); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}

		for at := 0; at < len(file); at += 1 + len(file)/150 {
			file[at] ^= 1

			if _, err := seal.Verify(file); err == nil {
				t.Errorf("%s: a change at byte %d is not noticed: %.60q", kind, at, file[at:])
			}

			file[at] ^= 1
		}
	}
}

// The page's policy names the hash of the very style it holds, and lets nothing
// else in.
func TestThePolicyFitsTheStyle(t *testing.T) {
	t.Parallel()

	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindAllStringSubmatch(page(t, found(t, canned.Full, canned.Run)), -1)
	if len(style) != 1 {
		t.Fatalf("%d styles", len(style))
	}

	sum := sha256.Sum256([]byte(style[0][1]))
	if want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(report.Policy(), want) {
		t.Errorf("the policy is %s, the style's is %s", report.Policy(), want)
	}

	if !strings.HasPrefix(report.Policy(), "default-src 'none';") || strings.Contains(report.Policy(), "unsafe") {
		t.Errorf("policy %s", report.Policy())
	}
}

func TestAttemptsBeforeAreNamed(t *testing.T) {
	t.Parallel()

	r := found(t, canned.Full, canned.Run[:25]+"3")
	r.Stages[1].Attempt, r.Stages[1].Earlier = 3, []model.Attempt{
		{Attempt: 1, Verdict: core.Fail, Findings: []core.Finding{{Title: "A disk <b>holds data", Part: core.Part{Kind: "disk", Slot: "sda"}}}},
		{Attempt: 2, Verdict: core.Error},
	}

	want := "attempt 3; attempt 1 ended in fail (A disk &lt;b&gt;holds data, disk sda); attempt 2 ended in error"
	if !strings.Contains(page(t, r), want) {
		t.Errorf("the page does not say %q", want)
	}
}

func TestAPartIsNamedAsOnTheMachine(t *testing.T) {
	t.Parallel()

	for want, part := range map[string]core.Part{
		"disk sda · ST4 · serial S1": {Kind: "disk", Slot: "sda", Model: "ST4", Serial: "S1"},
		"DIMM_A1":                    {Kind: "dimm", Slot: "DIMM_A1"},
		"CPU 0":                      {Kind: "cpu", Slot: "CPU 0"},
		"DIMM A1":                    {Kind: "dimm", Slot: "A1"},
		"PSU":                        {Kind: "psu"},
		"serial \"><b>":              {Serial: "\"\x1b[31m><b>\u202e"},
		"":                           {},
	} {
		if got := report.Part(part); got != want {
			t.Errorf("%+v is named %q, want %q", part, got, want)
		}
	}
}

func TestAReportIsTitledByTheMachineOrWhatIsKnownOfIt(t *testing.T) {
	t.Parallel()

	for want, h := range map[string]model.Host{
		"Dell Inc. R740 · 7C9": {Manufacturer: "Dell Inc.", Product: "R740", Serial: "7C9", Name: "u1"},
		"u1":                   {Name: "u1", MAC: "52:54:00:00:00:11"},
		"52:54:00:00:00:11":    {MAC: "52:54:00:00:00:11"},
	} {
		if got := report.Title(&model.Report{Host: h}); got != want {
			t.Errorf("title %q, want %q", got, want)
		}
	}
}

// lines puts tags on lines, so that golden files can be read and compared; the
// style has its own test.
func lines(drawn string) string {
	drawn = regexp.MustCompile(`(?s)<style>.*?</style>`).ReplaceAllString(drawn, "<style></style>")

	drawn = regexp.MustCompile(`(?s)(id="signed-report">).*?(</script>)`).ReplaceAllString(drawn, "$1$2")

	return regexp.MustCompile(`(<(?:/?(?:head|body|main|section|header|div|ul|li|table|thead|tbody|tr|dl)|title|h1|h2|td|dt|dd|p)\b)`).
		ReplaceAllString(drawn, "\n$1")
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
