package ui_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/ui"
	"vetting/ui/canned"
)

// installedSide is a console with a pretended side of installed machines.
func installedSide(t *testing.T) *bench {
	t.Helper()

	program := bytes.Repeat([]byte("program."), 1<<18)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /assets/agent", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "agent", time.Time{}, bytes.NewReader(program))
	})
	mux.HandleFunc("POST /api/v1/hosts", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, r.Host, r.RemoteAddr != "", string(text), err)
	})

	return open(t, canned.Full, func(cfg *ui.Config) {
		random(cfg)
		cfg.Installed = &ui.Installed{
			Handler: mux,
			Mine: func(method, path string, header func(string) string) bool {
				return path == "/assets/agent" || method == http.MethodPost && header("X-Signed") != ""
			},
			Lines: func(host string) []ui.QuickLine {
				return []ui.QuickLine{{For: "Machines", Line: "curl 'https://" + host + "'"}}
			},
		}
	})
}

func TestTheConsoleHandsInstalledMachinesOver(t *testing.T) {
	b := installedSide(t)

	got := b.ask("POST", "/api/v1/hosts", `{"mac": 7}`, "X-Signed", "yes", "Content-Type", "application/json")
	if got.status != http.StatusCreated || got.body != `console.test`+`true{"mac": 7}<nil>` {
		t.Errorf("status %d: %s", got.status, got.body)
	}

	// The same call of somebody else is an operator's, and needs a token.
	if got := b.ask("POST", "/api/v1/hosts", `{}`); got.status != http.StatusUnauthorized {
		t.Errorf("unsigned: status %d", got.status)
	}

	whole := b.ask("GET", "/assets/agent", "")
	if whole.status != http.StatusOK || len(whole.body) != 8<<18 || !strings.HasSuffix(whole.body, "program.") {
		t.Errorf("status %d, %d bytes", whole.status, len(whole.body))
	}

	part := b.ask("GET", "/assets/agent", "", "Range", "bytes=8-15")
	if part.status != http.StatusPartialContent || part.body != "program." {
		t.Errorf("status %d: %q", part.status, part.body)
	}

	if head := b.ask("HEAD", "/assets/agent", ""); head.status != http.StatusOK || head.body != "" || head.header.Get("Content-Length") != fmt.Sprint(8<<18) {
		t.Errorf("%+v", head)
	}
}

func TestTheConsoleShowsTheLineToPaste(t *testing.T) {
	b := installedSide(t)

	page := b.ask("GET", "/hosts/new", "", "Authorization", "Bearer "+b.token("admin"))
	if page.status != http.StatusOK || !strings.Contains(page.body, "curl &#39;https://console.test&#39;") {
		t.Errorf("status %d, no line: %s", page.status, page.body)
	}
}

func TestWarningsStandOnEveryPage(t *testing.T) {
	b := open(t, canned.Full, func(cfg *ui.Config) {
		random(cfg)
		cfg.Warnings = func() []ui.Warning {
			return []ui.Warning{{Severity: core.Critical, Text: "The sky <is> falling."}, {Severity: core.Warning, Text: "It rains."}}
		}
	})
	token := "Bearer " + b.token("admin")

	for _, path := range []string{"/", "/hosts", "/settings", "/runs"} {
		page := b.ask("GET", path, "", "Authorization", token)
		if !strings.Contains(page.body, `class="tone fail">The sky &lt;is&gt; falling.`) || !strings.Contains(page.body, `class="tone warn">It rains.`) {
			t.Errorf("%s does not warn", path)
		}
	}

	if got := b.ask("GET", "/readyz", ""); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "falling") || strings.Contains(got.body, "rains") {
		t.Errorf("readyz: %d %s", got.status, got.body)
	}

	if page := b.ask("GET", "/login", ""); strings.Contains(page.body, "falling") {
		t.Error("strangers are told, too")
	}
}
