package ui_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"vetting/core"
	"vetting/ui/browser"
	"vetting/ui/canned"
)

// What moves with j and k stays where it is when the page is fetched anew.
func TestKeysKeepTheirPlaceWhenThePageIsFetchedAnew(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	base, _ := b.listen()
	tab := browser.Open(t, b.token("admin"))

	for _, look := range []string{"/", "/?look=list"} {
		browser.Do(t, tab, emulation.SetDeviceMetricsOverride(1200, 900, 1, false), chromedp.Navigate(base+look))
		browser.Become(t, tab, "the stream", `document.querySelector(".live").dataset.state === "on"`)
		browser.Do(t, tab, chromedp.KeyEvent("jjj"))

		const at = `[...document.querySelectorAll("[data-key]")].findIndex(e => e.classList.contains("at"))`

		was := browser.Told[int](t, tab, at)
		b.rename("renamed" + look[:1] + look[len(look)-1:])
		browser.Become(t, tab, "the new name", `document.querySelector("main").textContent.includes("renamed`+look[:1]+look[len(look)-1:]+`")`)

		if now := browser.Told[int](t, tab, at); was != 2 || now != 2 {
			t.Errorf("%s: at %d, after the page was fetched anew at %d", look, was, now)
		}

		browser.Do(t, tab, chromedp.KeyEvent("j"))

		if now := browser.Told[int](t, tab, at); now != 3 {
			t.Errorf("%s: one step on is %d", look, now)
		}
	}
}

// hold has the run of the scene held for a person, and tells of it.
func (b *bench) hold() {
	b.t.Helper()
	b.write(func(txn core.Txn) error {
		return alter(txn, core.TableRun, string(canned.Run), func(r *core.Run) { r.State, r.Verdict = core.StateFailedHolding, core.Fail })
	})
}

// Who does not see the page hears of a state that has changed; nothing moves for those whom
// it disturbs; and times are those of the viewer's zone, which is named.
func TestWhatHappensIsSaidAndNothingMovesUnasked(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	base, _ := b.listen()
	tab := browser.Open(t, b.token("admin"))

	browser.Do(t, tab, emulation.SetTimezoneOverride("Asia/Tokyo"), dressed("light"), chromedp.Navigate(base+"/runs/"+string(canned.Run)))
	browser.Become(t, tab, "the stream", `document.querySelector(".live").dataset.state === "on"`)

	const moves = `[...document.querySelectorAll("*")].some(e => getComputedStyle(e).animationName !== "none" || getComputedStyle(e, "::-webkit-progress-value").transitionDuration.split(", ").some(d => parseFloat(d) > 0))`
	if browser.Told[bool](t, tab, moves) {
		t.Error("something moves for a person whom it disturbs")
	}

	if browser.Told[bool](t, tab, `[...document.querySelectorAll("time[datetime]")].some(t => !t.textContent.includes("GMT+9"))`) {
		t.Error("a time is not that of the viewer's zone")
	}

	b.hold()
	browser.Become(t, tab, "what a reader is told", `[...document.querySelectorAll(".say[role=status]")].some(e => e.textContent.includes("Holding"))`)

	if !browser.Told[bool](t, tab, `document.querySelector("time[datetime]").textContent.includes("GMT+9")`) {
		t.Error("a time that was fetched anew is not that of the viewer's zone")
	}
}

// A report that was kept as a file is whole with no network at all, on a phone, too: its
// charts are to be seen, and its own policy keeps nothing from working.
func TestAReportIsWholeAsAFile(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	got := b.ask("GET", "/api/v1/runs/"+string(canned.MeasuredRun)+"/report.html", "", "Authorization", "Bearer "+b.token("read"))
	file := filepath.Join(t.TempDir(), "report.html")

	if err := os.WriteFile(file, []byte(got.body), 0o600); err != nil {
		t.Fatal(err)
	}

	tab := browser.Open(t, "")
	browser.Do(t, tab, emulation.SetDeviceMetricsOverride(360, 740, 2, true), network.EmulateNetworkConditions(true, 0, 0, 0), chromedp.Navigate("file://"+file))

	if n := browser.Told[int](t, tab, `[...document.querySelectorAll("figure svg path.line")].filter(l => l.getBoundingClientRect().width > 50).length`); n != 2 {
		t.Errorf("%d lines of charts are to be seen, not 2", n)
	}

	if wide := browser.Told[int](t, tab, "document.documentElement.scrollWidth"); wide > 360 {
		t.Errorf("it is %d pixels wide", wide)
	}

	browser.Look(t, tab, "the report as a file", `{resultTypes: ["violations"], preload: false}`)

	if all := browser.Told[[]string](t, tab, "window.__noted"); len(all) > 0 {
		t.Error(all)
	}
}
