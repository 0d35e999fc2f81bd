package ui_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"vetting/ui"
	"vetting/ui/browser"
	"vetting/ui/canned"
)

// steered lets a console change the appliance.
func steered(s *canned.Steering) func(*ui.Config) {
	return func(cfg *ui.Config) { cfg.Steering = s }
}

// steps are the pages that change the appliance, and forms that are refused there.
func steps() map[string]struct{ path, form string } {
	return map[string]struct{ path, form string }{
		"you":                   {path: "/setup/you"},
		"nic":                   {path: "/setup/nic"},
		"nic-quiet":             {"/setup/nic", "interface=enp5s0f1"},
		"nic-no-link":           {"/setup/nic", "interface=enp5s0f0"},
		"nic-other-server":      {"/setup/nic", "interface=enp6s0"},
		"nic-port-taken":        {"/setup/nic", "interface=enp7s0"},
		"nic-default-route":     {"/setup/nic", "interface=eno1"},
		"network":               {path: "/setup/network"},
		"network-overlaps":      {"/setup/network", "netboot.subnet=192.168.1.1/24&netboot.mode=dhcp&netboot.pool.start=192.168.1.9&netboot.pool.end=192.168.1.99&netboot.pool.lease=2h"},
		"messages":              {path: "/setup/messages"},
		"messages-ntfy":         {path: "/setup/messages?kind=ntfy"},
		"messages-mail":         {path: "/setup/messages?kind=smtp"},
		"messages-weak":         {"/setup/messages", "kind=webhook&name=ours&url=https://h.example/x&secret=sesame&event=RunFailed"},
		"messages-test":         {"/setup/messages/ops-mail/test", "x=1"},
		"profile":               {path: "/setup/profile"},
		"start":                 {path: "/setup/start"},
		"general":               {path: "/settings/general"},
		"general-refused":       {"/settings/general", "netboot.subnet=192.168.1.1/24&log.level=debug"},
		"certificate":           {path: "/settings/tls"},
		"certificate-refused":   {"/settings/tls", "chain=&key="},
		"about":                 {path: "/settings/about"},
		"backup":                {path: "/settings/backup"},
		"backup-whole":          {"/settings/backup/" + canned.BackupName + "/verify", "x=1"},
		"backup-damaged":        {"/settings/backup/vetting-20261122T030000Z.backup/verify", "x=1"},
		"restart":               {path: "/settings/restart"},
		"restart-busy":          {"/settings/restart", "back=/setup/start"},
		"restart-going":         {"/settings/restart", "back=/setup/start&anyway=1"},
		"notifications-new":     {path: "/notifications?kind=discord"},
		"welcome-where-to-turn": {path: "/welcome"},
	}
}

// send opens a page, or sends its form.
func (b *bench) send(path, form, auth string) answer {
	b.t.Helper()

	if form == "" {
		return b.ask("GET", path, "", "Authorization", auth)
	}

	return b.ask("POST", path, form, "Authorization", auth)
}

func TestEveryStepAndItsRefusals(t *testing.T) {
	t.Parallel()

	for scene, s := range map[canned.Scene]*canned.Steering{canned.Full: {}, canned.Failed: {Fixed: true}, canned.Hostile: {Hostile: true}} {
		t.Run(string(scene), func(t *testing.T) {
			t.Parallel()

			for name, step := range steps() {
				b := open(t, scene, steered(&canned.Steering{Fixed: s.Fixed, Hostile: s.Hostile}))
				got := b.send(step.path, step.form, "Bearer "+b.token("admin"))

				page := strings.ReplaceAll(got.body, `href="`+b.URL(), `href="`)
				golden(t, string(scene)+"-setup-"+name+".html", hashed(breakLines(page)))
				checkMarkup(t, name, page)

				if got.status >= http.StatusInternalServerError {
					t.Errorf("%s: status %d", name, got.status)
				}
			}
		})
	}
}

// What was typed is there again when it is refused, but for secrets.
func TestNothingTypedIsLost(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, steered(&canned.Steering{}))
	auth := "Bearer " + b.token("admin")

	got := b.send("/setup/network", steps()["network-overlaps"].form, auth)
	for _, want := range []string{"overlaps with 192.168.1.20/24 of eno1", `value="192.168.1.9"`, `value="192.168.1.99"`, `value="2h"`, `value="192.168.1.1/24"`} {
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, want) {
			t.Errorf("%d: the page lacks %q", got.status, want)
		}
	}

	got = b.send("/setup/messages", steps()["messages-weak"].form, auth)
	if !strings.Contains(got.body, `value="ours"`) || !strings.Contains(got.body, "16 characters are wanted") || strings.Contains(got.body, "sesame") || strings.Contains(got.body, "h.example") {
		t.Error("the name is lost, or a secret is shown again")
	}

	if strings.Count(got.body, ` checked`) != 1 {
		t.Error("what it is told of is not what was ticked")
	}
}

