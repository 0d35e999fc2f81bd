package ui_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"vetting/core/route"
	"vetting/ui"
	"vetting/ui/canned"
)

// Tokens, users and one-time links open what a password opens, and outlive the session that
// made them: whoever has only found a browser open makes none.
func TestNobodyIsLetInFromAnOpenSession(t *testing.T) {
	t.Parallel()

	now := time.Now()
	b := open(t, canned.Full, func(cfg *ui.Config) { random(cfg); cfg.Now = func() time.Time { return now } })
	b.signIn()
	b.member("otto", route.Viewer)
	stale := b.member("ruth", route.Administrator)
	now = now.Add(10 * time.Minute) // the password was typed too long ago

	send := func(method, path, body string) answer {
		return b.ask(method, path, body, "Cookie", stale, "Sec-Fetch-Site", "same-origin")
	}
	auth := []string{"Authorization", "Bearer " + b.token("admin")}

	for _, c := range []struct{ method, path, body string }{
		{"POST", "/api/v1/tokens", `{"name":"mine","scope":"admin"}`},
		{"POST", "/api/v1/users", `{"name":"mallory","role":"admin"}`},
		{"PATCH", "/api/v1/users/otto", `{"role":"admin"}`},
		{"POST", "/api/v1/users/ada/invite", ""},
		{"POST", "/api/v1/users/otto/reset-totp", ""},
		{"DELETE", "/api/v1/users/ada", ""},
		{"POST", "/settings/tokens", "name=mine&scope=admin"},
		{"POST", "/people", "name=mallory&role=admin"},
		{"POST", "/people/otto/role", "role=admin"},
		{"POST", "/people/ada/invite", "x="},
		{"POST", "/people/otto/reset-totp", "x="},
		{"POST", "/people/ada/delete", "x="},
		{"POST", "/people/unlock", "password=not+the+one"},
		{"POST", "/settings/tokens", "name=mine&scope=admin&password=not+the+one"},
	} {
		got := send(c.method, c.path, c.body)
		if got.status != http.StatusForbidden || strings.Contains(got.body, "vet_") || strings.Contains(got.body, "setup?token=") {
			t.Errorf("%s %s: %d %.200s", c.method, c.path, got.status, got.body)
		}

		if !strings.HasPrefix(c.path, "/api/") && !strings.Contains(got.body, `name="password"`) {
			t.Errorf("%s does not ask for the password", c.path)
		}
	}

	users, tokens := b.ask("GET", "/api/v1/users", "", auth...).body, b.ask("GET", "/api/v1/tokens", "", auth...).body
	if strings.Contains(users, "mallory") || !strings.Contains(users, `"ada"`) || strings.Count(users, `"admin"`) != 2 || strings.Contains(tokens, "mine") {
		t.Errorf("something was done all the same:\n%s\n%s", users, tokens)
	}

	if page := send("GET", "/people", "").body; strings.Contains(page, "/people/otto/role") || !strings.Contains(page, "/people/unlock") {
		t.Error("the page offers what would be refused, or no way to it")
	}

	again := "&password=" + strings.ReplaceAll(password, " ", "+")

	made := send("POST", "/settings/tokens", "name=mine&scope=read"+again)
	if made.status != http.StatusOK || !strings.Contains(made.body, "vet_") {
		t.Fatalf("with the password: %d %.200s", made.status, made.body)
	}

	if got := send("GET", "/people", ""); got.status != http.StatusSeeOther {
		t.Errorf("the cookie from before the password was typed still opens: %d", got.status)
	}

	stale, _, _ = strings.Cut(made.header.Get("Set-Cookie"), ";")
	now = now.Add(10 * time.Minute)

	opened := send("POST", "/people/unlock", again)
	if opened.status != http.StatusSeeOther {
		t.Fatalf("unlocking: %d %.200s", opened.status, opened.body)
	}

	stale, _, _ = strings.Cut(opened.header.Get("Set-Cookie"), ";")
	if got := send("POST", "/people/otto/role", "role=operator"); got.status != http.StatusSeeOther {
		t.Errorf("after unlocking: %d %.200s", got.status, got.body)
	}

	now = now.Add(10 * time.Minute)

	if got := send("POST", "/api/v1/users", `{"name":"carl","role":"viewer","password":"`+password+`"}`); got.status != http.StatusCreated {
		t.Errorf("the API with the password: %d %s", got.status, got.body)
	}
}

// The notices of what is in the program are for administrators to read, as text.
func TestTheLicencesCanBeRead(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, func(cfg *ui.Config) { random(cfg); steered(&canned.Steering{})(cfg) })

	got := b.ask("GET", "/settings/licences", "", "Authorization", "Bearer "+b.token("admin"))
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "text/plain; charset=utf-8" || !strings.Contains(got.body, "licence: Apache-2.0") {
		t.Errorf("%d %q %.80s", got.status, got.header.Get("Content-Type"), got.body)
	}

	if page := b.ask("GET", "/settings/about", "", "Authorization", "Bearer "+b.token("admin")).body; !strings.Contains(page, `href="/settings/licences"`) {
		t.Error("nothing leads there")
	}
}
