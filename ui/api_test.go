package ui_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/report"
	"vetting/core/route"
	"vetting/ui/canned"
)

// read decodes the answer to a GET with an admin token.
func read[T any](t *testing.T, b *bench, auth, path string) T {
	t.Helper()

	var value T

	got := b.ask("GET", path, "", "Authorization", auth)
	if got.status != http.StatusOK {
		t.Fatalf("GET %s: %d %s", path, got.status, got.body)
	}

	if err := json.Unmarshal([]byte(got.body), &value); err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}

	return value
}

func TestListsComeInPagesThatMissNothing(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("read")

	var hosts []core.MAC

	for token := ""; ; {
		page := read[route.HostList](t, b, auth, "/api/v1/hosts?limit=4&page_token="+token)
		if len(page.Hosts) > 4 {
			t.Fatalf("%d hosts on a page of 4", len(page.Hosts))
		}

		for _, h := range page.Hosts {
			hosts = append(hosts, h.MAC)
		}

		if token = page.NextPageToken; token == "" {
			break
		}
	}

	if len(hosts) != 9 || hosts[0] != canned.Host {
		t.Errorf("hosts %v", hosts)
	}

	var runs []core.RunID

	for token := ""; ; {
		page := read[route.RunList](t, b, auth, "/api/v1/runs?limit=3&page_token="+token)
		for _, r := range page.Runs {
			runs = append(runs, r.ID)
		}

		if token = page.NextPageToken; token == "" {
			break
		}
	}

	if len(runs) != 8 || runs[0] <= runs[7] {
		t.Errorf("runs %v, want 8 with the newest first", runs)
	}
}

func TestRunsAreFilteredByStateAndHost(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("read")

	for query, want := range map[string]int{
		"": 8, "state=over": 4, "state=active": 4, "state=SMART": 1, "state=FailedHolding": 1, "host=" + string(canned.Host): 1,
		"host=52-54-00-00-00-11&state=over": 0, "host=52:54:00:00:00:99": 0,
	} {
		if got := read[route.RunList](t, b, auth, "/api/v1/runs?"+query); len(got.Runs) != want {
			t.Errorf("%q: %d runs, want %d", query, len(got.Runs), want)
		}
	}
}

func TestRequestsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("admin")
	run := "/api/v1/runs/" + string(canned.Run)

	for call, want := range map[string]int{
		"GET /api/v1/hosts?limit=0x":                      422,
		"GET /api/v1/hosts?limit=501":                     422,
		"GET /api/v1/hosts?limit=-1":                      422,
		"GET /api/v1/hosts?page_token=!!":                 422,
		"GET /api/v1/hosts/nonsense":                      422,
		"GET /api/v1/hosts/52:54:00:00:00:99":             404,
		"GET /api/v1/runs?state=Exploded":                 422,
		"GET /api/v1/runs?host=x":                         422,
		"GET /api/v1/runs/nonsense":                       404,
		"GET /api/v1/runs/01JD4X00000000000000000099":     404,
		"GET " + run + "/log?after=x":                     422,
		"GET " + run + "/log?limit=1001":                  422,
		"GET " + run + "/samples?key=[":                   422,
		"GET " + run + "/samples?from=yesterday":          422,
		"GET " + run + "/samples?step=-1":                 422,
		"GET " + run + "/artifacts/" + "00":               404,
		"GET /api/v1/events?after=x":                      422,
		"GET /api/v1/events?run=x":                        404,
		"GET /api/v1/boot-trace/x":                        422,
		"GET /api/v1/nothing":                             404,
		"POST /api/v1/hosts ":                             400,
		"POST /api/v1/hosts {":                            400,
		`POST /api/v1/hosts {"mac":5}`:                    400,
		`POST /api/v1/hosts {"mac":"x","name":"y"}`:       422,
		`POST /api/v1/hosts {"mac":"x"} trailing`:         400,
		`POST /api/v1/tokens {"name":"x","scope":"root"}`: 422,
		`POST /api/v1/tokens {"name":"","scope":"read"}`:  422,
		"DELETE /api/v1/tokens/000000000000":              404,
	} {
		method, rest, _ := strings.Cut(call, " ")
		path, body, _ := strings.Cut(rest, " ")

		got := b.ask(method, path, body, "Authorization", auth)

		var fault route.ErrorBody

		if err := json.Unmarshal([]byte(got.body), &fault); err != nil || got.status != want || fault.Error.Code == "" || !strings.HasSuffix(fault.Error.Message, ".") && !strings.Contains(fault.Error.Message, "write it like") {
			t.Errorf("%s: %d %s, want %d", call, got.status, got.body, want)
		}
	}
}

