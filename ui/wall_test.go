package ui_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"vetting/core"
	"vetting/ui/browser"
	"vetting/ui/canned"
)

// The link of a wallboard stands open on a screen: it shows the rack, leads nowhere,
// and a token that may do more is not taken.
func TestTheWallboardShowsTheRackAndNothingElse(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	got := b.ask("GET", "/wall?token="+b.token("read"), "")

	if got.status != http.StatusOK || !strings.Contains(got.body, "rack3-u17") || !strings.Contains(got.body, "data-wall") {
		t.Errorf("the wallboard answers %d: %.300s", got.status, got.body)
	}

	_, main, _ := strings.Cut(got.body, "<main")
	for _, word := range []string{"<a ", "<form", "<button", "<input"} {
		if strings.Contains(main, word) {
			t.Errorf("the wallboard has a %s", word)
		}
	}

	for path, want := range map[string]int{
		"/wall":                             http.StatusSeeOther,
		"/wall?token=vet_wrong":             http.StatusUnauthorized,
		"/wall?token=" + b.token("operate"): http.StatusForbidden,
		"/wall?token=" + b.token("admin"):   http.StatusForbidden,
	} {
		if got := b.ask("GET", path, ""); got.status != want || strings.Contains(got.body, "rack3-u17") {
			t.Errorf("%.20s: %d, want %d", path, got.status, want)
		}
	}
}

// nightfall keeps what a page puts off until it begins anew, and does not wait for it.
const nightfall = `const later = setTimeout; window.__night = [];
window.setTimeout = (f, ms, ...more) => String(f).includes("location.reload") ? __night.push([ms, f]) : later(f, ms, ...more);`

// A wallboard runs for months: at four in the night, where it hangs, it begins anew, so that
// nothing that a browser gathers stays.
func TestTheWallboardBeginsAnewEveryNight(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	base, _ := b.listen()
	tab := browser.Open(t, "")

	browser.Do(t, tab, emulation.SetTimezoneOverride("Asia/Tokyo"), chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := page.AddScriptToEvaluateOnNewDocument(nightfall).Do(ctx)

		return err
	}), chromedp.Navigate(base+"/wall?token="+b.token("read")))
	browser.Become(t, tab, "what it has put off", "window.__night.length === 1")

	if due := browser.Told[string](t, tab, `(([ms]) => ms > 0 && ms <= 864e5 && new Date(Math.round((Date.now() + ms) / 6e4) * 6e4).toTimeString().slice(0, 8))(__night[0])`); due != "04:00:00" {
		t.Errorf("it begins anew at %s", due)
	}

	browser.Do(t, tab, chromedp.Evaluate("window.same = 1; __night[0][1](); 0", nil))
	browser.Become(t, tab, "the wallboard anew", `!window.same && document.body.innerText.includes("rack3-u17")`)
}

func TestWhatStandsOnAMachineLeadsToItsHost(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	read, operate := "Bearer "+b.token("read"), "Bearer "+b.token("operate")

	for word, want := range map[string]string{
		"52-54-00-00-00-13": "/hosts/52:54:00:00:00:13", "a-10443": "/hosts/52:54:00:00:00:13", "CN7C9F1R13": "/hosts/52:54:00:00:00:13",
		"rack3-u19": "/hosts/52:54:00:00:00:13",
	} {
		if got := b.ask("GET", "/h/"+word, "", "Authorization", operate); got.header.Get("Location") != want {
			t.Errorf("%s leads to %q, want %q", word, got.header.Get("Location"), want)
		}
	}

	// What nobody knows is said to be so, to readers too; lists_test.go looks at the page.
	for _, word := range []string{"nobody", "02:00:00:00:00:01"} {
		if got := b.ask("GET", "/h/"+word, "", "Authorization", read); got.status != http.StatusNotFound || !strings.Contains(got.body, "Not known here") {
			t.Errorf("%s: %d", word, got.status)
		}
	}
}

// What a run found becomes the spec only after a person has seen what changes.
func TestASpecThatIsTakenFromARunShowsWhatChanges(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	auth := "Bearer " + b.token("operate")

	b.commands.OnSpec = func(core.MAC, string) (core.Host, error) {
		t.Error("it was saved at once")

		return core.Host{}, nil
	}

	got := b.ask("GET", "/runs/01JD4X00000000000000000012", "", "Authorization", auth)
	if !strings.Contains(got.body, "Accept what was found as the new spec") {
		t.Error("the run does not offer it")
	}

	got = b.ask("POST", "/hosts/52:54:00:00:00:12/spec/learn", "run=01JD4X00000000000000000012", "Authorization", auth)
	if _, diff, ok := strings.Cut(got.body, "What would change"); !ok || !strings.Contains(diff, `<span class="drop">- `) || !strings.Contains(diff, `<span class="add">+ `) {
		t.Errorf("%d: the page does not show what would change", got.status)
	}
}
