package ui_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"vetting/ui/browser"
	"vetting/ui/canned"
)

// One whose memory is slow, and one that is slow and hot, come first and are marked; one that
// was never vetted is not compared.
func TestTheHostsOfAModelSideBySide(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Fleet, nil)
	auth := "Bearer " + b.token("read")
	page := b.ask("GET", "/models", "", "Authorization", auth).body

	golden(t, "fleet-models.html", hashed(breakLines(page)))
	checkMarkup(t, "models", page)

	_, table, _ := strings.Cut(page, "<tbody>")
	if rows := strings.Split(table, "<tr")[1:]; len(rows) != 9 || !strings.Contains(rows[1], "rack3-u23") || !strings.Contains(rows[1], "+22 °C") ||
		!strings.Contains(rows[1], "-58 %") || !strings.Contains(rows[2], "rack3-u22") || !strings.Contains(rows[2], "-33 %") || strings.Contains(rows[3], "class=\"v warn\"") {
		t.Errorf("%d rows: %s", len(rows), strings.Join(rows[:min(4, len(rows))], "\n"))
	}

	if !strings.Contains(page, "8 hosts of this model have come to a verdict; 2 of them stand out.") {
		t.Error("it is not said how many were compared")
	}

	if none := b.ask("GET", "/models?model="+url.QueryEscape(canned.Evil), "", "Authorization", auth); none.status != 200 || strings.Contains(none.body, canned.Evil) || !strings.Contains(none.body, "No host of this model") {
		t.Errorf("of a model that nobody has: %d", none.status)
	}

	if few := b.ask("GET", "/models", ""); few.status == 200 {
		t.Error("nobody in particular may look")
	}
}

// The scene has more in it than the pages of all scenes: it is looked at by itself, on a phone.
func TestTheHostsOfAModelOnAPhone(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Fleet, nil)
	base, _ := b.listen()
	tab := browser.Open(t, b.token("read"))

	for _, width := range []int64{360, 1100} {
		browser.Do(t, tab, emulation.SetDeviceMetricsOverride(width, 740, 1, width < 500), chromedp.Navigate(base+"/models"))
		browser.Look(t, tab, "models", `{resultTypes: ["violations"], preload: false}`)

		if wide := browser.Told[int64](t, tab, "document.documentElement.scrollWidth"); wide > width {
			t.Errorf("%d pixels wide, not %d: %s", wide, width, browser.Told[string](t, tab, widest))
		}
	}
}
