package main

import (
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"vetting/docs"
	"vetting/ui/browser"
)

// Every page of the documentation on the narrowest phone: nothing has to be scrolled
// sideways, nobody is kept out, and the policy keeps nothing from working.
func TestEveryPageOfTheDocumentationOnAPhone(t *testing.T) {
	a := deskAppliance(t, t.TempDir(), nil)
	tab := browser.Open(t, "")
	paths := []string{"/docs", "/docs?q=backup", "/docs?q=nothing+of+the+kind", "/docs/no-such-page"}

	pages, err := docs.Pages()
	if err != nil {
		t.Fatal(err)
	}

	for _, page := range pages {
		paths = append(paths, "/docs/"+page.Topic)
	}

	browser.Do(t, tab, emulation.SetDeviceMetricsOverride(360, 740, 2, true))

	for _, path := range paths {
		browser.Do(t, tab, chromedp.Navigate(a.ui.URL()+path))

		if wide := browser.Told[int](t, tab, "document.documentElement.scrollWidth"); wide > 360 {
			t.Errorf("%s is %d pixels wide", path, wide)
		}

		browser.Look(t, tab, path, `{resultTypes: ["violations"], preload: false}`)

		if all := browser.Told[[]string](t, tab, "window.__noted"); len(all) > 0 {
			t.Errorf("%s: %v", path, all)
		}
	}
}
