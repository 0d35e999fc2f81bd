package ui_test

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/ui"
	"vetting/ui/canned"
	"vetting/ui/oidc"
	"vetting/ui/oidc/oidctest"
)

func withProvider(t *testing.T) (*bench, *oidctest.Provider) {
	t.Helper()

	there := oidctest.New(t)

	p, err := oidc.New(oidc.Config{
		Issuer: there.URL, ClientID: oidctest.Client, Secret: func() (string, error) { return oidctest.Secret, nil }, Name: "the Lab",
		Admins: []string{"ada@example.org"}, Viewers: []string{"@example.org"}, Now: time.Now, Rand: rand.Reader,
	})
	if err != nil {
		t.Fatal(err)
	}

	clock := coretest.NewClock()
	b := open(t, canned.Full, func(cfg *ui.Config) { cfg.Outside, cfg.Now = p, clock.Now; random(cfg) })
	b.clock = clock

	return b, there
}

func cookieOf(got answer, name string) string {
	for _, line := range got.header.Values("Set-Cookie") {
		if value, _, _ := strings.Cut(line, ";"); strings.HasPrefix(value, name+"=") && value != name+"=" {
			return value
		}
	}

	return ""
}

// through signs somebody in at the provider, and returns what they come back to.
func through(t *testing.T, b *bench, there *oidctest.Provider, path, cookie string) answer {
	t.Helper()

	left := b.ask("GET", path, "", "Cookie", cookie)
	if left.status != http.StatusSeeOther || !strings.HasPrefix(left.header.Get("Location"), there.URL+"/authorize?") {
		t.Fatalf("leaving: %d to %q", left.status, left.header.Get("Location"))
	}

	if line := strings.Join(left.header.Values("Set-Cookie"), "\n"); !strings.Contains(line, "HttpOnly") || !strings.Contains(line, "SameSite=Lax") {
		t.Errorf("cookie %s", line)
	}

	back := there.SignIn(t, left.header.Get("Location"))

	return b.ask("GET", "/login/oidc/back?"+back.Encode(), "", "Cookie", cookieOf(left, "vetting-oidc"))
}

func TestSomebodySignsInAtTheProvider(t *testing.T) {
	t.Parallel()

	b, there := withProvider(t)
	there.Claims = map[string]any{"sub": "1", "email": "ada@example.org", "email_verified": true}

	if page := b.ask("GET", "/login?next=%2Fhosts", ""); !strings.Contains(page.body, "Sign in with the Lab") {
		t.Error("the page does not offer it")
	}

	got := through(t, b, there, "/login/oidc?next=%2Fhosts", "")
	if got.status != http.StatusOK || got.header.Get("Refresh") != "0; url=/hosts" || !strings.Contains(got.body, `href="/hosts"`) {
		t.Fatalf("%d %q", got.status, got.header.Get("Refresh"))
	}

	session := cookieOf(got, "vetting")
	if page := b.ask("GET", "/people", "", "Cookie", session); page.status != http.StatusOK || !strings.Contains(page.body, "oidc:ada@example.org") || strings.Contains(page.body, "/people/oidc:ada@example.org/role") {
		t.Errorf("people: %d", page.status)
	}

	if page := b.ask("GET", "/settings", "", "Cookie", session); strings.Contains(page.body, `action="/settings/password"`) || strings.Contains(page.body, "/settings/totp") {
		t.Error("somebody from outside is offered a password here")
	}

	if found := b.trail("?action=session.create"); len(found) == 0 || found[0].Who != "oidc:ada@example.org" || !strings.Contains(found[0].Text, "by the Lab as admin") {
		t.Errorf("%+v", found)
	}
}

// Whoever the configuration does not know is told so, and is not let in.
func TestAStrangerIsRefusedInWords(t *testing.T) {
	t.Parallel()

	b, there := withProvider(t)
	there.Claims = map[string]any{"sub": "7", "email": "eve@example.com", "email_verified": true}
	b.signIn() // there is somebody with a password, too

	got := through(t, b, there, "/login/oidc", "")
	if got.status != http.StatusForbidden || cookieOf(got, "vetting") != "" || !strings.Contains(got.body, "may not use this appliance") || !strings.Contains(got.body, `name="password"`) {
		t.Errorf("%d %.300s", got.status, got.body)
	}

	if found := b.trail("?action=session.create&result=refused"); len(found) != 1 || found[0].Result != core.OutcomeRefused || !strings.Contains(found[0].Text, "eve@example.com") {
		t.Errorf("%+v", found)
	}

	// One who was let in and is not any more loses the sessions that are left.
	there.Claims = map[string]any{"sub": "7", "email": "eve@example.org", "email_verified": true}
	session := cookieOf(through(t, b, there, "/login/oidc", ""), "vetting")
	there.Claims = map[string]any{"sub": "7", "email": "eve@example.com", "email_verified": true}
	through(t, b, there, "/login/oidc", "")

	if page := b.ask("GET", "/hosts", "", "Cookie", session); page.status != http.StatusSeeOther {
		t.Errorf("the session goes on: %d", page.status)
	}
}

