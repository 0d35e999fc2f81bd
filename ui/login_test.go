package ui_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"vetting/ui"
	"vetting/ui/canned"
)

func form(pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}

	return v.Encode()
}

const ours = "same-origin"

func TestFirstStartFromTheOneTimeLinkToTheRack(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Empty, func(cfg *ui.Config) { random(cfg); cfg.TLS = certificate(t) })

	if got := b.ask("GET", "/", ""); got.status != http.StatusSeeOther || got.header.Get("Location") != "/login?next=%2F" {
		t.Fatalf("before: %d to %q", got.status, got.header.Get("Location"))
	}

	if got := b.ask("GET", "/login", ""); !strings.Contains(got.body, "vetting admin link") || strings.Contains(got.body, "<form") {
		t.Error("the login does not say how to begin")
	}

	link, err := b.SetupLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	at, err := url.Parse(link)
	if err != nil || at.Scheme != "https" {
		t.Fatalf("link %q: %v", link, err)
	}

	secret := at.Query().Get("token")

	if got := b.ask("GET", at.RequestURI(), ""); got.status != http.StatusOK || !strings.Contains(got.body, "Welcome") {
		t.Errorf("the link: %d", got.status)
	}

	for name, fields := range map[string]string{
		"two passwords": form("token", secret, "name", "ada", "password", password, "again", password+"x"),
		"a short one":   form("token", secret, "name", "ada", "password", "short", "again", "short"),
		"a bad name":    form("token", secret, "name", "a b", "password", password, "again", password),
	} {
		got := b.ask("POST", "/setup", fields, "Sec-Fetch-Site", ours)
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, `role="alert"`) || strings.Contains(got.body, password) {
			t.Errorf("%s: %d", name, got.status)
		}
	}

	got := b.ask("POST", "/setup", form("token", secret, "name", "ada", "password", password, "again", password), "Sec-Fetch-Site", ours)
	if got.status != http.StatusSeeOther {
		t.Fatalf("setting the password: %d %s", got.status, got.body)
	}

	cookie := got.header.Get("Set-Cookie")
	for _, part := range []string{"__Host-vetting=", "path=/", "HttpOnly", "secure", "SameSite=Strict"} {
		if !strings.Contains(cookie, part) {
			t.Errorf("the cookie %q lacks %s", cookie, part)
		}
	}

	value, _, _ := strings.Cut(cookie, ";")
	if got := b.ask("GET", "/", "", "Cookie", value); got.status != http.StatusOK || !strings.Contains(got.body, "No hosts yet") {
		t.Errorf("the rack: %d", got.status)
	}

	if got := b.ask("GET", at.RequestURI(), ""); got.status != http.StatusForbidden || strings.Contains(got.body, `name="password"`) {
		t.Errorf("the link a second time: %d", got.status)
	}
}

func TestLoginLogoutAndTheThrottle(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	old := b.signIn()

	got := b.ask("POST", "/login", form("name", "Ada", "password", password, "next", "/hosts?q=x"), "Sec-Fetch-Site", ours)
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/hosts?q=x" {
		t.Fatalf("login: %d to %q", got.status, got.header.Get("Location"))
	}

	cookie, _, _ := strings.Cut(got.header.Get("Set-Cookie"), ";")
	if cookie == old {
		t.Error("a login does not change the session")
	}

	if got := b.ask("POST", "/logout", "", "Cookie", cookie, "Sec-Fetch-Site", ours); got.status != http.StatusSeeOther {
		t.Errorf("logout: %d", got.status)
	}

	if got := b.ask("GET", "/api/v1/hosts", "", "Cookie", cookie); got.status != http.StatusUnauthorized {
		t.Errorf("after logout: %d", got.status)
	}

	statuses := map[int]int{}

	for range 8 {
		got := b.ask("POST", "/login", form("name", "ada", "password", "wrong password"), "Sec-Fetch-Site", ours)
		statuses[got.status]++

		if got.status == http.StatusTooManyRequests && got.header.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
	}

	if statuses[http.StatusUnauthorized] > 5 || statuses[http.StatusTooManyRequests] < 3 {
		t.Errorf("eight wrong passwords: %v", statuses)
	}
}

func TestNextNeverLeadsAway(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	b.signIn()

	for i, next := range []string{
		"/\t/evil.test", "https://evil.test", "//evil.test", "/\\evil.test", "/ok\r\nSet-Cookie: x=y", "javascript:alert(1)", "/\x01/evil.test", "/%2f\t/evil.test",
	} {
		page := b.ask("GET", "/login?next="+url.QueryEscape(next), "")
		if !strings.Contains(page.body, `name="next" value="/"`) {
			t.Errorf("next %q stays on the page", next)
		}

		if i >= 5 { // more are too fast
			continue
		}

		got := b.ask("POST", "/login", form("name", "ada", "password", password, "next", next), "Sec-Fetch-Site", ours)
		if got.status != http.StatusSeeOther || got.header.Get("Location") != "/" {
			t.Errorf("next %q: %d, leads to %q", next, got.status, got.header.Get("Location"))
		}
	}
}

func TestTokensAreMadeShownOnceAndRevokedOnTheSettingsPage(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	cookie := b.signIn()

	got := b.ask("POST", "/settings/tokens", form("name", "lab", "scope", "operate"), "Cookie", cookie, "Sec-Fetch-Site", ours)
	_, rest, found := strings.Cut(got.body, `<div class="secret">`)
	secret, _, _ := strings.Cut(rest, "<")

	if !found || !strings.HasPrefix(secret, "vet_") {
		t.Fatalf("no secret on the page (%d)", got.status)
	}

	if got := b.ask("GET", "/api/v1/hosts", "", "Authorization", "Bearer "+secret); got.status != http.StatusOK {
		t.Errorf("the token: %d", got.status)
	}

	page := b.ask("GET", "/settings", "", "Cookie", cookie).body
	if strings.Contains(page, secret) {
		t.Error("the secret is shown again")
	}

	_, rest, _ = strings.Cut(page, `action="/settings/tokens/`)
	id, _, _ := strings.Cut(rest, "/")

	if got := b.ask("POST", "/settings/tokens/"+id+"/delete", "", "Cookie", cookie, "Sec-Fetch-Site", ours); got.status != http.StatusSeeOther {
		t.Errorf("revoking: %d", got.status)
	}

	if got := b.ask("GET", "/api/v1/hosts", "", "Authorization", "Bearer "+secret); got.status != http.StatusUnauthorized {
		t.Errorf("the token after revoking: %d", got.status)
	}
}

func TestThePasswordIsChangedOnTheSettingsPage(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	cookie := b.signIn()

	change := func(old, fresh, again string) answer {
		return b.ask("POST", "/settings/password", form("old", old, "fresh", fresh, "again", again), "Cookie", cookie, "Sec-Fetch-Site", ours)
	}

	if got := change("wrong", "another fine password", "another fine password"); got.status != http.StatusUnauthorized {
		t.Errorf("with a wrong password: %d", got.status)
	}

	if got := change(password, "another fine password", "something else here"); got.status != http.StatusUnprocessableEntity {
		t.Errorf("with two that differ: %d", got.status)
	}

	got := change(password, "another fine password", "another fine password")
	if got.status != http.StatusSeeOther {
		t.Fatalf("rightly: %d", got.status)
	}

	if old := b.ask("GET", "/api/v1/hosts", "", "Cookie", cookie); old.status != http.StatusUnauthorized {
		t.Errorf("the session from before: %d", old.status)
	}
}
