package ui_test

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"vetting/ui/browser"
	"vetting/ui/canned"
)

// loaded is a file of a page, as its browser tells it.
type loaded struct {
	Name   string `json:"name"`
	OnWire int    `json:"transferSize"` // packed, with its header; 0: it was kept from before
}

// loads opens a page and returns what came for it; the icon, which a browser without a
// window leaves out, too.
func loads(t *testing.T, tab context.Context, page string) (all []loaded) { //nolint:revive // t first, as everywhere in tests
	t.Helper()

	browser.Do(t, tab, chromedp.Navigate(page), chromedp.Evaluate(`document.querySelectorAll("link[rel~=icon]").forEach(l => fetch(l.href)); 0`, nil))
	browser.Become(t, tab, "the icon", `performance.getEntriesByType("resource").some(e => e.name.endsWith(".svg"))`)

	return browser.Told[[]loaded](t, tab, `[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")].map(e => e.toJSON())`)
}

// What a page is made of comes from the appliance alone, and once: the next page fetches
// nothing but itself, and what changes with the version is named by its content.
func TestTheNextPageFetchesNothingButItself(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	base, _ := b.listen()
	tab := browser.Open(t, b.token("admin"))

	first, next := loads(t, tab, base+"/"), loads(t, tab, base+"/runs")
	if len(first) != 4 || len(next) != 4 { // the page, its style, its script and its icon
		t.Errorf("a page is made of %v, the next of %v", first, next)
	}

	for _, file := range first {
		if !strings.HasPrefix(file.Name, base+"/") || file.OnWire == 0 {
			t.Errorf("%+v is not of the appliance, or was not fetched", file)
		}
	}

	for _, file := range next {
		if own := file.Name == base+"/runs"; !own && file.OnWire > 0 {
			t.Errorf("%+v is fetched again", file)
		}
	}
}