// Whoever types the name of a notifier that is there is asked whether it may go.
func TestANotifierOfANameThatIsTakenIsAskedAbout(t *testing.T) {
	t.Parallel()

	const typed = "kind=ntfy&name=phone&url=https://ntfy.example/x&topic=rack&event=RunFailed"

	for _, path := range []string{"/setup/messages", "/settings/notifiers"} {
		b := open(t, canned.Full, steered(&canned.Steering{}))
		auth := "Bearer " + b.token("admin")

		if got := b.send(path, typed, auth); got.status != http.StatusSeeOther || strings.Contains(got.body, `name="replace"`) {
			t.Errorf("%s: the first: %d", path, got.status)
		}

		got := b.send(path, typed, auth)
		for _, want := range []string{"There is a notifier phone already", `name="replace"`, `value="phone"`, `value="rack"`} {
			if got.status != http.StatusConflict || !strings.Contains(got.body, want) {
				t.Errorf("%s: the second: %d, and the page lacks %q", path, got.status, want)
			}
		}

		if got := b.send(path, typed+"&replace=1", auth); got.status != http.StatusSeeOther {
			t.Errorf("%s: who insists: %d", path, got.status)
		}
	}
}

func TestARestartWithRunsUnderWayHasToBeWanted(t *testing.T) {
	t.Parallel()

	s := &canned.Steering{}
	b := open(t, canned.Full, steered(s))
	auth := "Bearer " + b.token("admin")

	if got := b.send("/settings/restart", "back=/", auth); got.status != http.StatusConflict || s.Restarts() != 0 || !strings.Contains(got.body, "under way") {
		t.Errorf("status %d, %d restarts", got.status, s.Restarts())
	}

	if got := b.send("/settings/restart", "anyway=1", auth); got.status != http.StatusOK || s.Restarts() != 1 || !strings.Contains(got.body, "starting anew") {
		t.Errorf("status %d, %d restarts", got.status, s.Restarts())
	}
}

func TestOnlyAdministratorsChangeTheAppliance(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, steered(&canned.Steering{}))

	for _, scope := range []string{"read", "operate"} {
		auth := "Bearer " + b.token(scope)

		for name, step := range steps() {
			if name == "welcome-where-to-turn" || name == "notifications-new" {
				if got := b.send(step.path, "", auth); strings.Contains(got.body, "/setup/") || strings.Contains(got.body, "/settings/notifiers") {
					t.Errorf("%s is shown what only administrators may do: %s", scope, name)
				}

				continue
			}

			if got := b.send(step.path, step.form, auth); got.status != http.StatusForbidden {
				t.Errorf("%s: status %d with the scope %s", name, got.status, scope)
			}
		}
	}

	if got := b.ask("GET", "/ca.crt", ""); got.status != http.StatusOK || !strings.Contains(got.body, "BEGIN CERTIFICATE") {
		t.Errorf("the certificate for browsers: %d", got.status)
	}
}

func TestALinkThatWasUsedSaysHowToGetAnother(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Empty, random)

	link, err := b.SetupLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	at, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}

	form := url.Values{"token": {at.Query().Get("token")}, "name": {"ada"}, "password": {password}, "again": {password}}

	if got := b.ask("POST", "/setup", form.Encode(), "Sec-Fetch-Site", "same-origin"); got.status != http.StatusSeeOther {
		t.Fatalf("status %d", got.status)
	}

	if got := b.ask("GET", "/setup?"+at.RawQuery, ""); !strings.Contains(got.body, "vetting admin link") || strings.Contains(got.body, `type="password"`) {
		t.Error("a used link does not say how to print another")
	}
}

