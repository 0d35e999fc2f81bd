package ui_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/core/coretest"
	"vetting/core/retention"
	"vetting/core/route"
	"vetting/core/signal"
	"vetting/ui"
	"vetting/ui/canned"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// nought is a source of randomness that always draws the same, so that golden
// files stay.
type nought struct{}

func (nought) Read(p []byte) (int, error) {
	clear(p)

	return len(p), nil
}

// bench is a console over a canned ledger.
type bench struct {
	*ui.UI

	ledger   *coretest.Ledger
	bell     *signal.Bell
	commands *canned.Commands
	clock    *coretest.Clock
	config   ui.Config
	t        *testing.T
}

// open makes a console that does not listen; change may adjust its config.
func open(t *testing.T, scene canned.Scene, change func(*ui.Config)) *bench {
	t.Helper()

	b := &bench{ledger: coretest.NewLedger(), bell: signal.New(), commands: &canned.Commands{}, t: t}
	if err := canned.Fill(t.Context(), b.ledger, scene); err != nil {
		t.Fatal(err)
	}

	cfg := ui.Config{
		Ledger: b.ledger, Commands: b.commands, Logs: canned.Lines(scene), Artifacts: canned.Files{}, ReportKeys: canned.Keys{}, Bell: b.bell,
		Appliance: canned.Appliance(), Retention: retention.Default, Addr: "127.0.0.1:0", Now: canned.Now, Rand: nought{}, Log: slog.New(slog.DiscardHandler),
	}
	if scene != canned.Empty {
		cfg.Notifier, cfg.Expiring, cfg.Settings = canned.Notifier{}, canned.Expiring, canned.Settings
		cfg.Netboot, cfg.Backups = canned.Netboot, canned.Backups{}
		cfg.Manual = []ui.ManualPage{{Topic: "operations", Title: "Operations", Text: canned.ManualText, HTML: canned.ManualHTML}}
	}

	if change != nil {
		change(&cfg)
	}

	console, err := ui.New(cfg)
	if err != nil {
		t.Fatal(err)
	}

	b.UI, b.config = console, cfg

	return b
}

// random lets a console draw real secrets.
func random(cfg *ui.Config) { cfg.Rand = rand.Reader }

// token makes an API token.
func (b *bench) token(scope string) string {
	b.t.Helper()

	secret, err := b.CreateToken(b.t.Context(), "golden", scope)
	if err != nil {
		b.t.Fatal(err)
	}

	return secret
}

type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends one request; header is key, value, key, value …
func (b *bench) ask(method, path, body string, header ...string) answer {
	b.t.Helper()

	req, err := http.NewRequestWithContext(b.t.Context(), method, "http://console.test"+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}

	if strings.HasPrefix(body, "{") {
		req.Header.Set("Content-Type", "application/json")
	} else if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}

	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}

	res, err := b.App().Test(req, 20000)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}

	defer func() { _ = res.Body.Close() }()

	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}

	return answer{res.StatusCode, res.Header, string(text)}
}

// signIn sets a password by the one-time link and returns the cookie.
func (b *bench) signIn() string {
	b.t.Helper()

	link, err := b.SetupLink(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}

	at, err := url.Parse(link)
	if err != nil {
		b.t.Fatal(err)
	}

	form := url.Values{"token": {at.Query().Get("token")}, "name": {"ada"}, "password": {password}, "again": {password}}

	res := b.ask("POST", "/setup", form.Encode(), "Sec-Fetch-Site", "same-origin")
	if res.status != http.StatusSeeOther {
		b.t.Fatalf("setting the password: %d %s", res.status, res.body)
	}

	cookie, _, _ := strings.Cut(res.header.Get("Set-Cookie"), ";")

	return cookie
}

// member makes a user with a role, by their invitation, and returns the cookie of
// their session.
func (b *bench) member(name string, role route.Role) string {
	b.t.Helper()

	made := b.ask("POST", "/api/v1/users", fmt.Sprintf(`{"name":%q,"role":%q}`, name, role), "Authorization", "Bearer "+b.token("admin"))

	var invited route.UserInvited

	if err := json.Unmarshal([]byte(made.body), &invited); err != nil || made.status != http.StatusCreated {
		b.t.Fatalf("making %s: %d %s", name, made.status, made.body)
	}

	at, err := url.Parse(invited.SetupURL)
	if err != nil {
		b.t.Fatal(err)
	}

	form := url.Values{"token": {at.Query().Get("token")}, "name": {name}, "password": {password}, "again": {password}}

	res := b.ask("POST", "/setup", form.Encode(), "Sec-Fetch-Site", "same-origin")
	if res.status != http.StatusSeeOther {
		b.t.Fatalf("setting the password of %s: %d %s", name, res.status, res.body)
	}

	cookie, _, _ := strings.Cut(res.header.Get("Set-Cookie"), ";")

	return cookie
}

const password = "a fine long password"

func golden(t *testing.T, name, got string) {
	t.Helper()

	file := filepath.Join("testdata", name)

	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// certificate makes a self-signed pair for loopback.
func certificate(t *testing.T) *tls.Certificate {
	t.Helper()

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}

	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "vetting"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}

	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}

	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}

	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// listen runs the console until the test ends and returns its address and a
// function that stops it and says how long that took.
func (b *bench) listen() (base string, stop func() time.Duration) {
	b.t.Helper()

	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)

	go func() { done <- b.Run(ctx) }()

	stopped := false
	stop = func() time.Duration {
		start := time.Now()

		cancel()

		if !stopped {
			stopped = true

			if err := <-done; err != nil {
				b.t.Errorf("Run: %v", err)
			}
		}

		return time.Since(start)
	}

	b.t.Cleanup(func() { stop() })
	await(b.t, "the console to listen", func() bool { return !strings.HasSuffix(b.URL(), ":0") })

	return b.URL(), stop
}

// await polls; the deadline only bounds a test that fails.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()

	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()

	late := time.After(10 * time.Second)

	for !done() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited 10 s for %s", what)
		}
	}
}

// Whose address another program has learns what to do.
func TestAnAddressThatIsTakenIsExplained(t *testing.T) {
	t.Parallel()

	other, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	defer func() { _ = other.Close() }()

	b := open(t, canned.Empty, func(cfg *ui.Config) { cfg.Addr = other.Addr().String() })

	if err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), other.Addr().String()) || !strings.Contains(err.Error(), "give another address with --console-listen") {
		t.Errorf("%v", err)
	}
}