// Whoever comes back again and again waits longer and longer, as after a wrong password, and
// the provider is not asked meanwhile. What was not begun here counts for nobody: another
// site's page could have the browser ask for it.
func TestComingBackFromTheProviderTooOftenHasToWait(t *testing.T) {
	t.Parallel()

	b, there := withProvider(t)
	there.Claims = map[string]any{"sub": "1", "email": "ada@example.org", "email_verified": true}

	for range 20 {
		if got := b.ask("GET", "/login/oidc/back?state=x&code=y", ""); got.status != http.StatusUnauthorized {
			t.Fatalf("a sign-in that nobody began: %d", got.status)
		}
	}

	there.Refusal = "no"

	left := b.ask("GET", "/login/oidc", "")
	back := there.SignIn(t, left.header.Get("Location"))
	try := func() answer {
		b.clock.Advance(time.Second) // tries of all comers together are bounded, too

		return b.ask("GET", "/login/oidc/back?"+back.Encode(), "", "Cookie", cookieOf(left, "vetting-oidc"))
	}

	for i := range 5 {
		if got := try(); got.status != http.StatusUnauthorized {
			t.Fatalf("try %d: %d", i, got.status)
		}
	}

	there.Refusal = ""

	if got := try(); got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "Too many tries") {
		t.Errorf("one more: %d, to wait %q", got.status, got.header.Get("Retry-After"))
	}

	b.clock.Advance(10 * time.Second)

	if got := through(t, b, there, "/login/oidc", ""); cookieOf(got, "vetting") == "" {
		t.Errorf("after the wait: %d", got.status)
	}
}

// Where the provider is down, the form for a password stays, and says why.
func TestThePasswordStaysWhereTheProviderIsDown(t *testing.T) {
	t.Parallel()

	b, there := withProvider(t)
	there.Down(true)

	got := b.ask("GET", "/login/oidc?next=%2Fhosts", "")
	if got.status != http.StatusConflict || !strings.Contains(got.body, "the Lab does not answer") || strings.Contains(got.body, there.URL) {
		t.Errorf("%d %.300s", got.status, got.body)
	}
}

// What needs a password that was typed a moment ago needs another sign-in at the provider.
func TestSomebodyFromOutsideProvesOnceMoreWhoTheyAre(t *testing.T) {
	t.Parallel()

	b, there := withProvider(t)
	there.Claims = map[string]any{"sub": "1", "email": "ada@example.org", "email_verified": true}
	session := cookieOf(through(t, b, there, "/login/oidc", ""), "vetting")

	b.clock.Advance(6 * time.Minute)

	form := url.Values{"name": {"x"}, "scope": {"read"}, "password": {"whatever"}}.Encode()
	late := b.ask("POST", "/settings/tokens", form, "Cookie", session, "Sec-Fetch-Site", "same-origin")

	if late.status != http.StatusForbidden || !strings.Contains(late.body, "Sign in at the Lab again") || !strings.Contains(late.body, "/login/oidc?again=1&amp;next=%2Fsettings") {
		t.Fatalf("%d %.300s", late.status, late.body)
	}

	there.Claims["auth_time"] = time.Now().Unix()

	again := cookieOf(through(t, b, there, "/login/oidc?again=1&next=%2Fsettings", session), "vetting")
	if got := b.ask("POST", "/settings/tokens", form, "Cookie", again, "Sec-Fetch-Site", "same-origin"); got.status != http.StatusOK || !strings.Contains(got.body, "The new token") {
		t.Errorf("%d", got.status)
	}

	// Somebody else's proof is none.
	b.clock.Advance(6 * time.Minute)
	there.Claims = map[string]any{"sub": "2", "email": "bob@example.org", "email_verified": true, "auth_time": time.Now().Unix()}

	if got := through(t, b, there, "/login/oidc?again=1", again); got.status != http.StatusForbidden || cookieOf(got, "vetting") != "" {
		t.Errorf("%d", got.status)
	}
}
