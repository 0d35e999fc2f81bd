package ui_test

import (
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"vetting/ui"
	"vetting/ui/browser"
	"vetting/ui/canned"
)

// sideways names the tables that have to be scrolled sideways to be read.
const sideways = `[...document.querySelectorAll(".tw")].filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth).map(e => e.querySelector("table").tHead?.textContent + ": " + e.scrollWidth + " > " + e.clientWidth)`

// Every page in a window of 1,100 pixels, half of a usual screen and more than a projector
// has to spare: what a table ends with (the buttons, the evidence) is seen without scrolling.
func TestEveryPageOnADesk(t *testing.T) {
	t.Parallel()

	tab := browser.Open(t, "")
	b := open(t, canned.Full, func(cfg *ui.Config) { cfg.Counts.Slots = func() int { return 3 } })
	base, _ := b.listen()

	browser.Do(t, tab, network.SetExtraHTTPHeaders(network.Headers{"Authorization": "Bearer " + b.token("admin")}),
		emulation.SetDeviceMetricsOverride(1100, 900, 1, false))

	all := phonePages()
	all["hold"] = "/runs/" + string(held) + "/hold"

	for name, path := range all {
		browser.Do(t, tab, chromedp.Navigate(base+path))

		if wide := browser.Told[int](t, tab, "document.documentElement.scrollWidth"); wide > 1100 {
			t.Errorf("%s is %d pixels wide", name, wide)
		}

		for _, table := range browser.Told[[]string](t, tab, sideways) {
			t.Errorf("%s: a table is scrolled sideways: %s", name, table)
		}
	}
}