func TestUnknownFieldsOfABodyAreIgnored(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)

	var who string

	b.commands.Who = &who

	got := b.ask("POST", "/api/v1/hosts", `{"mac":"5254.0000.0042","name":"x","aliases":["52-54-00-00-00-43"],"colour":"blue"}`, "Authorization", "Bearer "+b.token("operate"))

	var host core.Host

	if err := json.Unmarshal([]byte(got.body), &host); err != nil || got.status != http.StatusCreated || host.MAC != "52:54:00:00:00:42" || host.Aliases[0] != "52:54:00:00:00:43" {
		t.Errorf("%d %s, %v", got.status, got.body, err)
	}

	if who != "token golden" {
		t.Errorf("asked by %q", who)
	}
}

func TestSamplesComeAsTheyAreOrInBuckets(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	start := canned.Now().Truncate(time.Minute)

	_, err := b.ledger.Update(t.Context(), func(txn core.Txn) error {
		for i := range 6 {
			batch := core.SampleBatch{Run: canned.Run, Epoch: 1, Seq: uint64(i)}
			for j := range 10 {
				at := start.Add(time.Duration(i*10+j) * time.Second)
				batch.Samples = append(batch.Samples,
					core.Sample{Time: at, Key: "disk/A/temperature_celsius", Value: float64(i*10 + j), Unit: "°C"},
					core.Sample{Time: at, Key: "disk/B/temperature_celsius", Value: math.NaN(), Unit: "°C"})
			}

			if err := txn.Put(core.TableSamples, fmt.Sprintf("%s/%010d/%020d", canned.Run, 1, i), batch); err != nil {
				return err
			}
		}

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	auth, path := "Bearer "+b.token("read"), "/api/v1/runs/"+string(canned.Run)+"/samples"

	count, unmeasured := 0, 0

	for token := ""; ; {
		page := read[route.SampleList](t, b, auth, path+"?limit=25&page_token="+token)
		for _, s := range page.Samples {
			count++

			if s.Value == nil {
				unmeasured++
			}
		}

		if token = page.NextPageToken; token == "" {
			break
		}
	}

	if count != 120 || unmeasured != 60 {
		t.Errorf("%d samples, %d unmeasured; want 120 and 60", count, unmeasured)
	}

	page := read[route.SampleList](t, b, auth, path+"?key=disk/*/temperature_celsius&step=30&from="+start.Format(time.RFC3339)+"&to="+start.Add(time.Minute).Format(time.RFC3339))
	if len(page.Buckets) != 2 {
		t.Fatalf("buckets %+v", page.Buckets)
	}

	if got := page.Buckets[1]; got.Min != 30 || got.Max != 59 || got.Mean != 44.5 || got.Count != 30 {
		t.Errorf("the second bucket %+v", got)
	}
}

func TestTheLogIsReadPageByPage(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth, path := "Bearer "+b.token("read"), "/api/v1/runs/"+string(canned.Run)+"/log"

	page := read[route.LogPage](t, b, auth, path+"?limit=4")
	if len(page.Lines) != 4 || page.After != 4 {
		t.Errorf("first page %+v", page)
	}

	page = read[route.LogPage](t, b, auth, path+"?after=4")
	if len(page.Lines) != 2 || page.After != 6 {
		t.Errorf("second page %+v", page)
	}

	page = read[route.LogPage](t, b, auth, path+"?after=6")
	if len(page.Lines) != 0 || page.After != 6 {
		t.Errorf("past the end %+v", page)
	}

	whole := b.ask("GET", "/runs/"+string(canned.Run)+"/log.txt", "", "Authorization", auth)
	if n := strings.Count(whole.body, "\n"); whole.status != http.StatusOK || n != 6 {
		t.Errorf("the whole log: %d, %d lines", whole.status, n)
	}
}

// The report as it was written when the run was decided stands, until the run
// goes on.
func TestAWrittenReportStandsWhileTheRunDoes(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Failed, nil)
	auth, path := "Bearer "+b.token("read"), "/api/v1/runs/"+string(canned.Run)+"/report.json"

	put := func(table core.Table, value any) {
		if _, err := b.ledger.Update(t.Context(), func(txn core.Txn) error { return txn.Put(table, string(canned.Run), value) }); err != nil {
			t.Fatal(err)
		}
	}

	// A hold changes by itself: only once it has ended is a report written for good.
	var run core.Run

	if err := b.ledger.View(t.Context(), func(r core.Reader) error { return r.Get(core.TableRun, string(canned.Run), &run) }); err != nil {
		t.Fatal(err)
	}

	run.State = core.StateFailed
	put(core.TableRun, run)

	fresh := read[report.Report](t, b, auth, path)
	if fresh.Verdict.Words != "FAIL" || fresh.Preliminary {
		t.Errorf("verdict %+v", fresh.Verdict)
	}

	written := fresh
	written.Summary = "As it was written then."

	put(core.TableReport, written)

	if got := read[report.Report](t, b, auth, path); got.Summary != written.Summary {
		t.Errorf("summary %q, want the written one", got.Summary)
	}

	written.Run.State = core.StateFailedHolding
	put(core.TableReport, written)

	if got := read[report.Report](t, b, auth, path); got.Summary == written.Summary {
		t.Error("a report of an earlier state was shown")
	}
}

func TestOrdersFromThePageAreCarriedOutAndExplained(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Failed, random)
	cookie := b.signIn()

	var orders []string

	b.commands.OnRun = func(order string, run core.RunID) (core.Run, error) {
		orders = append(orders, order+" "+string(run))

		if order == "release" {
			return core.Run{}, core.NewProblem(core.ErrConflict, "run/wrong-state", "The run is not held any more.")
		}

		return core.Run{ID: run}, nil
	}

	for _, word := range []string{"cancel", "retry"} {
		got := b.ask("POST", "/runs/"+string(canned.Run)+"/"+word, "", "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
		if got.status != http.StatusSeeOther || !strings.HasPrefix(got.header.Get("Location"), "/runs/"+string(canned.Run)) {
			t.Errorf("%s: %d", word, got.status)
		}
	}

	got := b.ask("POST", "/runs/"+string(canned.Run)+"/release", "", "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
	if got.status != http.StatusConflict || !strings.Contains(got.body, "The run is not held any more.") || !strings.Contains(got.body, "run-stages") {
		t.Errorf("release: %d", got.status)
	}

	if len(orders) != 3 {
		t.Errorf("orders %v", orders)
	}
}

func TestReadinessSaysWhatIsMissing(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Empty, nil)
	if got := b.ask("GET", "/readyz", ""); got.status != http.StatusOK || got.body != `{"status":"ok"}` {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// What is in the way of a boot is told of the machine that a run waits for, by the API and
// on its page, and of no other.
func TestABootThatStandsStillIsExplained(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("read")
	rack := strings.TrimSuffix(string(canned.Host), "11")
	waits, idle := rack+"16", rack+"13"

	cookie := b.signIn()

	for mac, want := range map[string]bool{waits: true, idle: false} {
		got := b.ask("GET", "/api/v1/boot-trace/"+mac, "", "Authorization", auth)
		if got.status != 200 || strings.Contains(got.body, `"code":"boot/loader-silent"`) != want {
			t.Errorf("%s: %d %s", mac, got.status, got.body)
		}

		page := b.ask("GET", "/hosts/"+mac, "", "Cookie", cookie)
		if page.status != 200 || strings.Contains(page.body, "nothing was heard of it") != want {
			t.Errorf("%s: %d, the page says %t", mac, page.status, !want)
		}
	}
}
