package ui_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"vetting/core/route"
	"vetting/ui"
	"vetting/ui/browser"
	"vetting/ui/canned"
)

// authenticator makes codes as a phone does.
type authenticator []byte

func (a authenticator) at(moment time.Time) string {
	mac := hmac.New(sha1.New, a)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(moment.Unix()/30)))
	sum := mac.Sum(nil)
	low := sum[19] & 15

	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[low:])&0x7fffffff)%1000000)
}

var (
	typedIn  = regexp.MustCompile(`Or type it in: <span class="mono">([A-Z2-7 ]+)</span>`)
	spareOf  = regexp.MustCompile(`[A-Z2-7]{4}(-[A-Z2-7]{4}){3}`)
	ticketOf = regexp.MustCompile(`name="ticket" value="([^"]+)"`)
)

// From the page Settings to a login that asks for a code, and to an administrator who
// takes it away.
func TestASecondFactorFromSettingsToLogin(t *testing.T) {
	t.Parallel()

	now := canned.Now()
	b := open(t, canned.Full, func(cfg *ui.Config) { random(cfg); cfg.Now = func() time.Time { return now } })
	admin := b.signIn()
	cookie := b.member("otto", route.Viewer)
	post := func(path, cookie string, pairs ...string) answer {
		now = now.Add(time.Second)

		return b.ask("POST", path, form(pairs...), "Cookie", cookie, "Sec-Fetch-Site", ours)
	}

	now = now.Add(10 * time.Minute)

	if got := post("/settings/totp", cookie); got.status != http.StatusForbidden || strings.Contains(got.body, "<svg class=\"qr\"") {
		t.Errorf("without a fresh password: %d", got.status)
	}

	began := post("/settings/totp", cookie, "password", password)
	if began.status != http.StatusOK || !strings.Contains(began.body, `<svg class="qr"`) {
		t.Fatalf("setting it up: %d %s", began.status, began.body)
	}

	cookie, _, _ = strings.Cut(began.header.Get("Set-Cookie"), ";")

	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(typedIn.FindStringSubmatch(began.body)[1], " ", ""))
	if err != nil {
		t.Fatal(err)
	}

	phone := authenticator(key)

	if got := post("/settings/totp/confirm", cookie, "code", "000000"); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, `<svg class="qr"`) {
		t.Errorf("a wrong code: %d, and the QR code is gone", got.status)
	}

	on := post("/settings/totp/confirm", cookie, "code", phone.at(now.Add(time.Second)))

	spare := spareOf.FindAllStringSubmatch(on.body, -1)
	if on.status != http.StatusOK || len(spare) != 10 || !strings.Contains(on.body, "10 recovery codes are left") {
		t.Fatalf("turning it on: %d, %d codes", on.status, len(spare))
	}

	now = now.Add(time.Minute)

	asked := post("/login", "", "name", "otto", "password", password, "next", "/hosts")
	if asked.status != http.StatusOK || asked.header.Get("Set-Cookie") != "" || !strings.Contains(asked.body, `autocomplete="one-time-code"`) {
		t.Fatalf("the password alone: %d %q", asked.status, asked.header.Get("Set-Cookie"))
	}

	ticket := ticketOf.FindStringSubmatch(asked.body)[1]
	if got := post("/login", "", "ticket", ticket, "name", "otto", "code", "000000", "next", "/hosts"); got.status != http.StatusUnauthorized || !strings.Contains(got.body, ticket) {
		t.Errorf("a wrong code: %d", got.status)
	}

	code := phone.at(now.Add(time.Second))

	in := post("/login", "", "ticket", ticket, "name", "otto", "code", code, "next", "/hosts")
	if in.status != http.StatusSeeOther || in.header.Get("Location") != "/hosts" || in.header.Get("Set-Cookie") == "" {
		t.Fatalf("the right code: %d", in.status)
	}

	asked = post("/login", "", "name", "otto", "password", password)
	if got := post("/login", "", "ticket", ticketOf.FindStringSubmatch(asked.body)[1], "code", code); got.status != http.StatusUnauthorized {
		t.Errorf("the same code again: %d", got.status)
	}

	if got := post("/login", "", "ticket", "nonsense", "name", "otto", "code", code); got.status != http.StatusUnauthorized || !strings.Contains(got.body, `type="password"`) {
		t.Errorf("a ticket of nobody: %d", got.status)
	}

	// Only an administrator takes it away, and that is written down.
	if got := post("/people/otto/reset-totp", cookie); got.status != http.StatusForbidden {
		t.Errorf("a viewer takes a second factor away: %d", got.status)
	}

	unlocked := post("/people/unlock", admin, "password", password)
	admin, _, _ = strings.Cut(unlocked.header.Get("Set-Cookie"), ";")

	if got := b.ask("GET", "/people", "", "Cookie", admin); !strings.Contains(got.body, "/people/otto/reset-totp") {
		t.Error("the page of people does not show it")
	}

	if got := b.ask("POST", "/api/v1/users/otto/reset-totp", "", "Authorization", "Bearer "+b.token("admin")); got.status != http.StatusOK || !strings.Contains(got.body, `"totp":false`) {
		t.Errorf("by the API: %d %s", got.status, got.body)
	}

	if got := post("/login", "", "name", "otto", "password", password); got.status != http.StatusSeeOther {
		t.Errorf("afterwards the password alone: %d", got.status)
	}

	if got := b.ask("GET", "/api/v1/audit?action=user.totp", "", "Authorization", "Bearer "+b.token("admin")); !strings.Contains(got.body, "took the second factor of otto away") || !strings.Contains(got.body, "turned the second factor of otto on") {
		t.Errorf("the audit trail: %s", got.body)
	}
}

