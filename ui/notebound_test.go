package ui_test

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"vetting/core/route"
	"vetting/ui/browser"
	"vetting/ui/canned"
)

// What would be refused unread is said before it is sent, and what was typed stays.
func TestANoteThatIsTooLargeIsNotSent(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	b.signIn()
	name, value, _ := strings.Cut(b.member("otto", route.Operator), "=")
	base, _ := b.listen()
	tab := browser.Open(t, "")

	browser.Do(t, tab, network.SetExtraHTTPHeaders(network.Headers{}), network.SetCookie(name, value).WithURL(base), chromedp.Navigate(base+"/hosts/"+string(canned.Host)))

	choose := func(files, bytes string) string {
		return browser.Told[string](t, tab, `(() => { const d = new DataTransfer(), f = document.getElementById("note-photos");
			for (let i = 0; i < `+files+`; i++) d.items.add(new File([new Uint8Array(`+bytes+`)], i + ".jpg"));
			f.files = d.files; f.dispatchEvent(new Event("change", {bubbles: true})); return f.validationMessage; })()`)
	}
	write := func(text string) string {
		return browser.Told[string](t, tab, `(() => { const f = document.getElementById("note-text");
			f.value = `+text+`; f.dispatchEvent(new Event("input", {bubbles: true})); return f.validationMessage; })()`)
	}

	for _, c := range []struct{ said, want string }{
		{choose("3", "6 << 20"), "more than 15 MiB"},
		{choose("9", "1"), "8 photos at most"},
		{choose("2", "6 << 20"), ""},
		{write(`"x".repeat(4001)`), "4000 letters at most"},
		{write(`"\u{1f600}".repeat(4000)`), ""},
	} {
		if (c.want == "") != (c.said == "") || !strings.Contains(c.said, c.want) {
			t.Errorf("%q, want %q", c.said, c.want)
		}
	}
}
