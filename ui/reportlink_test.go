package ui_test

import (
	"encoding/json"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"vetting/core/route"
	"vetting/ui"
	"vetting/ui/canned"
)

// Whoever has a link reads that one report while it is good, without an account.
func TestAReportIsReadByItsLink(t *testing.T) {
	t.Parallel()

	now := canned.Now()
	b := open(t, canned.Full, func(cfg *ui.Config) {
		random(cfg)

		cfg.Now = func() time.Time { return now }
	})
	operate := "Bearer " + b.token("operate")
	made := func(days string) answer {
		return b.ask("POST", "/runs/"+string(canned.Run)+"/report/link", "days="+days, "Authorization", operate)
	}

	for _, days := range []string{"", "0", "91", "-1", "week"} {
		if got := made(days); got.status != http.StatusUnprocessableEntity {
			t.Errorf("a link for %q days: %d", days, got.status)
		}
	}

	got := made("7")

	m := regexp.MustCompile(`value="` + regexp.QuoteMeta(b.URL()) + `(/r/[^"]+)"`).FindStringSubmatch(got.body)
	if got.status != http.StatusOK || m == nil {
		t.Fatalf("%d: no link is shown", got.status)
	}

	link := html.UnescapeString(m[1])
	if got := b.ask("GET", link, ""); got.status != http.StatusOK || !strings.Contains(got.body, `id="signed-report"`) || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the link: %d, %q", got.status, got.header.Get("Cache-Control"))
	}

	said := b.ask("GET", "/api/v1/audit?action=report.link", "", "Authorization", operate).body
	if !strings.Contains(said, "made a link to the report of ") || strings.Contains(said, "key=") {
		t.Errorf("the audit trail says %s", said)
	}

	for what, other := range map[string]string{
		"another run": strings.Replace(link, string(canned.Run), "01JD4X00000000000000000012", 1), "longer": strings.Replace(link, "until=1", "until=2", 1),
		"no key": regexp.MustCompile(`key=[^&]+&?`).ReplaceAllString(link, ""), "no end": regexp.MustCompile(`&?until=\d+`).ReplaceAllString(link, ""),
		"another page": strings.Replace(link, "/r/", "/runs/", 1),
	} {
		if got := b.ask("GET", other, ""); got.status == http.StatusOK || strings.Contains(got.body, "signed-report") {
			t.Errorf("%s: %d", what, got.status)
		}
	}

	for after, want := range map[time.Duration]int{7*24*time.Hour - time.Second: http.StatusOK, 7 * 24 * time.Hour: http.StatusForbidden, -90 * 24 * time.Hour: http.StatusForbidden} {
		now = canned.Now().Add(after)

		if got := b.ask("GET", link, ""); got.status != want {
			t.Errorf("%s later: %d", after, got.status)
		}
	}
}

// Programs make a link as the page does: operators, for 90 days at most, in the audit trail.
func TestAProgramMakesALink(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, func(cfg *ui.Config) { random(cfg); cfg.Now = canned.Now })
	operate := "Bearer " + b.token("operate")
	made := func(body string) answer {
		return b.ask("POST", "/api/v1/runs/"+string(canned.Run)+"/report-link", body, "Authorization", operate, "Content-Type", "application/json")
	}

	for _, until := range []string{"91d", "0h", "a week", "2020-01-01", "2160h1m"} {
		if got := made(`{"until":"` + until + `"}`); got.status != http.StatusUnprocessableEntity {
			t.Errorf("a link for %q: %d %s", until, got.status, got.body)
		}
	}

	for until, want := range map[string]time.Duration{`{}`: 7 * 24 * time.Hour, `{"until":"12h"}`: 12 * time.Hour, `{"until":"90d"}`: 90 * 24 * time.Hour} {
		got, link := made(until), route.ReportLink{}

		if err := json.Unmarshal([]byte(got.body), &link); err != nil || got.status != http.StatusCreated || !link.Until.Equal(canned.Now().Add(want)) || link.Run != canned.Run {
			t.Fatalf("%s: %d %s", until, got.status, got.body)
		}

		path, ours := strings.CutPrefix(link.URL, b.URL())
		if got := b.ask("GET", path, ""); !ours || got.status != http.StatusOK || !strings.Contains(got.body, `id="signed-report"`) {
			t.Errorf("the link %s: %d", link.URL, got.status)
		}
	}

	if said := b.ask("GET", "/api/v1/audit?action=report.link", "", "Authorization", operate).body; strings.Count(said, "made a link to the report of ") != 3 {
		t.Errorf("the audit trail says %s", said)
	}
}

// Whoever has links is handed a report for a minute as it was drawn, and there is an end to how
// many are drawn in it.
func TestReportsAreNotDrawnAgainAndAgainForALink(t *testing.T) {
	t.Parallel()

	now := canned.Now()
	b := open(t, canned.Crowd, func(cfg *ui.Config) {
		random(cfg)

		cfg.Now = func() time.Time { return now }
	})
	operate := "Bearer " + b.token("operate")

	var runs route.RunList
	if err := json.Unmarshal([]byte(b.ask("GET", "/api/v1/runs?limit=70", "", "Authorization", operate).body), &runs); err != nil || len(runs.Runs) < 62 {
		t.Fatalf("%d runs: %v", len(runs.Runs), err)
	}

	links := make([]string, 62)

	for i := range links {
		var link route.ReportLink

		got := b.ask("POST", "/api/v1/runs/"+string(runs.Runs[i].ID)+"/report-link", `{}`, "Authorization", operate, "Content-Type", "application/json")
		if err := json.Unmarshal([]byte(got.body), &link); err != nil {
			t.Fatal(err)
		}

		links[i], _ = strings.CutPrefix(link.URL, b.URL())
	}

	for i, link := range links[:60] {
		if got := b.ask("GET", link, ""); got.status != http.StatusOK {
			t.Fatalf("link %d: %d", i, got.status)
		}
	}

	if got := b.ask("GET", links[60], ""); got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") != "60" || !strings.Contains(got.body, "wait 60 s") {
		t.Errorf("one more: %d, to wait %q", got.status, got.header.Get("Retry-After"))
	}

	first := b.ask("GET", links[59], "")
	if first.status != http.StatusOK {
		t.Errorf("one that was drawn: %d", first.status)
	}

	now = now.Add(59 * time.Second)

	if got := b.ask("GET", links[61], ""); got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") != "1" {
		t.Errorf("a second before: %d, to wait %q", got.status, got.header.Get("Retry-After"))
	}

	if again := b.ask("GET", links[59], ""); again.body != first.body {
		t.Error("within the minute it was drawn anew")
	}

	now = now.Add(time.Second)

	if got := b.ask("GET", links[61], ""); got.status != http.StatusOK {
		t.Errorf("a minute later: %d", got.status)
	}
}
