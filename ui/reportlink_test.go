package ui_test

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

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
