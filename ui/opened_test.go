package ui_test

import (
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"vetting/ui"
	"vetting/ui/browser"
	"vetting/ui/canned"
)

const (
	// unfolded opens all that a page folds away, but what asks once more, which lies over it.
	unfolded = `document.querySelectorAll("details:not(.confirm)").forEach(d => d.open = true)`

	// cutChoices are the choices whose chosen words do not fit into them; which finding is meant is
	// told above the choice, too.
	cutChoices = `(() => { const pen = document.createElement("canvas").getContext("2d"); return [...document.querySelectorAll("select")].filter(s => {
		if (!s.checkVisibility() || !s.selectedOptions[0] || s.name === "finding") return false;
		const look = getComputedStyle(s); pen.font = look.font;
		return pen.measureText(s.selectedOptions[0].text).width > s.clientWidth - parseFloat(look.paddingLeft) - parseFloat(look.paddingRight) - 12;
	}).map(s => s.name + ": " + s.selectedOptions[0].text) })()`

	// outside are those that ask once more and, opened by themselves, do not lie on the screen.
	outside = `[...document.querySelectorAll("details.confirm")].filter(d => { d.open = true; const r = d.querySelector(".card").getBoundingClientRect(); d.open = false; return r.left < 0 || r.right > 360 || r.width < 200 }).map(d => d.id)`
)

// What is behind a click, on the narrowest phone: what is unfolded fits and keeps nobody out,
// the words of a choice are whole, and what asks once more lies on the screen.
func TestWhatIsBehindAClickFitsAPhone(t *testing.T) {
	t.Parallel()

	tab := browser.Open(t, "")

	for _, scene := range []canned.Scene{canned.Full, canned.Failed, canned.Long} {
		b := open(t, scene, func(cfg *ui.Config) { cfg.Counts.Slots = func() int { return 3 } })
		if scene == canned.Long {
			b.commands.More = canned.LongProfiles()
		}

		base, _ := b.listen()

		browser.Do(t, tab, network.SetExtraHTTPHeaders(network.Headers{"Authorization": "Bearer " + b.token("admin")}),
			emulation.SetDeviceMetricsOverride(360, 740, 2, true))

		for name, path := range phonePages() {
			name := name + " of the scene " + string(scene)

			browser.Do(t, tab, chromedp.Navigate(base+path), chromedp.Evaluate(unfolded, nil))

			if wide := browser.Told[int](t, tab, "document.documentElement.scrollWidth"); wide > 360 {
				t.Errorf("%s, unfolded, is %d pixels wide: %s", name, wide, browser.Told[string](t, tab, widest))
			}

			if scene != canned.Long { // whose names are cut where they are chosen from
				if cut := browser.Told[[]string](t, tab, cutChoices); len(cut) > 0 {
					t.Errorf("%s cuts what is chosen: %q", name, cut)
				}
			}

			if away := browser.Told[[]string](t, tab, outside); len(away) > 0 {
				t.Errorf("%s asks once more where nobody sees it: %q", name, away)
			}

			if scene == canned.Full {
				browser.Look(t, tab, name+", unfolded", `{resultTypes: ["violations"], preload: false}`)
			}

			if all := browser.Told[[]string](t, tab, "window.__noted"); len(all) > 0 {
				t.Errorf("%s: %v", name, all)
			}
		}
	}
}

// The two windows over a page, on the narrowest phone: the palette and the list of the keys.
func TestTheWindowsOverAPageFitAPhone(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Long, nil)
	base, _ := b.listen()
	tab := browser.Open(t, b.token("admin"))

	browser.Do(t, tab, emulation.SetDeviceMetricsOverride(360, 740, 2, true))

	for name, key := range map[string]chromedp.Action{"the palette": chromedp.KeyEvent("k", chromedp.KeyModifiers(2)), "the keys": chromedp.KeyEvent("?")} {
		browser.Do(t, tab, chromedp.Navigate(base+"/"), key)
		browser.Become(t, tab, name, `document.querySelector("dialog[open]")?.querySelectorAll("li[id], dt").length > 3`)
		browser.Look(t, tab, name, `{resultTypes: ["violations"], preload: false}`)

		if !browser.Told[bool](t, tab, `(() => { const d = document.querySelector("dialog[open]"), r = d.getBoundingClientRect(); return r.left >= 0 && r.right <= 360 && r.bottom <= 740 && d.scrollWidth <= d.clientWidth && document.documentElement.scrollWidth <= 360 })()`) {
			t.Errorf("%s does not fit", name)
		}

		browser.Do(t, tab, chromedp.KeyEvent(kb.Escape))
		browser.Become(t, tab, name+" to be closed", `!document.querySelector("dialog[open]")`)
	}
}
