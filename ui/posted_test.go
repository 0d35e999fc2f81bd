package ui_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"vetting/core"
	"vetting/ui"
	"vetting/ui/browser"
	"vetting/ui/canned"
)

// A page that answers a form says where it is to be had again, with all the parts that it
// has changed there, or it does not follow: fetched where the form went, it would show
// another page, or send the form once more.
func TestAPageThatAnswersAFormSaysWhereItIsToBeHadAgain(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, func(cfg *ui.Config) { cfg.Steering = &canned.Steering{} })
	auth := "Bearer " + b.token("admin")
	host, run := "/hosts/"+string(canned.Host), "/runs/"+string(canned.Run)
	no := core.NewProblem(core.ErrConflict, "run/busy", "Not now.")

	b.commands.OnRun = func(string, core.RunID) (core.Run, error) { return core.Run{}, no }
	b.commands.OnUpdate = func(core.MAC, func(*core.Host)) (core.Host, error) { return core.Host{}, no }

	parts := regexp.MustCompile(`id="([a-z-]+)"[^>]* data-live`)
	follows := regexp.MustCompile(`<body data-view="([^"]*)"(?: data-here="([^"]*)")?`)

	for path, form := range map[string]string{
		host: "name=", host + "/spec": "spec=%3A%3A", host + "/runs": "profile=none", host + "/power": "op=none", host + "/overrides": "config=%3A", host + "/notes": "text=",
		run + "/cancel": "", run + "/release": "", run + "/retry": "", run + "/move": "to=last", run + "/notes": "text=", run + "/override-wipe": "reason=x", run + "/fail": "fail_reason=", run + "/waivers": "finding=none",
		"/inbox/3c:ec:ef:00:17:a2/heed": "", "/activity/none/stop": "", "/settings/restart": "", "/notifications/none/delete": "", "/hosts/selected/runs": "", "/classes": "name=",
	} {
		got := b.ask("POST", path, form, "Authorization", auth, "Sec-Fetch-Site", "same-origin")

		m := follows.FindStringSubmatch(got.body)
		if m == nil || m[1] == "" {
			continue // it does not follow
		}

		again := b.ask("GET", m[2], "", "Authorization", auth)
		if m[2] == "" || again.status != http.StatusOK {
			t.Errorf("%s (%d) follows %s and is to be had again at %q: %d", path, got.status, m[1], m[2], again.status)

			continue
		}

		for _, part := range parts.FindAllStringSubmatch(got.body, -1) {
			if !slices.ContainsFunc(parts.FindAllStringSubmatch(again.body, -1), func(p []string) bool { return p[1] == part[1] }) {
				t.Errorf("%s: %s has no part %s", path, m[2], part[1])
			}
		}
	}

	if page := b.ask("GET", host, "", "Authorization", auth); strings.Contains(page.body, "data-here") {
		t.Error("a page that answers no form is had at its own address")
	}
}

// A form that was refused stays as it was typed while its page goes on following, and nothing
// sends it once more.
func TestARefusedFormIsNotSentAgainByWhatHappens(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	base, _ := b.listen()
	tab := browser.Open(t, b.token("admin"))
	sent := 0
	b.commands.OnSpec = func(core.MAC, string) (core.Host, error) {
		sent++

		return core.Host{}, core.NewProblem(core.ErrInvalid, "spec/unreadable", "The spec cannot be read.")
	}

	browser.Do(t, tab, chromedp.Navigate(base+"/hosts/"+string(canned.Host)), chromedp.SetValue("#spec-yaml", "cpus: [", chromedp.ByQuery), chromedp.Submit("#spec-yaml"))
	browser.Become(t, tab, "what is wrong with the spec", `location.pathname.endsWith("/spec") && document.body.textContent.includes("cannot be read") && document.querySelector(".live").dataset.state === "on"`)
	browser.Do(t, tab, chromedp.Evaluate(`window.same = 1`, nil))
	b.rename("renamed")
	browser.Become(t, tab, "the new name", `document.querySelector("h1").textContent.startsWith("renamed")`)

	if !browser.Told[bool](t, tab, `window.same === 1 && document.querySelector("#spec-yaml").value === "cpus: [" && document.body.textContent.includes("cannot be read")`) || sent != 1 {
		t.Errorf("the page was loaded anew, or what was typed is lost; it was sent %d times", sent)
	}
}

// What somebody is about to write is not taken away by a page that cannot follow any more:
// its subject was removed, or the appliance has another version. The page says so.
func TestWhatIsHalfWrittenOutlastsThePageItStandsOn(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	base, _ := b.listen()
	tab := browser.Open(t, b.token("admin"))
	banner := func(words string) string {
		return fmt.Sprintf(`document.querySelector(".banner[data-on]")?.textContent.includes(%q) && document.querySelector(".live").dataset.state === "off"`, words)
	}
	visit := chromedp.Tasks{
		chromedp.Navigate(base + "/hosts/" + string(canned.Host)), chromedp.Evaluate(`window.same = 1; document.querySelector("#note-text").value = "half a no"`, nil),
	}

	const live, kept = `document.querySelector(".live").dataset.state === "on"`, `window.same === 1 && document.querySelector("#note-text").value === "half a no"`

	browser.Do(t, tab, visit)
	browser.Become(t, tab, "the stream", live)
	browser.Do(t, tab, chromedp.Evaluate(`document.querySelector("script[src]").setAttribute("src", "/static/app.other.js")`, nil)) // as that of an earlier version
	b.rename("renamed")
	browser.Become(t, tab, "that there is another version", banner("another version")+" && "+kept)
	browser.Do(t, tab, chromedp.Evaluate(`document.querySelector("#note-text").value = ""`, nil))
	b.rename("renamed-again")
	browser.Become(t, tab, "the page to begin anew", `window.same === undefined && document.querySelector("h1").textContent.startsWith("renamed-again")`)

	browser.Do(t, tab, visit)
	browser.Become(t, tab, "the stream", live)
	b.write(func(txn core.Txn) error { return txn.Delete(core.TableHost, string(canned.Host)) })
	browser.Become(t, tab, "that the host was removed", banner("it was removed")+" && "+kept)
}

// How long a start can still be withdrawn is told by the appliance's clock: that of the
// browser, here eight days ahead, has nothing to say about it.
func TestHowLongAStartCanBeWithdrawnIsToldByTheAppliancesClock(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	base, _ := b.listen()
	tab := browser.Open(t, b.token("admin"))

	b.write(func(txn core.Txn) error {
		return alter(txn, core.TableRun, string(canned.Run), func(r *core.Run) { r.State, r.Deadline = core.StateQueued, canned.Now().Add(9*time.Second) })
	})
	browser.Do(t, tab, chromedp.Navigate(base+"/runs/"+string(canned.Run)))
	browser.Become(t, tab, "the seconds that are left", `/^the end of [1-9] s$/.test(document.querySelector("time[data-left]").textContent)`)
}
