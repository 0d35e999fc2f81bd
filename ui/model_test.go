package ui_test

import (
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"vetting/core/route"
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

// Programs are told what the page shows: the same hosts in the same order, with what stands out.
func TestTheHostsOfAModelForPrograms(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Fleet, nil)
	auth := "Bearer " + b.token("read")
	ask := func(query string) (told route.ModelComparison) {
		got := b.ask("GET", "/api/v1/models"+query, "", "Authorization", auth)
		if err := json.Unmarshal([]byte(got.body), &told); err != nil || got.status != http.StatusOK {
			t.Fatalf("%s: %d %s", query, got.status, got.body)
		}

		return told
	}

	told := ask("")
	if len(told.Hosts) != 8 || len(told.Models) != 1 || told.Models[0] != (route.ModelCount{Model: told.Model, Hosts: 8}) || len(told.Quantities) == 0 {
		t.Fatalf("%+v", told)
	}

	first, second, third := &told.Hosts[0], &told.Hosts[1], &told.Hosts[2]
	if first.Name != "rack3-u23" || !slices.Equal(first.StandsOut, []string{"cpu_temperature", "disk_read", "disk_write"}) || second.Name != "rack3-u22" ||
		!slices.Equal(second.StandsOut, []string{"memory_bandwidth"}) || len(third.StandsOut) > 0 {
		t.Errorf("%+v", told.Hosts[:3])
	}

	memory := second.Figures["memory_bandwidth"]
	if i := slices.IndexFunc(told.Quantities, func(q route.ModelQuantity) bool { return q.Key == "memory_bandwidth" }); !memory.Out || math.Round(memory.Off) != -33 ||
		i < 0 || math.Abs(memory.Value/told.Quantities[i].Median-1-memory.Off/100) > 1e-9 || told.Quantities[i].Measured != 7 || told.Quantities[i].Unit != "MiB/s" {
		t.Errorf("%+v of %+v", memory, told.Quantities)
	}

	if same := ask("?model=" + url.QueryEscape(told.Model)); !cmp.Equal(same, told) {
		t.Errorf("%+v", same)
	}

	if none := ask("?model=nobody"); none.Model != "nobody" || len(none.Hosts) > 0 || len(none.Models) != 1 {
		t.Errorf("of a model that nobody has: %+v", none)
	}

	if empty := open(t, canned.Empty, nil); !strings.Contains(empty.ask("GET", "/api/v1/models", "", "Authorization", "Bearer "+empty.token("read")).body,
		`{"model":"","models":[],"quantities":[],"hosts":[]}`) {
		t.Error("of no hosts the lists are none")
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
