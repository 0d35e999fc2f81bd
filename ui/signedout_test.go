package ui_test

import (
	"testing"

	"github.com/chromedp/chromedp"

	"vetting/core"
	"vetting/ui/browser"
	"vetting/ui/canned"
)

// Who is signed out while they fill in a form loses nothing of it: they sign in in another
// tab, and loading the answer anew sends the form once more.
func TestAFormSentAfterTheSignInHasEndedCanBeSentAgain(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	b.signIn()

	var made []string

	b.commands.OnRegister = func(h core.Host) (core.Host, error) {
		made = append(made, h.Name)

		return h, nil
	}

	base, _ := b.listen()
	tab := browser.Open(t, "")
	signIn := func(page string) chromedp.Tasks {
		return chromedp.Tasks{chromedp.Navigate(base + page), chromedp.SetValue("[name=name]", "ada", chromedp.ByQuery), chromedp.SetValue("[name=password]", password, chromedp.ByQuery), chromedp.Submit("[name=password]")}
	}

	browser.Do(t, tab, signIn("/login?next=/hosts/new"))
	browser.Become(t, tab, "the form", `location.pathname === "/hosts/new"`)
	browser.Do(t, tab, chromedp.SetValue("#mac", "52:54:00:00:77:77", chromedp.ByQuery), chromedp.SetValue("#name", "typed-with-care", chromedp.ByQuery))

	other := browser.Tab(t, tab)
	browser.Do(t, other, chromedp.Navigate(base+"/docs"))
	browser.Tap(t, other, "Sign out")
	browser.Become(t, other, "the login", `location.pathname === "/login"`)

	browser.Tap(t, tab, "Add this host")
	browser.Become(t, tab, "what to do", `document.querySelector("main").textContent.includes("nothing was done") && !document.querySelector("nav")`)

	if len(made) > 0 {
		t.Fatalf("somebody who is not signed in has made %q", made)
	}

	browser.Do(t, other, signIn("/login"))
	browser.Become(t, other, "the rack", `location.pathname === "/"`)
	browser.Do(t, tab, chromedp.Reload())
	browser.Become(t, tab, "the host", `location.pathname === "/hosts/52:54:00:00:77:77"`)

	if len(made) != 1 || made[0] != "typed-with-care" {
		t.Errorf("made %q", made)
	}
}
