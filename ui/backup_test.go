package ui_test

import (
	"crypto/rand"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"vetting/core/coretest"
	"vetting/core/route"
	"vetting/ui"
	"vetting/ui/canned"
)

// Backups go out whole, to administrators alone, and to a browser only with a password
// that was typed a moment ago.
func TestBackupsAreHandedOut(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := []string{"Authorization", "Bearer " + b.token("admin")}

	for _, c := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", "/api/v1/backups", 200, `"folder":"/srv/backups"`},
		{"GET", "/api/v1/backups/" + canned.BackupName, 200, "a kept backup"},
		{"GET", "/api/v1/backups/..%2f..%2fetc%2fpasswd", 404, "backup/unknown-name"},
		{"POST", "/api/v1/backups/vetting-20261122T030000Z.backup/verify", 422, "backup/damaged"},
		{"POST", "/api/v1/backup", 200, "a backup for token golden"},
		{"POST", "/api/v1/backup?keys=true", 200, "a backup for token golden with keys"},
		{"POST", "/api/v1/backup?keys=perhaps", 422, "request/bad-boolean"},
	} {
		got := b.ask(c.method, c.path, "", auth...)
		if got.status != c.status || !strings.Contains(got.body, c.want) {
			t.Errorf("%s %s: %d %q", c.method, c.path, got.status, got.body)
		}

		if got.header.Get("Content-Type") == route.Binary && (got.header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment; filename=\"vetting-2026")) {
			t.Errorf("%s %s: %v", c.method, c.path, got.header)
		}
	}
}

func TestABrowserThatWasLeftOpenGetsNoBackup(t *testing.T) {
	t.Parallel()

	clock := coretest.NewClock()
	b := open(t, canned.Full, func(c *ui.Config) { c.Rand, c.Now = rand.Reader, clock.Now })
	cookie := b.signIn()
	header := []string{"Cookie", cookie, "Sec-Fetch-Site", "same-origin"}

	clock.Advance(10 * time.Minute)

	for method, path := range map[string]string{"GET": "/api/v1/backups/" + canned.BackupName, "POST": "/api/v1/backup"} {
		if got := b.ask(method, path, "", header...); got.status != http.StatusForbidden || !strings.Contains(got.body, "account/") {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}

// A backup that breaks off ends the connection: half of it is not taken for the whole.
func TestABackupThatBreaksOffIsNoAnswer(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, func(c *ui.Config) { c.Backups = canned.Backups{Broken: true} })
	base, _ := b.listen()

	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/api/v1/backup", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}

	request.Header.Set("Authorization", "Bearer "+b.token("admin"))

	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return // before anything was sent
	}
	defer answer.Body.Close()

	if text, err := io.ReadAll(answer.Body); err == nil {
		t.Errorf("%s: whole, with %q", answer.Status, text)
	}
}

func TestAnApplianceWithoutBackupsSaysSo(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Empty, nil)
	auth := []string{"Authorization", "Bearer " + b.token("admin")}

	if got := b.ask("GET", "/api/v1/backups", "", auth...); got.status != http.StatusOK || !strings.Contains(got.body, `"backups":[]`) {
		t.Errorf("%d %s", got.status, got.body)
	}

	for method, path := range map[string]string{"GET": "/api/v1/backups/x", "POST": "/api/v1/backups"} {
		if got := b.ask(method, path, "", auth...); got.status != http.StatusConflict && got.status != http.StatusNotFound {
			t.Errorf("%s %s: %d", method, path, got.status)
		}
	}
}
