package ui_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/report"
	"vetting/core/route"
	"vetting/ui"
	"vetting/ui/canned"
	"vetting/ui/lookup"
)

// waiver is one of the held run's first finding.
func (b *bench) waiver() core.Waiver { return b.waiverOf(held) }

// waiverOf is one of a run's first finding.
func (b *bench) waiverOf(id core.RunID) core.Waiver {
	b.t.Helper()

	var w core.Waiver

	if _, err := b.ledger.Update(b.t.Context(), func(txn core.Txn) error {
		var run core.Run
		if err := txn.Get(core.TableRun, string(id), &run); err != nil {
			return err
		}

		f := report.Findings(&run, nil, canned.Now())[0]
		w = core.Waiver{
			ID: string(canned.Run[:24]) + "99", Host: run.Host, Run: run.ID, Finding: f.ID, Code: f.Code, Severity: f.Severity, Stage: f.Stage, Title: f.Title, Part: f.Part,
			Reason: "=the part is on order", By: "otto", At: canned.Now().Add(-100 * time.Hour), Until: canned.Now().Add(240 * time.Hour),
		}

		return txn.Put(core.TableWaiver, core.WaiverKey(w.Host, w.ID), w)
	}); err != nil {
		b.t.Fatal(err)
	}

	return w
}

