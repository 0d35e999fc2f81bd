package ui_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui"
	"vetting/ui/canned"
)

func badSpec(core.MAC, string) (core.Host, error) {
	return core.Host{}, core.NewProblem(core.ErrInvalid, "spec/invalid",
		"The spec cannot be read:\n[4:3] unknown field \"dims\"\n   3 | memory:\n>  4 |   dims: 4\n         ^")
}

// filled writes example values into a path of the table.
func filled(path string) string {
	path = strings.Replace(path, "/notifiers/{name}", "/notifiers/phone", 1)
	path = strings.Replace(path, "/backups/{name}", "/backups/"+canned.BackupName, 1)
	path = strings.Replace(path, "/photos/{sha256}", "/photos/"+canned.PictureSum(), 1)
	path = strings.Replace(path, "/profiles/{name}", "/profiles/returned", 1)
	path = strings.Replace(path, "/classes/{name}", "/classes/r740-nvme", 1)

	path = strings.Replace(path, "/batches/{name}", "/batches/"+canned.BatchName, 1)

	return strings.NewReplacer("{mac}", string(canned.Host), "{id}", string(canned.Run), "{sha256}", strings.Repeat("5e", 32), "{name}", "bob", "{event}", "7", "{target}", "ops-mail").Replace(path)
}

// bodyFor is a request body that a route takes.
func bodyFor(name string) string {
	return map[string]string{
		"hosts.create": `{"mac":"52:54:00:00:00:99","name":"x"}`, "hosts.update": `{"name":"y"}`, "hosts.spec": "cpus: {count: 2}",
		"hosts.start": `{"profile":"quick"}`, "hosts.plan": `{"profile":"quick"}`, "tokens.create": `{"name":"n","scope":"read"}`,
		"hosts.secrets": `{"bmc_password":"x"}`, "hosts.power": `{"op":"status"}`, "hosts.locate": `{"disk":"S1"}`, "hosts.learn": `{}`,
		"hosts.import": "name,mac_address\nx,52:54:00:00:00:77\n", "discovered.adopt": `{"name":"x"}`, "classes.put": `{"spec_yaml":""}`,
		"notes.create": `{"text":"the fan rattles"}`, "notes.add-photo": string(canned.Picture()),
		"runs.move":  `{"to":"first"}`,
		"runs.waive": `{"finding":"0123456789ab","reason":"x","until":"30d"}`,
		"runs.fail":  `{"reason":"x"}`, "runs.report-link": `{}`,
		"runs.retry": `{}`, "runs.override-wipe": `{"serials":["S1"],"reason":"x"}`, "users.create": `{"name":"carl","role":"viewer"}`, "users.update": `{"role":"operator"}`,
	}[name]
}

