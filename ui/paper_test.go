package ui_test

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"vetting/ui/browser"
	"vetting/ui/canned"
)

const (
	inch   = 96 // CSS pixels
	margin = 53 // the style's

	// whole are the things on paper that are not to be cut by the end of a page and are not
	// kept from it: they say so, and fit on one. A row with a list may be cut between its items.
	whole = `(high => [...document.querySelectorAll("tr:not(:has(li)), li, .finding, .verdict, .plot")].filter(e => getComputedStyle(e).breakInside !== "avoid" || e.getBoundingClientRect().height > high).map(e => e.tagName + " " + e.textContent.slice(0, 40)))`
)

// A report and a batch on the two sizes of paper that there are: nothing lies beyond the
// margin, no row, finding or plot is cut in two, and it takes no more sheets than it must.
func TestReportsOnPaper(t *testing.T) {
	t.Parallel()

	tab := browser.Open(t, "")

	for scene, most := range map[canned.Scene]map[string]int{
		canned.Full: {"/api/v1/runs/" + string(canned.MeasuredRun) + "/report.html": 3, "/api/v1/batch.html": 2},
		canned.Long: {"/api/v1/runs/" + string(canned.Run) + "/report.html": 20, "/api/v1/batch.html": 2},
	} {
		b := open(t, scene, nil)
		base, _ := b.listen()

		browser.Do(t, tab, network.SetExtraHTTPHeaders(network.Headers{"Authorization": "Bearer " + b.token("read")}))

		for path, sheets := range most {
			for size, paper := range map[string][2]float64{"A4": {210 / 25.4, 297 / 25.4}, "Letter": {8.5, 11}} {
				name := fmt.Sprintf("%s of the scene %s on %s", path, scene, size)
				wide, high := paper[0]*inch-2*margin, paper[1]*inch-2*margin

				var printed []byte

				browser.Do(t, tab, emulation.SetDeviceMetricsOverride(int64(wide), int64(high), 1, false), emulation.SetEmulatedMedia().WithMedia("print"), chromedp.Navigate(base+path))

				if got := browser.Told[int](t, tab, "document.documentElement.scrollWidth"); got > int(wide) {
					t.Errorf("%s is %d pixels wide and the paper %.0f", name, got, wide)
				}

				if cut := browser.Told[[]string](t, tab, fmt.Sprintf("%s(%f)", whole, high)); len(cut) > 0 {
					t.Errorf("%s: may be cut: %q", name, cut)
				}

				browser.Do(t, tab, emulation.SetEmulatedMedia(), chromedp.ActionFunc(func(ctx context.Context) (err error) {
					printed, _, err = page.PrintToPDF().WithPaperWidth(paper[0]).WithPaperHeight(paper[1]).Do(ctx)

					return err
				}))

				if got := len(regexp.MustCompile(`/Type /Page\b`).FindAll(printed, -1)); got == 0 || got > sheets {
					t.Errorf("%s takes %d sheets, more than %d", name, got, sheets)
				}

				if box := fmt.Appendf(nil, "/MediaBox [0 0 %.0f", paper[0]*72); !bytes.Contains(printed, box) {
					t.Errorf("%s is not printed on it: no %s", name, box)
				}
			}
		}
	}
}