// The pages of a second factor on the narrowest phone, in light and dark: nothing has to
// be scrolled sideways, nobody is kept out, and the policy keeps nothing from working.
func TestASecondFactorInTheBrowser(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, func(cfg *ui.Config) { random(cfg); cfg.Now = time.Now })
	b.signIn()
	name, value, _ := strings.Cut(b.member("otto", route.Viewer), "=")
	base, _ := b.listen()
	tab := browser.Open(t, "")

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

	browser.Do(t, tab, network.SetExtraHTTPHeaders(network.Headers{}), network.SetCookie(name, value).WithURL(base), emulation.SetDeviceMetricsOverride(360, 740, 2, true),
		chromedp.Navigate(base+"/settings"), chromedp.Click("#factor button.pri"))
	browser.Become(t, tab, "the QR code", `document.querySelector("svg.qr")`)
	fits("the enrolment")

	secret := strings.ReplaceAll(browser.Told[string](t, tab, `document.querySelector("#factor .mut .mono").textContent`), " ", "")

	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}

	browser.Do(t, tab, chromedp.SendKeys("#totp-code", authenticator(key).at(time.Now())), chromedp.Click("#factor button.pri"))
	browser.Become(t, tab, "the recovery codes", `document.querySelector("#factor .secret")`)
	fits("the recovery codes")

	browser.Do(t, tab, network.ClearBrowserCookies(), chromedp.Navigate(base+"/login"), chromedp.SendKeys("#name", "otto"), chromedp.SendKeys("#password", password), chromedp.Click("button.pri"))
	browser.Become(t, tab, "the question for a code", `document.activeElement.id === "code"`)
	fits("the question for a code")

	browser.Do(t, tab, chromedp.SendKeys("#code", authenticator(key).at(time.Now().Add(30*time.Second))), chromedp.Click("button.pri"))
	browser.Become(t, tab, "the rack", `location.pathname === "/" && document.querySelector("header.top")`)
}

// An open session and the password do not change a second factor: that takes a code.
func TestASecondFactorIsChangedWithACodeOnThePage(t *testing.T) {
	t.Parallel()

	now := time.Now()
	b := open(t, canned.Full, func(cfg *ui.Config) { random(cfg); cfg.Now = func() time.Time { return now } })
	b.signIn()
	cookie := b.member("otto", route.Viewer)

	post := func(path string, form ...string) answer {
		fields := url.Values{}
		for i := 0; i+1 < len(form); i += 2 {
			fields.Set(form[i], form[i+1])
		}

		got := b.ask("POST", path, fields.Encode(), "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
		if fresh, _, ok := strings.Cut(got.header.Get("Set-Cookie"), ";"); ok {
			cookie = fresh
		}

		return got
	}

	began := post("/settings/totp", "password", password)

	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(typedIn.FindStringSubmatch(began.body)[1], " ", ""))
	if err != nil {
		t.Fatal(err)
	}

	phone := authenticator(key)
	on := post("/settings/totp/confirm", "code", phone.at(now))

	if on.status != http.StatusOK {
		t.Fatalf("turning it on: %d", on.status)
	}

	for _, order := range []string{"/settings/totp", "/settings/totp/codes", "/settings/totp/off"} {
		now = now.Add(time.Minute)

		if got := post(order, "password", password, "code", "000000"); got.status != http.StatusUnprocessableEntity || strings.Contains(got.body, "svg class=\"qr\"") || spareOf.MatchString(got.body) {
			t.Errorf("%s with a wrong code: %d", order, got.status)
		}
	}

	now = now.Add(2 * time.Minute)

	if got := post("/settings/totp/off", "password", password, "code", spareOf.FindString(on.body)); got.status != http.StatusSeeOther {
		t.Errorf("with a recovery code: %d %s", got.status, got.body)
	}
}