// Every route stands behind its check, and answers those it lets in.
func TestEveryRouteOfTheAPIIsBehindItsCheck(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	tokens := map[route.Scope]string{}

	for _, scope := range []route.Scope{route.Read, route.Operate, route.Admin} {
		tokens[scope] = b.token(string(scope))
	}

	cookie := b.signIn()
	viewer, operator := b.member("vera", route.Viewer), b.member("otto", route.Operator)
	b.member("bob", route.Viewer)

	for _, r := range route.Table() {
		if r.Name == "events" {
			continue // a stream: TestTheStreamsAreBehindTheirCheck
		}

		path, body := filled(r.Path), bodyFor(r.Name)
		open := r.Scope == route.None

		checks := []struct {
			who    string
			want   bool
			header []string
		}{
			{"nobody", open, nil},
			{"a wrong token", open, []string{"Authorization", "Bearer vet_wrong"}},
			{"a token in another form", open, []string{"Authorization", "Basic " + tokens[route.Admin]}},
			{"a read token", route.Read.Allows(r.Scope), []string{"Authorization", "Bearer " + tokens[route.Read]}},
			{"an operate token", route.Operate.Allows(r.Scope), []string{"Authorization", "Bearer " + tokens[route.Operate]}},
			{"an admin token", true, []string{"Authorization", "Bearer " + tokens[route.Admin]}},
			{"a viewer's session", route.Viewer.Scope().Allows(r.Scope), []string{"Cookie", viewer, "Sec-Fetch-Site", "same-origin"}},
			{"an operator's session", route.Operator.Scope().Allows(r.Scope), []string{"Cookie", operator, "Sec-Fetch-Site", "same-origin"}},
			{"the session from our page", true, []string{"Cookie", cookie, "Sec-Fetch-Site", "same-origin"}},
			{"the session from our page, an older browser", true, []string{"Cookie", cookie, "Origin", "http://console.test"}},
			{"the session from another site", r.Method == "GET" || open, []string{"Cookie", cookie, "Sec-Fetch-Site", "cross-site"}},
			{"the session from a sister site", r.Method == "GET" || open, []string{"Cookie", cookie, "Sec-Fetch-Site", "same-site"}},
			{"the session from another origin", r.Method == "GET" || open, []string{"Cookie", cookie, "Origin", "https://evil.test"}},
			{"the session from nowhere", r.Method == "GET" || open, []string{"Cookie", cookie}},
			{"a wrong session", open, []string{"Cookie", "vetting=wrong", "Sec-Fetch-Site", "same-origin"}},
		}

		for _, c := range checks {
			got := b.ask(r.Method, path, body, c.header...)
			refused := got.status == http.StatusUnauthorized || got.status == http.StatusForbidden

			if refused == c.want {
				t.Errorf("%s as %s: status %d %s", r.Name, c.who, got.status, got.body)
			}

			known := got.status == r.OK.Status || got.status == usedUp(r.Name)
			if c.want && !known {
				t.Errorf("%s as %s: status %d, want %d: %.200s", r.Name, c.who, got.status, r.OK.Status, got.body)
			}
		}
	}
}

// usedUp is what a route answers once a caller before has used its example up.
func usedUp(name string) int {
	return map[string]int{
		"tokens.delete": http.StatusNotFound, "users.create": http.StatusConflict, "users.delete": http.StatusNotFound,
		"users.reset-totp": http.StatusConflict,        // bob has none; see factor_test.go
		"runs.hold-tunnel": http.StatusUpgradeRequired, // its tests are in tunnel_test.go
		"hosts.console":    http.StatusUpgradeRequired, // its tests are in serial_test.go
	}[name]
}

// Every page stands behind its check too: the table is what the app registered.
func TestEveryPageIsBehindItsCheck(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	read, operate, cookie := b.token("read"), b.token("operate"), b.signIn()
	public := []string{"/docs", "/docs/:topic", "/login", "/setup", "/logout", "/healthz", "/readyz", "/ca.crt", "/wall/:token", "/r/:id"} // /wall/:token leads to /wall, and /r/:id opens with a link: both look
	seen := 0

	for _, page := range b.Pages() {
		if page.Path == "/metrics" || strings.HasPrefix(page.Path, "/api/") || strings.HasPrefix(page.Path, "/static/") || slices.Contains(public, page.Path) || page.Method == http.MethodHead {
			continue
		}

		seen++
		ruling := slices.ContainsFunc([]string{"/people", "/config", "/settings/", "/setup/", "/profile-editor", "/profiles/:name/delete"}, func(p string) bool { return strings.HasPrefix(page.Path, p) }) &&
			!slices.Contains([]string{"/settings/password", "/settings/theme"}, page.Path) && !strings.HasPrefix(page.Path, "/settings/totp")
		path := strings.NewReplacer(":mac", string(canned.Host), ":id", string(canned.Run), ":name", "bob", ":event", "7", ":target", "ops-mail").Replace(page.Path)
		got := b.ask(page.Method, path, "")

		if page.Path != "/events" {
			if got := b.ask(page.Method, path, "", "Authorization", "Bearer "+operate); (got.status == http.StatusForbidden) != ruling && page.Path != "/settings/password" && !strings.HasPrefix(page.Path, "/settings/totp") { // a program has neither
				t.Errorf("%s %s as an operator: status %d", page.Method, path, got.status)
			}
		}

		if strings.HasSuffix(page.Path, "/socket") { // no page, though a page asks for it
			if got.status != http.StatusUnauthorized {
				t.Errorf("%s as nobody: status %d", path, got.status)
			}

			continue
		}

		if page.Method == http.MethodGet {
			if led := got.status == http.StatusSeeOther && strings.HasPrefix(got.header.Get("Location"), "/login?next="); !led {
				t.Errorf("GET %s as nobody: status %d to %q", path, got.status, got.header.Get("Location"))
			}

			continue
		}

		if got.status != http.StatusUnauthorized {
			t.Errorf("%s %s as nobody: status %d", page.Method, path, got.status)
		}

		mayRead := page.Path == "/settings/theme" || page.Path == "/settings/password"
		if got := b.ask(page.Method, path, "", "Authorization", "Bearer "+read); got.status != http.StatusForbidden && !mayRead {
			t.Errorf("%s %s with a read token: status %d", page.Method, path, got.status)
		}

		for _, site := range []string{"cross-site", "same-site"} {
			if got := b.ask(page.Method, path, "", "Cookie", cookie, "Sec-Fetch-Site", site); got.status != http.StatusForbidden {
				t.Errorf("%s %s from %s: status %d", page.Method, path, site, got.status)
			}
		}
	}

	if seen < 30 {
		t.Errorf("only %d pages were looked at", seen)
	}
}

