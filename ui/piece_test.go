package ui_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui"
	"vetting/ui/browser"
	"vetting/ui/canned"
)

// told are the parts of a page in the next frame that has any, by the element's id.
func told(t *testing.T, in <-chan string) (layout string, html map[string]string) {
	t.Helper()

	for {
		data, ok := strings.CutPrefix(nextFrame(t, in), "event: part\ndata: ")
		if !ok {
			continue
		}

		var frame struct {
			Layout string
			HTML   map[string]string
		}

		if err := json.Unmarshal([]byte(data), &frame); err != nil {
			t.Fatal(err)
		}

		return frame.Layout, frame.HTML
	}
}

func TestTheStreamOfTheRackTellsTheTileThatChanged(t *testing.T) {
	t.Parallel()

	const tile, row, slot = "tile-" + string(canned.Host), "row-" + string(canned.Host), "slot-" + string(canned.Host)

	tests := map[string]struct{ query, want string }{
		"tiles": {"", tile}, "a list": {"&look=list", row}, "racks": {"&look=elevation", slot}, "those that run": {"&state=running", tile}, "others": {"&state=pass", ""},
		"hosts": {"&v=hosts&sort=-storage&cols=state,storage", row}, "other hosts": {"&v=hosts&q=rack3-u20", ""},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := open(t, canned.Full, random)
			token := b.token("read")
			base, _ := b.listen()
			path, follows := "/?", "v=tiles"

			if _, hosts := strings.CutPrefix(tt.query, "&v=hosts"); hosts {
				path, follows = "/hosts?", ""
			}

			page := b.ask("GET", path+tt.query, "", "Authorization", "Bearer "+token).body
			in, _ := follow(t, base+"/events?"+follows+tt.query, token, "")

			b.rename("rack3-u17 first")

			layout, _ := told(t, in)
			if !strings.Contains(page, `data-layout="`+layout+`"`) || layout == "" {
				t.Errorf("the page is not laid out as %q", layout)
			}

			b.rename("rack3-u17 a<b>c")

			_, html := told(t, in)

			switch keys := slices.Collect(maps.Keys(html)); {
			case tt.want == "" && len(keys) > 0:
				t.Errorf("told %v of a host that is not shown", keys)
			case tt.want != "" && !slices.Contains(keys, tt.want):
				t.Errorf("told %v, not %s", keys, tt.want)
			case strings.Contains(html[tt.want], "<b>c") || tt.want != "" && !strings.Contains(html[tt.want], "a&lt;b&gt;c"):
				t.Errorf("the host's name is not text: %s", html[tt.want])
			}

			if _, whole := html["sum"]; whole {
				t.Error("what has not changed is told again")
			}
		})
	}
}

// A host that goes changes where the others stand: the page is to be fetched anew.
func TestAHostThatGoesChangesTheLayout(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	token := b.token("read")
	base, _ := b.listen()
	in, _ := follow(t, base+"/events?v=tiles", token, "")

	b.rename("rack3-u17 first")

	before, _ := told(t, in)

	if _, err := b.ledger.Update(t.Context(), func(txn core.Txn) error { return txn.Delete(core.TableHost, "52:54:00:00:00:13") }); err != nil {
		t.Fatal(err)
	}

	b.rename("rack3-u17 second")

	if after, _ := told(t, in); after == before || after == "" {
		t.Errorf("the layout is %q, and was %q", after, before)
	}
}

func TestTheStreamOfTheQueueTellsItsParts(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	token := b.token("read")
	base, _ := b.listen()
	in, _ := follow(t, base+"/events?v=queue", token, "")

	b.happen(1, canned.Run)

	_, html := told(t, in)
	for _, id := range []string{"queue", "running", "runs", "runs-summary"} {
		if !strings.Contains(html[id], `id="`+id+`"`) {
			t.Errorf("of %s it tells %q", id, html[id])
		}
	}

	if strings.Contains(html["queue"], "<button") {
		t.Error("a reader is offered to move runs")
	}
}

// What a page is told is drawn for who reads it: whoever may do less from now on begins anew.
func TestTheStreamOfSomebodyWhoseRoleChangedEnds(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	b.signIn()

	otto := b.member("otto", route.Administrator)
	base, _ := b.listen()

	var made route.TokenCreated

	got := b.ask("POST", "/api/v1/tokens", `{"name":"mine","scope":"operate"}`, "Cookie", otto, "Sec-Fetch-Site", "same-origin")
	if err := json.Unmarshal([]byte(got.body), &made); err != nil || made.Secret == "" {
		t.Fatalf("making a token: %d %s", got.status, got.body)
	}

	in, _ := follow(t, base+"/events?v=queue", made.Secret, "")
	b.happen(1, canned.Run)

	if _, html := told(t, in); !strings.Contains(html["queue"], "<button") {
		t.Fatalf("an operator is not offered to move runs: %s", html["queue"])
	}

	if got := b.ask("PATCH", "/api/v1/users/otto", `{"role":"viewer"}`, "Authorization", "Bearer "+b.token("admin")); got.status != http.StatusOK {
		t.Fatalf("changing the role: %d %s", got.status, got.body)
	}

	for began := time.Now(); ; {
		if frame := nextFrame(t, in); strings.HasPrefix(frame, "event: bye\n") {
			break
		}

		if time.Since(began) > 10*time.Second {
			t.Fatal("the stream goes on as an operator's")
		}
	}
}

// The page changes where something happened, and what stands on top of it with it, without
// being fetched again; where hosts come or go it fetches itself.
func TestTheRackChangesInPlace(t *testing.T) {
	t.Parallel()

	var warned atomic.Pointer[[]ui.Warning]

	warned.Store(&[]ui.Warning{})

	b := open(t, canned.Full, func(cfg *ui.Config) { cfg.Warnings = func() []ui.Warning { return *warned.Load() } })
	base, _ := b.listen()
	tab := browser.Open(t, b.token("admin"))
	fetches := `performance.getEntriesByType("resource").filter(e => e.initiatorType === "fetch").length`

	browser.Do(t, tab, emulation.SetDeviceMetricsOverride(1200, 900, 1, false), chromedp.Navigate(base+"/"),
		chromedp.Evaluate(`document.querySelector("input[value='`+string(canned.Host)+`']").click()`, nil))
	browser.Become(t, tab, "the stream", `document.querySelector(".live").dataset.state === "on"`)

	warned.Store(&[]ui.Warning{{Severity: core.Critical, Text: "The disk is full."}})
	b.rename("rack3-u17 another")
	browser.Become(t, tab, "the name", `document.getElementById("tile-`+string(canned.Host)+`").textContent.includes("rack3-u17 another")`)
	browser.Become(t, tab, "the warning", `document.querySelector("#warnings .note.fail").textContent === "The disk is full."`)

	if n := browser.Told[int](t, tab, fetches); n != 0 {
		t.Errorf("the page was fetched %d times", n)
	}

	if !browser.Told[bool](t, tab, `document.querySelector("input[value='`+string(canned.Host)+`']").checked && document.querySelector("#picked").textContent === "1 host ticked"`) {
		t.Error("what was ticked is lost")
	}

	if _, err := b.ledger.Update(t.Context(), func(txn core.Txn) error { return txn.Delete(core.TableHost, "52:54:00:00:00:13") }); err != nil {
		t.Fatal(err)
	}

	warned.Store(&[]ui.Warning{})
	b.rename("rack3-u17 third")
	browser.Become(t, tab, "the host to be gone", `!document.getElementById("tile-52:54:00:00:00:13") && document.body.textContent.includes("rack3-u17 third") && !document.querySelector("#warnings .fail")`)
}
