package ui_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"vetting/core/route"
	"vetting/ui"
	"vetting/ui/canned"
)

// outOfOrder is a console without a ledger.
func outOfOrder(t *testing.T, change func(*ui.Config)) *bench {
	t.Helper()

	cfg := ui.Config{
		Appliance: canned.Appliance(), Addr: "127.0.0.1:0", Now: canned.Now, Log: slog.New(slog.DiscardHandler),
		Trouble: canned.Trouble(),
	}
	if change != nil {
		change(&cfg)
	}

	console, err := ui.New(cfg)
	if err != nil {
		t.Fatal(err)
	}

	return &bench{UI: console, t: t}
}

// Whoever comes is told what is wrong and what to do, whatever they ask for and
// whatever they bring.
func TestAConsoleWithoutALedgerSaysWhatIsWrong(t *testing.T) {
	t.Parallel()

	b := outOfOrder(t, nil)

	for _, path := range []string{"/", "/login", "/setup?token=x", "/hosts", "/no/such/page"} {
		for _, header := range [][]string{nil, {"Cookie", "vetting=abc"}, {"Authorization", "Bearer vet_abc"}} {
			got := b.ask("GET", path, "", header...)
			if got.status != http.StatusServiceUnavailable || !strings.Contains(got.header.Get("Content-Security-Policy"), "default-src 'none'") {
				t.Errorf("%s: %d", path, got.status)
			}

			for _, want := range []string{"out of order", "&lt;table 7&gt; has a wrong checksum.", "vetting restore FILE", "store/damaged"} {
				if !strings.Contains(got.body, want) {
					t.Errorf("%s lacks %q", path, want)
				}
			}

			checkMarkup(t, path, got.body)
		}
	}

	for _, r := range route.Table() {
		got := b.ask(r.Method, filled(r.Path), bodyFor(r.Name), "Authorization", "Bearer vet_abc", "Cookie", "vetting=abc")

		switch r.Name {
		case "healthz":
			if got.status != http.StatusOK {
				t.Errorf("healthz: %d", got.status)
			}
		case "readyz":
			var health route.Health

			if err := json.Unmarshal([]byte(got.body), &health); err != nil || got.status != http.StatusServiceUnavailable || len(health.Checks) != 1 || health.Checks[0].OK {
				t.Errorf("readyz: %d %s", got.status, got.body)
			}
		default:
			var sad route.ErrorBody

			if err := json.Unmarshal([]byte(got.body), &sad); err != nil || got.status != http.StatusServiceUnavailable || sad.Error.Code != "store/damaged" || sad.Error.Details["next"] == "" {
				t.Errorf("%s: %d %s", r.Name, got.status, got.body)
			}
		}
	}

	if got := b.ask("POST", "/login", "name=ada&password=x", "Sec-Fetch-Site", "same-origin"); got.status != http.StatusServiceUnavailable {
		t.Errorf("signing in: %d", got.status)
	}
}

func TestAConsoleWithoutALedgerListensAndStops(t *testing.T) {
	t.Parallel()

	b := outOfOrder(t, func(cfg *ui.Config) { cfg.TLS = certificate(t) })
	base, stop := b.listen()

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/readyz", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}

	res, err := client().Do(req)
	if err != nil {
		t.Fatal(err)
	}

	if res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", res.StatusCode)
	}

	_ = res.Body.Close()

	// What is refused before it is read is answered too.
	conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(t.Context(), "tcp", strings.TrimPrefix(base, "https://"))
	if err != nil {
		t.Fatal(err)
	}

	defer func() { _ = conn.Close() }()

	if _, err := fmt.Fprint(conn, "POST /login HTTP/1.1\r\nHost: x\r\nCookie: __Host-vetting=abc\r\nContent-Length: 3000000\r\n\r\n"); err != nil {
		t.Fatal(err)
	}

	if res, err = http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
		t.Fatal(err)
	}

	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a body that is too large: %d", res.StatusCode)
	}

	_ = res.Body.Close()

	stop()
}