func TestTheFormsThatLetPeopleInRefuseOtherSites(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)

	for _, path := range []string{"/login", "/setup", "/logout"} {
		for _, header := range [][]string{nil, {"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.test"}, {"Origin", "null"}} {
			if got := b.ask("POST", path, "name=ada&password=x", header...); got.status != http.StatusForbidden {
				t.Errorf("POST %s with %v: status %d", path, header, got.status)
			}
		}
	}
}

// The headers of every kind of answer, as reliability.md 3.4 wants them.
func TestEveryAnswerCarriesItsHeaders(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("admin")

	var all strings.Builder

	show := func(call string, got answer) {
		fmt.Fprintf(&all, "%s\n  status %d\n", call, got.status)

		for _, key := range slices.Sorted(maps.Keys(got.header)) {
			if key != "Date" && key != "Content-Length" {
				value := got.header.Get(key)
				if strings.Contains(value, "sha256-") {
					value = "default-src 'none'; style-src 'sha256-…" + value[strings.LastIndex(value, "'; base-uri"):]
				}

				fmt.Fprintf(&all, "  %s: %s\n", key, hashed(value))
			}
		}
	}

	for _, r := range route.Table() {
		if r.Name != "events" {
			show(r.Method+" "+r.Path, b.ask(r.Method, filled(r.Path), bodyFor(r.Name), "Authorization", auth))
		}
	}

	names := pages()
	for _, name := range slices.Sorted(maps.Keys(names)) {
		show("GET "+names[name], b.ask("GET", names[name], "", "Authorization", auth))
	}

	static := regexpStatic(b.ask("GET", "/login", "").body)
	slices.Sort(static)

	for _, path := range static {
		show("GET "+hashed(path), b.ask("GET", path, "", "Accept-Encoding", "gzip"))
	}

	show("GET / as nobody", b.ask("GET", "/", ""))
	show("GET /api/v1/hosts as nobody", b.ask("GET", "/api/v1/hosts", ""))
	golden(t, "headers.txt", all.String())
}

func regexpStatic(page string) []string {
	var list []string

	for part := range strings.SplitSeq(page, `"`) {
		if strings.HasPrefix(part, "/static/") {
			list = append(list, part)
		}
	}

	return list
}

