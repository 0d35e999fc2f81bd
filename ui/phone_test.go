package ui_test

import (
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"vetting/core"
	"vetting/ui/browser"
	"vetting/ui/canned"
	"vetting/ui/view"
)

// low are the things to press that are less than 44 pixels high; a link within a text may be.
const low = `[...document.querySelectorAll(".btn, .seg a, .pages a, .beyond a, nav.bar a, summary, select, input:not([type=checkbox], [type=radio], [type=hidden])")].filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44).map(e => e.outerHTML.slice(0, 90))`

// over are the cells of tables whose text lies over their neighbour's.
const over = `[...document.querySelectorAll("td:not(:has(.tick))")].filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1).map(e => e.outerHTML.slice(0, 90))`

// What is to be pressed can be hit with a thumb, nothing makes a page wider than the phone, and no
// cell of a table lies over another.
func TestThingsToPressOnAPhone(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	base, _ := b.listen()
	tab := browser.Open(t, b.token("admin"))
	browser.Do(t, tab, emulation.SetDeviceMetricsOverride(360, 740, 1, true))

	run := "/runs/" + string(canned.MeasuredRun)
	for _, page := range []string{"/", "/hosts", "/hosts/" + string(canned.Host), "/runs", run, run + "/report", "/runs/" + string(canned.Run[:25]) + "2/hold", "/inbox", "/netboot", "/settings", "/profiles"} {
		browser.Do(t, tab, chromedp.Navigate(base+page))

		if small := browser.Told[[]string](t, tab, low); len(small) > 0 {
			t.Errorf("%s: too low: %q", page, small)
		}

		if covers := browser.Told[[]string](t, tab, over); len(covers) > 0 {
			t.Errorf("%s: a cell lies over another: %q", page, covers)
		}

		if wide := browser.Told[int64](t, tab, "document.documentElement.scrollWidth"); wide > 360 {
			t.Errorf("%s is %d pixels wide: %s", page, wide, browser.Told[string](t, tab, widest))
		}
	}
}

// On a phone the page of a host begins with what its last run came to and what to do; what is
// looked at less often is folded, and its tab opens it.
func TestAHostOnAPhoneIsFolded(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	base, _ := b.listen()
	tab := browser.Open(t, b.token("operate"))
	browser.Do(t, tab, emulation.SetDeviceMetricsOverride(360, 740, 1, true), chromedp.Navigate(base+"/hosts/"+string(core.MAC("52:54:00:00:00:13"))))

	if high := browser.Told[int](t, tab, "document.documentElement.scrollHeight"); high > 3600 {
		t.Errorf("it is %d pixels high", high)
	}

	if first := browser.Told[float64](t, tab, `document.querySelector("#host-last .finding .what").getBoundingClientRect().bottom`); first > 740 {
		t.Errorf("what was found ends at pixel %.0f, below what is seen first", first)
	}

	for _, name := range []string{"hardware", "spec"} {
		seen := `document.getElementById("` + view.HostTabs()[name] + `").checkVisibility()`
		if browser.Told[bool](t, tab, seen) {
			t.Errorf("%s is not folded", name)
		}

		browser.Do(t, tab, chromedp.Click("#tab-"+name))
		browser.Become(t, tab, name+" unfolded by its tab", seen)
	}
}