func TestAFindingIsWaivedOnThePageAndByTheAPI(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	b.signIn()
	cookie := b.member("otto", route.Operator)
	looker := b.member("lena", route.Viewer)
	run := "/runs/" + string(held)

	var orders []string

	b.commands.OnRun = func(word string, id core.RunID) (core.Run, error) {
		orders = append(orders, word)

		return core.Run{ID: id}, nil
	}

	page := b.ask("GET", run+"/hold", "", "Cookie", cookie)
	if !strings.Contains(page.body, `id="waive-finding"`) || !strings.Contains(page.body, `value="2026-12-`) {
		t.Fatalf("the page has no form that waives: %s", page.body)
	}

	if got := b.ask("GET", run, "", "Cookie", looker); strings.Contains(got.body, "waive-finding") {
		t.Error("who only looks is shown the form")
	}

	form := url.Values{"finding": {"0123456789ab"}, "waiver_reason": {"on order"}, "until": {"2026-12-31"}}
	if got := b.ask("POST", run+"/waivers", form.Encode(), "Cookie", looker, "Sec-Fetch-Site", "same-origin"); got.status != http.StatusForbidden {
		t.Errorf("who only looks waives: %d", got.status)
	}

	if got := b.ask("POST", run+"/waivers", form.Encode(), "Cookie", cookie, "Sec-Fetch-Site", "cross-site"); got.status != http.StatusForbidden {
		t.Errorf("a page of another site waives: %d", got.status)
	}

	if got := b.ask("POST", run+"/waivers", form.Encode(), "Cookie", cookie, "Sec-Fetch-Site", "same-origin"); got.status != http.StatusSeeOther {
		t.Errorf("on the page: %d %s", got.status, got.body)
	}

	form.Set("until", "whenever")

	bad := b.ask("POST", run+"/waivers", form.Encode(), "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
	if bad.status != http.StatusUnprocessableEntity || !strings.Contains(bad.body, `value="on order"`) || !strings.Contains(bad.body, "is no time") {
		t.Errorf("with no day: %d, and what was typed is lost", bad.status)
	}

	operator := "Bearer " + b.token("operate")

	api := b.ask("POST", "/api/v1"+run+"/waivers", `{"finding":"0123456789ab","reason":"on order","until":"30d"}`, "Authorization", operator)
	if api.status != http.StatusCreated {
		t.Errorf("by the API: %d %s", api.status, api.body)
	}

	if got := b.ask("POST", "/api/v1"+run+"/waivers", `{"finding":"0123456789ab","reason":"on order","until":"30d"}`, "Authorization", "Bearer "+b.token("read")); got.status != http.StatusForbidden {
		t.Errorf("a token that may read waives: %d", got.status)
	}

	month := canned.Now().Add(30 * 24 * time.Hour).Format("2006-01-02")
	if want := []string{"waive 0123456789ab until 2027-01-01: on order", "waive 0123456789ab until " + month + ": on order"}; strings.Join(orders, "|") != strings.Join(want, "|") {
		t.Errorf("%q, want %q", orders, want)
	}
}

func TestAWaiverIsInEveryFormOfTheReportAndChangesNoVerdict(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	w := b.waiver()
	reader := []string{"Authorization", "Bearer " + b.token("operate")}
	words := "by otto on 2026-"

	for path, want := range map[string][]string{
		"/runs/" + string(held):                                                   {"Waived", words},
		"/runs/" + string(held) + "/hold":                                         {"Waived", words, "the part is on order", "/waivers/" + w.ID + "/withdraw"},
		"/runs/" + string(held) + "/report":                                       {"<b>Waived</b>", words},
		"/api/v1/runs/" + string(held) + "/report.html":                           {"<b>Waived</b>", words, ">FAIL<"},
		"/api/v1/runs/" + string(held) + "/report.json":                           {`"waiver"`, `"by":`, `"waived":`, "a waiver changes no verdict"},
		"/api/v1/runs/" + string(held) + "/report.csv":                            {"waiver,SpecValidate,", words, "FAIL"},
		"/api/v1/runs/" + string(held) + "/report.ocp.jsonl":                      {"Waived " + words, `"result":"FAIL"`},
		"/api/v1/runs/" + string(held) + "/report.junit.xml":                      {"Waived " + words, "<failure"},
		"/api/v1/batch.json":                                                      {"a waiver changes no verdict"},
		"/runs/compare?a=" + string(held) + "&b=" + string(canned.Run[:25]) + "4": {"yes, waived"},
	} {
		got := b.ask("GET", path, "", reader...)
		for _, part := range want {
			if got.status != http.StatusOK || !strings.Contains(got.body, part) {
				t.Errorf("%s: %d lacks %q", path, got.status, part)
			}
		}
	}

	list := b.ask("GET", "/api/v1/hosts/"+string(w.Host)+"/waivers", "", reader...)

	var found route.WaiverList
	if err := json.Unmarshal([]byte(list.body), &found); err != nil || len(found.Waivers) != 1 || !found.Waivers[0].Holds || found.Waivers[0].Reason != w.Reason {
		t.Errorf("%v %s", err, list.body)
	}

	var order string

	b.commands.OnRun = func(word string, id core.RunID) (core.Run, error) {
		order = word

		return core.Run{ID: id}, nil
	}

	if got := b.ask("DELETE", "/api/v1/hosts/"+string(w.Host)+"/waivers/"+w.ID, "", reader...); got.status != http.StatusNoContent || order != "withdraw "+w.ID+" of "+string(w.Host) {
		t.Errorf("withdrawing: %d %q", got.status, order)
	}
}

// Wherever warnings are counted, those that somebody bears with are told apart.
func TestWaivedFindingsAreToldApartWhereTheyAreCounted(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	run := canned.Run[:25] + "3"
	w := b.waiverOf(run)
	reader := []string{"Authorization", "Bearer " + b.token("read")}

	for path, want := range map[string]string{
		"/runs":                                        "PASS with 1 warning, waived",
		"/batches/" + canned.BatchName:                 "PASS with 1 warning, waived",
		"/hosts/" + string(w.Host):                     "PASS with 1 warning, waived",
		"/runs/" + string(run):                         "<h2>1 finding, waived</h2>",
		"/runs/" + string(run) + "/report":             "; 1 warning, waived",
		"/api/v1/runs":                                 `"verdict_words":"PASS with 1 warning, waived"`,
		"/api/v1/runs/" + string(run):                  `"verdict_words":"PASS with 1 warning, waived"`,
		"/api/v1/runs/" + string(run) + "/report.json": `"warnings_waived": 1`,
	} {
		if got := b.ask("GET", path, "", reader...); !strings.Contains(got.body, want) {
			t.Errorf("%s: %d lacks %q", path, got.status, want)
		}
	}
}

// A waiver that has run out stands on the report of a held run no more, though nothing was
// written since.
func TestAWaiverThatHasRunOutIsNotOnTheReportOfAHeldRun(t *testing.T) {
	t.Parallel()

	now := canned.Now()
	b := open(t, canned.Failed, func(cfg *ui.Config) { random(cfg); cfg.Now = func() time.Time { return now } })
	auth := "Bearer " + b.token("read")

	var held core.RunID

	if err := b.ledger.View(t.Context(), func(r core.Reader) error {
		return r.Scan(core.TableWaiver, core.Query{}, func(_ string, decode func(any) error) error {
			var w core.Waiver

			err := decode(&w)
			held = w.Run

			return err
		})
	}); err != nil {
		t.Fatal(err)
	}

	read := func() string {
		return b.ask("GET", "/api/v1/runs/"+string(held)+"/report.json", "", "Authorization", auth).body
	}

	// As the engine wrote it while the waiver counted.
	if _, err := b.ledger.Update(t.Context(), func(txn core.Txn) error {
		var run core.Run

		err := txn.Get(core.TableRun, string(held), &run)
		if err != nil || run.State != core.StateFailedHolding {
			return fmt.Errorf("the run is in %s: %w", run.State, err)
		}

		written, err := lookup.Report(txn, &run, lookup.Author{Appliance: canned.Appliance(), Now: now})
		if err != nil {
			return err
		}

		return txn.Put(core.TableReport, string(held), written)
	}); err != nil {
		t.Fatal(err)
	}

	if !strings.Contains(read(), "comes on Monday") {
		t.Fatal("the waiver is not on the report while it counts")
	}

	now = now.Add(10 * 24 * time.Hour)

	if got := read(); strings.Contains(got, "comes on Monday") || !strings.Contains(got, `"generated_at": "2026-12-03`) {
		t.Errorf("it still is: %.200s", got)
	}
}
