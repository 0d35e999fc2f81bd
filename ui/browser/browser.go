// Package browser opens a real browser for tests of pages.
package browser

import (
	"context"
	"fmt"
	"os/exec" //nolint:depguard // only to look which browser is installed
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// noted keeps what a page was kept from doing by its policy, and what broke in it.
const noted = `window.__noted = [];
addEventListener("securitypolicyviolation", e => __noted.push("policy " + e.violatedDirective + " " + e.blockedURI));
addEventListener("error", e => __noted.push("error " + e.message));
addEventListener("unhandledrejection", e => __noted.push("rejection " + e.reason));
const complain = console.error;
console.error = (...all) => { __noted.push("console " + all.join(" ")); complain(...all); };`

// wait bounds what a browser may take; it only bounds a test that fails.
const wait = time.Minute

// Open starts a browser, signed in by a token to the consoles it will open; empty: not
// signed in. What pages complain of is in window.__noted.
func Open(t *testing.T, secret string) context.Context {
	t.Helper()

	program := ""

	for _, name := range []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path

			break
		}
	}

	if program == "" {
		t.Skip("no browser: chromium-headless-shell is not installed")
	}

	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.IgnoreCertErrors,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(wait)) // its folder is its own: it writes to the last

	all, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...) // which ends before the browser is told to
	t.Cleanup(stop)

	tab, leave := chromedp.NewContext(all, chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(leave)
	t.Cleanup(func() { _ = chromedp.Cancel(tab) }) // waits until it has ended; it is stopped by force else

	begin(t, tab)

	if secret != "" {
		Do(t, tab, network.SetExtraHTTPHeaders(network.Headers{"Authorization": "Bearer " + secret}))
	}

	return tab
}

// Tab opens another page in a browser: it is signed in where the browser is.
func Tab(t *testing.T, of context.Context) context.Context { //nolint:revive // t first, as everywhere in tests
	t.Helper()

	tab, leave := chromedp.NewContext(of)
	t.Cleanup(leave)
	begin(t, tab)

	return tab
}

func begin(t *testing.T, tab context.Context) { //nolint:revive // as above
	t.Helper()
	Do(t, tab, network.Enable(), chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := page.AddScriptToEvaluateOnNewDocument(noted).Do(ctx)

		return err
	}))
}

// Do carries actions out in the browser.
func Do(t *testing.T, tab context.Context, actions ...chromedp.Action) { //nolint:revive // as Tab
	t.Helper()

	done := make(chan error, 1)

	go func() { done <- chromedp.Run(tab, actions...) }()

	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(wait):
		t.Fatal("the browser does not answer")
	}
}

// Told evaluates an expression in the page.
func Told[T any](t *testing.T, tab context.Context, expression string) (value T) { //nolint:revive // as Tab
	t.Helper()
	Do(t, tab, chromedp.Evaluate(expression, &value, chromedp.EvalAsValue))

	return value
}

// Seen evaluates an expression in the page; it is not true of one that is just being left.
func Seen(t *testing.T, tab context.Context, expression string) (value bool) { //nolint:revive // as Tab
	t.Helper()

	asked, stop := context.WithTimeout(tab, wait)
	defer stop()

	err := chromedp.Run(asked, chromedp.Evaluate(expression, &value, chromedp.EvalAsValue))
	if err != nil && (strings.Contains(err.Error(), "navigated or closed") || strings.Contains(err.Error(), "context was destroyed") || strings.Contains(err.Error(), "Cannot find context")) {
		return false
	}

	if err != nil {
		t.Fatal(err)
	}

	return value
}

// Tap presses a link, a button or a heading that opens something, by its words.
func Tap(t *testing.T, tab context.Context, words string) { //nolint:revive // as Tab
	t.Helper()

	it := fmt.Sprintf(`[...document.querySelectorAll("a, button, summary")].find(e => e.checkVisibility() && e.textContent.trim() === %q)`, words)
	Become(t, tab, words, it)
	Do(t, tab, chromedp.Click(it, chromedp.ByJSPath))
}

// Become waits until an expression is true in the page.
func Become(t *testing.T, tab context.Context, what, expression string) { //nolint:revive // as Tab
	t.Helper()

	for end := time.Now().Add(wait); ; {
		if Seen(t, tab, `document.readyState === "complete" && !!(`+expression+")") {
			return
		}

		if time.Now().After(end) {
			t.Fatalf("waited for %s at %s", what, Told[string](t, tab, `location.href + ": " + document.body.innerText.slice(0, 600)`))
		}

		select {
		case <-t.Context().Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}