func TestHSTSIsSentOnlyWithACertificateOfAnAuthority(t *testing.T) {
	t.Parallel()

	own := open(t, canned.Empty, func(cfg *ui.Config) { cfg.TLS = certificate(t) })
	if got := own.ask("GET", "/login", "").header.Get("Strict-Transport-Security"); got != "" {
		t.Errorf("self-signed: %q", got)
	}

	named := open(t, canned.Empty, func(cfg *ui.Config) {
		cfg.TLS = certificate(t)
		cfg.TLS.Leaf.DNSNames = []string{"vetting.example.org"}
		cfg.TLS.Leaf.Issuer.CommonName = "An Authority"
	})
	if got := named.ask("GET", "/login", "").header.Get("Strict-Transport-Security"); got == "" {
		t.Error("a certificate of an authority: no HSTS")
	}
}

func TestPlainHTTPIsForLoopbackOnly(t *testing.T) {
	t.Parallel()

	for addr, want := range map[string]bool{"127.0.0.1:8443": true, "[::1]:8443": true, "0.0.0.0:8443": false, ":8443": false, "10.0.0.1:8443": false, "localhost:8443": false, "8443": false} {
		_, err := ui.New(ui.Config{Addr: addr, Commands: &canned.Commands{}})
		if (err == nil) != want {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestErrorsHaveTheirStatusACodeAndASentence(t *testing.T) {
	t.Parallel()

	for kind, want := range map[error]int{
		core.ErrNotFound: 404, core.ErrConflict: 409, core.ErrRefused: 403, core.ErrInvalid: 422, core.ErrExpired: 410, core.ErrFull: 507,
		core.ErrUnauthorized: 401, errors.New("badger: value log truncated"): 500,
	} {
		b := open(t, canned.Full, nil)
		b.commands.OnStart = func(core.MAC, core.StartRun) (core.Run, error) {
			if want == http.StatusInternalServerError {
				return core.Run{}, fmt.Errorf("starting: %w", kind)
			}

			return core.Run{}, fmt.Errorf("starting: %w", core.NewProblem(kind, "test/code", "One calm sentence.").With("run", "R"))
		}

		got := b.ask("POST", "/api/v1/hosts/"+string(canned.Host)+"/runs", `{"profile":"quick"}`, "Authorization", "Bearer "+b.token("operate"))
		text := `{"error":{"code":"test/code","message":"One calm sentence.","details":{"run":"R"}}}`

		if want == http.StatusInternalServerError {
			text = `{"error":{"code":"console/broken","message":"Something broke in the appliance; its log says what."}}`
		}

		if got.status != want || got.body != text {
			t.Errorf("%v: %d %s, want %d", kind, got.status, got.body, want)
		}
	}
}

func TestAPanicIsAnAnswerAndNotTheEnd(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	b.commands.OnStart = func(core.MAC, core.StartRun) (core.Run, error) { panic("a bug") }

	auth := "Bearer " + b.token("operate")

	if got := b.ask("POST", "/api/v1/hosts/"+string(canned.Host)+"/runs", `{"profile":"quick"}`, "Authorization", auth); got.status != http.StatusInternalServerError || strings.Contains(got.body, "a bug") {
		t.Errorf("%d %s", got.status, got.body)
	}

	if got := b.ask("GET", "/healthz", ""); got.status != http.StatusOK {
		t.Errorf("afterwards: %d", got.status)
	}
}

func TestASessionThatIdlesIsLedToTheLogin(t *testing.T) {
	t.Parallel()

	now := canned.Now()
	b := open(t, canned.Full, func(cfg *ui.Config) { random(cfg); cfg.Now = func() time.Time { return now } })
	cookie := b.signIn()

	if got := b.ask("GET", "/runs?state=over", "", "Cookie", cookie); got.status != http.StatusOK {
		t.Fatalf("signed in: %d", got.status)
	}

	now = now.Add(31 * time.Minute)

	if got := b.ask("GET", "/runs?state=over", "", "Cookie", cookie); got.status != http.StatusSeeOther || got.header.Get("Location") != "/login?next=%2Fruns%3Fstate%3Dover" {
		t.Errorf("after idling: %d to %q", got.status, got.header.Get("Location"))
	}

	if got := b.ask("GET", "/runs", "", "Cookie", cookie, "X-Live", "1"); got.status != http.StatusUnauthorized {
		t.Errorf("a page that refreshes itself: %d", got.status)
	}
}