// The whole way on the narrowest phone, in light and dark: from the one-time link to the
// restart, with a port that nobody answers on and a network that overlaps.
func TestTheFirstStepsInTheBrowser(t *testing.T) {
	t.Parallel()

	s := &canned.Steering{}
	b := open(t, canned.Empty, func(cfg *ui.Config) { random(cfg); cfg.Steering, cfg.Notifier = s, canned.Notifier{} })
	base, _ := b.listen()
	tab := browser.Open(t, "")

	link, err := b.SetupLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	fits := func(page string) {
		t.Helper()

		for _, scheme := range []string{"light", "dark"} {
			browser.Do(t, tab, dressed(scheme))
			browser.Look(t, tab, page+" in "+scheme, `{resultTypes: ["violations"], preload: false}`)
		}

		if wide := browser.Told[int](t, tab, "document.documentElement.scrollWidth"); wide > 360 {
			t.Errorf("%s is %d pixels wide: %s", page, wide, browser.Told[string](t, tab, widest))
		}

		if all := browser.Told[[]string](t, tab, "window.__noted"); len(all) > 0 {
			t.Errorf("%s: %v", page, all)
		}
	}

	at := func(path string) {
		t.Helper()
		browser.Become(t, tab, path, `location.pathname === "`+path+`"`)
		fits(path)
	}

	browser.Do(t, tab, network.SetExtraHTTPHeaders(network.Headers{}), emulation.SetDeviceMetricsOverride(360, 740, 2, true), chromedp.Navigate(link))
	fits("the one-time link")

	browser.Do(t, tab, chromedp.SendKeys("#password", password), chromedp.SendKeys("#again", password), chromedp.Click("button.pri"))
	at("/setup/you")

	browser.Do(t, tab, chromedp.Click("#factor button.pri"))
	browser.Become(t, tab, "the QR code", `document.querySelector("svg.qr")`)
	fits("the second factor")

	browser.Do(t, tab, chromedp.Navigate(base+"/setup/nic"), chromedp.Click(`input[value="eno1"]`), chromedp.Click("form.card button.pri"))
	browser.Become(t, tab, "the refusal", `document.body.textContent.includes("holds the default route: it is")`)
	fits("a card with the default route")

	browser.Do(t, tab, chromedp.Click(`input[value="enp6s0"]`), chromedp.Click("form.card button.pri"))
	browser.Become(t, tab, "the other server", `document.querySelector("#heard")?.textContent.includes("A DHCP server answers")`)
	fits("another server")

	browser.Do(t, tab, chromedp.Click(`input[value="enp5s0f1"]`), chromedp.Click("form.card button.pri"))
	browser.Become(t, tab, "a quiet network", `document.querySelector("#heard .pri")`)
	fits("a quiet network")

	browser.Do(t, tab, chromedp.Click("#heard .pri"))
	at("/setup/network")

	browser.Do(t, tab, chromedp.SetValue("#f-netboot-subnet", "192.168.1.1/24"), chromedp.Click("button.pri"))
	browser.Become(t, tab, "the refusal", `document.body.textContent.includes("overlaps with") && document.querySelector("#f-netboot-subnet").value === "192.168.1.1/24"`)
	fits("a network that overlaps")

	browser.Do(t, tab, chromedp.SetValue("#f-netboot-subnet", "10.80.0.1/24"), chromedp.Click("button.pri"))
	at("/setup/messages")

	browser.Do(t, tab, chromedp.Navigate(base+"/setup/messages?kind=ntfy"), chromedp.SendKeys("#n-name", "mine"), chromedp.SendKeys("#n-url", "https://ntfy.example"), chromedp.SendKeys("#n-topic", "t"), chromedp.Click("button.pri"))
	browser.Become(t, tab, "the notifier", `document.body.textContent.includes("Send it a test")`)
	fits("a notifier that is set up")

	browser.Do(t, tab, chromedp.Click(`button[aria-label="Test ops-mail"]`))
	browser.Become(t, tab, "what came of the test", `document.querySelector("#tested")?.textContent.includes("connection refused")`)
	fits("a test that did not arrive")

	browser.Do(t, tab, chromedp.Navigate(base+"/setup/profile"))
	fits("the usual profile")
	browser.Do(t, tab, chromedp.Click(`input[value="ci"]`), chromedp.Click("button.pri"))
	at("/setup/start")

	if shown := browser.Told[string](t, tab, `document.querySelector("main").textContent`); !strings.Contains(shown, "enp5s0f1") || !strings.Contains(shown, "10.80.0.1/24") || !strings.Contains(shown, "Usual profileci") {
		t.Errorf("the last step shows %s", shown)
	}

	browser.Do(t, tab, chromedp.Click("#restart button.pri"))
	browser.Become(t, tab, "the restart", `document.body.textContent.includes("starting anew")`)
	fits("the restart")

	if s.Restarts() != 1 {
		t.Errorf("%d restarts", s.Restarts())
	}

	for _, path := range []string{"/settings/general", "/settings/tls", "/settings/about", "/settings/backup", "/settings/restart", "/notifications?kind=smtp"} {
		browser.Do(t, tab, chromedp.Navigate(base+path))
		fits(path)
	}
}
