package ui_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/canned"
)

const measuredPath = "/runs/" + string(canned.MeasuredRun)

func TestWhatTheRulesSawIsShown(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("read")

	var list route.EvaluationList

	got := b.ask("GET", "/api/v1"+measuredPath+"/evaluations", "", "Authorization", auth)
	if err := json.Unmarshal([]byte(got.body), &list); err != nil || len(list.Evaluations) != 2 || len(list.Trails) != 2 {
		t.Fatalf("%d %s", got.status, got.body)
	}

	bad, trail := list.Evaluations[1], list.Trails[1]
	if bad.Series == nil || bad.Series.Bad != 4 || bad.Series.Breached != 2 || bad.Verdict != core.Fail {
		t.Errorf("%+v", bad)
	}

	if trail.Stage != core.SMART || trail.Attempt != 1 || len(trail.Breaches) != 2 || len(trail.Changes) != 2 {
		t.Errorf("%+v", trail)
	}

	for query, want := range map[string]int{"?stage=Burn": 0, "?stage=SMART": 2, "?key=disk/ZC1*/temperature_celsius": 1, "?key=cpu/*": 0} {
		got := b.ask("GET", "/api/v1"+measuredPath+"/evaluations"+query, "", "Authorization", auth)
		if err := json.Unmarshal([]byte(got.body), &list); err != nil || len(list.Evaluations) != want || len(list.Trails) != want {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}

	if got := b.ask("GET", "/api/v1"+measuredPath+"/evaluations?key=[", "", "Authorization", auth); got.status != http.StatusUnprocessableEntity {
		t.Errorf("a key that is no pattern: %d", got.status)
	}

	for _, path := range []string{measuredPath, measuredPath + "/report", "/api/v1" + measuredPath + "/report.html"} {
		page := b.ask("GET", path, "", "Authorization", auth).body
		for _, want := range []string{"Limits checked", "44 to 59, 8 values", "4 outside in 2 stretches, first at ", "1 sample without a value", "34 to 34, 8 values"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s lacks %q", path, want)
			}
		}
	}

	if page := b.ask("GET", measuredPath, "", "Authorization", auth).body; !strings.Contains(page, "1 series within its limit") {
		t.Error("the page of the run does not fold what passed")
	}

	if got := b.ask("GET", "/api/v1"+measuredPath+"/report.json", "", "Authorization", auth); !strings.Contains(got.body, `"breached": 2`) {
		t.Error("the report in JSON lacks the series")
	}
}

func TestSamplesHaveTheirBadgesWhereTheyAreAskedFor(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("read")

	verdicts := func(query string) (words []string) {
		var list route.SampleList

		got := b.ask("GET", "/api/v1"+measuredPath+"/samples?key="+canned.MeasuredKey+query, "", "Authorization", auth)
		if err := json.Unmarshal([]byte(got.body), &list); err != nil {
			t.Fatalf("%d %s", got.status, got.body)
		}

		for _, s := range list.Samples {
			word := "none"
			if s.Badge != nil {
				word = string(s.Badge.Verdict)
			}

			words = append(words, word)
		}

		return words
	}

	if got := strings.Join(verdicts("&badges=true"), " "); got != "pass pass pass pass pass fail fail pass" {
		t.Error(got)
	}

	if got := strings.Join(verdicts(""), " "); got != "none none none none none none none none" {
		t.Error(got)
	}
}
