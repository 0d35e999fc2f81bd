package ui_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"vetting/core/route"
	"vetting/ui"
	"vetting/ui/canned"
)

// A backup opens what the passwords in it open: whoever has only found a browser open, or
// is no administrator, does not take one away.
func TestABackupIsTakenAwayWithAPasswordThatWasJustTyped(t *testing.T) {
	t.Parallel()

	now := time.Now()
	b := open(t, canned.Full, func(cfg *ui.Config) {
		random(cfg)
		steered(&canned.Steering{})(cfg)

		cfg.Now = func() time.Time { return now }
	})
	auth := "Bearer " + b.token("admin") // a program has no password to type

	for path, want := range map[string]string{
		"/settings/backup/" + canned.BackupName + "/download": "a kept backup", "/settings/backup/download": "a backup for ",
	} {
		got := b.ask("POST", path, "keys=true", "Authorization", auth)
		if got.status != http.StatusOK || !strings.HasPrefix(got.body, want) || !strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment") {
			t.Errorf("%s: %d %.80s", path, got.status, got.body)
		}

		if got := b.ask("POST", path, "keys=true", "Authorization", "Bearer "+b.token("operate")); got.status != http.StatusForbidden || strings.HasPrefix(got.body, want) {
			t.Errorf("%s as an operator: %d", path, got.status)
		}
	}

	b.signIn()
	stale := b.member("ruth", route.Administrator)
	now = now.Add(10 * time.Minute) // the password was typed too long ago

	for _, path := range []string{"/settings/backup/" + canned.BackupName + "/download", "/settings/backup/download"} {
		got := b.ask("POST", path, "keys=true", "Cookie", stale, "Sec-Fetch-Site", "same-origin")
		if got.status != http.StatusForbidden || strings.HasPrefix(got.body, "a ") || !strings.Contains(got.body, `name="password"`) {
			t.Errorf("%s without a password: %d %.60s", path, got.status, got.body)
		}
	}

	if got := b.ask("POST", "/settings/backup/download", "password="+url.QueryEscape(password), "Cookie", stale, "Sec-Fetch-Site", "same-origin"); got.status != http.StatusOK || !strings.HasPrefix(got.body, "a backup for ruth") {
		t.Errorf("with the password: %d %.60s", got.status, got.body)
	}

	if got := b.ask("POST", "/settings/backup/nothing/download", "x=1", "Authorization", auth); got.status != http.StatusNotFound || !strings.Contains(got.body, "There is no such backup") {
		t.Errorf("one that there is not: %d", got.status)
	}
}
