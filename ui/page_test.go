package ui_test

import (
	"bytes"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"

	"vetting/ui/canned"
	"vetting/ui/view"
)

// pages are those drawn in every scene.
func pages() map[string]string {
	host, run := "/hosts/"+string(canned.Host), "/runs/"+string(canned.Run)

	return map[string]string{
		"rack": "/", "hosts": "/hosts", "host-new": "/hosts/new?mac=3c:ec:ef:00:17:a2", "host": host, "runs": "/runs", "run": run, "hold": run + "/hold", "start": host + "/start?profile=quick&armed=S64G7C9F1R3",
		"report": run + "/report", "report-alone": "/api/v1" + run + "/report.html", "batch": "/api/v1/batch.html", "compare": "/runs/compare?a=" + string(canned.Run) + "&b=" + string(canned.Run), "inbox": "/inbox", "batches": "/batches", "batch-page": "/batches/" + canned.BatchName, "runs-over": "/runs?state=over&verdict=fail", "hosts-columns": "/hosts?sort=-storage&cols=state,cores,ram,disks,storage,serial,tags", "unknown": "/h/no-such-machine", "netboot": "/netboot", "welcome": "/welcome", "profiles": "/profiles", "trial": "/profiles?profile=quick&host=" + string(canned.Host), "profile": "/profiles/returned", "profile-editor": "/profile-editor?name=returned", "selected": "/hosts/selected?mac=" + string(canned.Host), "settings": "/settings", "people": "/people", "classes": "/classes", "firmware": "/firmware", "models": "/models?model=" + url.QueryEscape(canned.Model), "host-firmware": host + "/firmware", "import": "/hosts/import", "activity": "/activity", "login": "/login", "scan": "/scan", "notifications": "/notifications", "retention": "/retention", "config": "/config", "integrations": "/settings/integrations", "tokens": "/settings/tokens",
		"setup": "/setup?token=wrong", "missing": "/no/such/page", "labels": "/labels?ids=" + string(canned.Run), "part": "/parts?serial=ZL2A1000", "docs": "/docs", "docs-page": "/docs/operations",
	}
}

func scenes() []canned.Scene {
	return []canned.Scene{canned.Empty, canned.Full, canned.Failed, canned.Hostile}
}

// hashed is what changes with every edit of a file: it has its own tests.
func hashed(page string) string {
	page = regexp.MustCompile(`\.[0-9a-f]{8}\.(css|js|svg)`).ReplaceAllString(page, ".$1")

	page = regexp.MustCompile(`(?s)(id="signed-report">).*?(</script>)`).ReplaceAllString(page, "$1$2")

	return regexp.MustCompile(`(?s)<style>.*?</style>`).ReplaceAllString(page, "<style></style>")
}

func TestEveryPageInEveryScene(t *testing.T) {
	t.Parallel()

	for _, scene := range scenes() {
		t.Run(string(scene), func(t *testing.T) {
			t.Parallel()

			b := open(t, scene, nil)
			auth := "Bearer " + b.token("admin")

			for name, path := range pages() {
				got := b.ask("GET", path, "", "Authorization", auth)
				if scene != canned.Empty && name != "missing" && name != "unknown" && name != "setup" && got.status != http.StatusOK {
					t.Errorf("%s: status %d", name, got.status)
				}

				page := strings.ReplaceAll(got.body, `href="`+b.URL(), `href="`) // a file may lead to the console
				golden(t, string(scene)+"-"+name+".html", hashed(breakLines(page)))
				checkMarkup(t, name, page)
			}
		})
	}
}

// TestFortyDisksUnderTest: each has its meter, in words too.
func TestFortyDisksUnderTest(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Disks, nil)
	got := b.ask("GET", "/runs/"+string(canned.Run), "", "Authorization", "Bearer "+b.token("read"))

	golden(t, "disks-run.html", hashed(breakLines(got.body)))
	checkMarkup(t, "disks", got.body)

	if got.status != http.StatusOK || strings.Count(got.body, `role="meter"`) != 40 || !strings.Contains(got.body, "1 of 40 done, 1 with errors") {
		t.Errorf("status %d, %d meters", got.status, strings.Count(got.body, `role="meter"`))
	}
}

// breakLines puts tags on lines, so that golden files can be read and compared.
func breakLines(page string) string {
	return regexp.MustCompile(`(<(?:/?(?:head|body|main|section|header|nav|div|ul|ol|li|table|thead|tbody|tr|form|article|dl)|link|script|h1|h2|title|pre|td|dt|dd|p)\b)`).
		ReplaceAllString(page, "\n$1")
}

// ofNote is a picture as notes have it: one that the console has looked at itself.
var ofNote = regexp.MustCompile(`^<img class="photo" src="/hosts/[0-9a-f:]{17}/notes/[0-9A-Z]{26}/photos/[0-9a-f]{64}" alt="[^"]*" loading="lazy" width="160" height="120"/?>$`)

// checkMarkup refuses what text of a host must never become: elements,
// attributes that run, addresses that lead away.
func checkMarkup(t *testing.T, name, page string) {
	t.Helper()

	if strings.ContainsAny(page, "\x1b\x07\u202e\u200b\u009b") {
		t.Errorf("%s holds characters that steer a terminal or the reading direction", name)
	}

	z := html.NewTokenizer(strings.NewReader(page))

	for z.Next() != html.ErrorToken {
		token := z.Token()
		if token.Type != html.StartTagToken && token.Type != html.SelfClosingTagToken {
			continue
		}

		if token.Data == "img" && !ofNote.MatchString(token.String()) || token.Data == "iframe" || token.Data == "object" {
			t.Errorf("%s has a <%s>", name, token.Data)
		}

		for _, a := range token.Attr {
			checkAttribute(t, name, token.Data, a)
		}
	}
}

func checkAttribute(t *testing.T, page, tag string, a html.Attribute) {
	t.Helper()

	switch {
	case strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "srcdoc":
		t.Errorf("%s: <%s> has the attribute %s", page, tag, a.Key)
	case (a.Key == "href" || a.Key == "src" || a.Key == "action") && !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#"):
		t.Errorf("%s: <%s %s=%q> leads away", page, tag, a.Key, a.Val)
	case tag == "script" && a.Key == "src" && !strings.HasPrefix(a.Val, "/static/"):
		t.Errorf("%s: script from %q", page, a.Val)
	}
}

// A page must be whole and nested well, whatever the host says: what opens is
// closed, and the frame around the page is there once.
func TestHostileTextLeavesThePageWhole(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Hostile, nil)
	auth := "Bearer " + b.token("admin")

	for name, path := range pages() {
		got := b.ask("GET", path, "", "Authorization", auth)

		for _, tag := range []string{"main", "table", "section", "form", "textarea", "pre", "details"} {
			opened, closed := strings.Count(got.body, "<"+tag), strings.Count(got.body, "</"+tag+">")
			if opened != closed {
				t.Errorf("%s: %d <%s> and %d </%s>", name, opened, tag, closed, tag)
			}
		}

		scripts := 1
		if name == "scan" {
			scripts = 2 // the camera's is loaded there alone
		}

		if n := strings.Count(got.body, "<script"); n > scripts {
			t.Errorf("%s has %d scripts", name, n)
		}
	}
}

func TestTheReportNeedsNothingElse(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	got := b.ask("GET", "/api/v1/runs/"+string(canned.Run)+"/report.html", "", "Authorization", "Bearer "+b.token("read"))

	if data := `<script type="application/json"`; strings.Count(got.body, "<script") != 1 || !strings.Contains(got.body, data) {
		t.Error("the report holds a script beside the signed data")
	}

	body := regexp.MustCompile(`<dd class="mono">https?://[^<]*</dd>`).ReplaceAllString(got.body, "") // the run's address, to be read

	for _, word := range []string{"<link", "src=", "@import", "url(", "http://", "https://"} {
		if strings.Contains(body, word) {
			t.Errorf("the report holds %q", word)
		}
	}

	if !strings.Contains(got.body, "@bottom-right { content: counter(page)") {
		t.Error("the report does not say how it is printed")
	}
}

func TestASpecThatIsRefusedIsShownWithItsPlace(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	b.commands.OnSpec = badSpec

	got := b.ask("POST", "/hosts/"+string(canned.Host)+"/spec", "spec=cpus%3A%0A++count%3A+2%0Amemory%3A%0A++dims%3A+4%0A", "Authorization", "Bearer "+b.token("operate"))
	if got.status != http.StatusUnprocessableEntity {
		t.Errorf("status %d", got.status)
	}

	for _, want := range []string{"unknown field", "Line 4, column 3", "<mark>   4    dims: 4", "        ^", "count: 2"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}

	if bytes.Contains([]byte(got.body), []byte("&gt;  4 |")) {
		t.Error("the excerpt of the YAML reader is shown beside ours")
	}
}

// Every page that the console has is among those that are drawn in every scene, and so
// looked at in a browser: on a phone, by axe, and under its policy. What is left out is no
// page of its own.
func TestNoPageIsLeftOutOfTheGallery(t *testing.T) {
	t.Parallel()

	leftOut := map[string]string{
		"/events": "a stream", "/palette": "JSON", "/healthz": "JSON", "/hosts/:mac/notes/:id/photos/:sha256": "a picture: note_test.go looks at it", "/readyz": "JSON", "/metrics": "text",
		"/ca.crt": "a certificate", "/settings/licences": "text", "/settings/users": "is /people", "/settings/notifiers": "is /notifications", "/settings/retention": "is /retention",
		"/settings/integrations/grafana-dashboard.json": "a file", "/settings/integrations/prometheus-rules.yaml": "a file",
		"/audit": "leads to /activity", "/activity/recent": "a part of every page: activity_test.go looks at it",
		"/hosts/list.csv": "CSV", "/hosts/selected/labels": "leads to /labels", "/runs/:id/terminal": "opens a shell: terminal_test.go looks at it", "/wall": "is opened by a token of its own: wall_test.go looks at it",
		"/wall/:token": "leads to /wall", "/r/:id": "is opened by a link: reportlink_test.go looks at it",
		"/runs/:id/log.txt": "text", "/runs/:id/plots": "a part of the page of a run", "/runs/:id/terminal/socket": "a web socket", "/hosts/:mac/console": "opens a console: serial_test.go looks at it", "/hosts/:mac/console/socket": "a web socket",
	}

	tab := regexp.MustCompile("^(/hosts/:mac/(" + strings.Join(slices.Sorted(maps.Keys(view.HostTabs())), "|") + ")|/runs/:id/(" + strings.Join(slices.Sorted(maps.Keys(view.RunTabs())), "|") + "))$")
	b := open(t, canned.Full, nil)

	var drawn []string
	for _, path := range pages() {
		path, _, _ = strings.Cut(path, "?")
		drawn = append(drawn, path)
	}

	for _, step := range steps() {
		if path, _, _ := strings.Cut(step.path, "?"); step.form == "" {
			drawn = append(drawn, path)
		}
	}

	for _, page := range b.Pages() {
		if tab.MatchString(page.Path) { // leads to a part of the page before its last slash
			continue
		}

		if page.Method != http.MethodGet || strings.HasPrefix(page.Path, "/static/") || strings.HasPrefix(page.Path, "/api/") || strings.HasPrefix(page.Path, "/runs/:id/report.") || leftOut[page.Path] != "" {
			continue
		}

		like := regexp.MustCompile("^" + regexp.MustCompile(`:[a-z]+`).ReplaceAllString(page.Path, "[^/]+") + "$")
		if !slices.ContainsFunc(drawn, like.MatchString) {
			t.Errorf("%s is drawn in no scene", page.Path)
		}
	}
}

// What would end streams, let requests overwrite each other or lock the store's folder
// twice is not set.
func TestTheListenerIsFitForStreams(t *testing.T) {
	t.Parallel()

	set := open(t, canned.Full, nil).App().Config()
	if set.WriteTimeout != 0 || set.Prefork || !set.Immutable || set.ReadTimeout == 0 || set.ProxyHeader != "" {
		t.Errorf("write timeout %v, read timeout %v, prefork %v, immutable %v, proxy header %q", set.WriteTimeout, set.ReadTimeout, set.Prefork, set.Immutable, set.ProxyHeader)
	}
}

// Pages are drawn with letters and marks that every font has: what it lacks comes out as a box.
// Signs are drawings.
func TestPagesAreWrittenInLettersThatEveryFontHas(t *testing.T) {
	t.Parallel()

	for _, scene := range []canned.Scene{canned.Full, canned.Failed, canned.Empty} {
		b := open(t, scene, nil)
		auth := "Bearer " + b.token("admin")

		for name, path := range pages() {
			for _, letter := range b.ask("GET", path, "", "Authorization", auth).body {
				if letter > unicode.MaxASCII && !strings.ContainsRune("·…–→°↑↓µΩ±×≤≥", letter) {
					t.Errorf("%s of the scene %s shows %q, %U", name, scene, letter, letter)
				}
			}
		}
	}
}

// The tests that the tables of traps and of promises name are there.
func TestTheTableOfTrapsNamesTestsThatThereAre(t *testing.T) {
	t.Parallel()

	there := map[string]bool{}

	note := func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}

		text, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)`).FindAllSubmatch(text, -1) {
			there[string(m[1])] = true
		}

		return err
	}

	for _, room := range []string{".", "../agent", "../cmd", "../core", "../netboot", "../store", "../initramfs"} {
		if err := filepath.WalkDir(room, note); err != nil {
			t.Fatal(err)
		}
	}

	for _, name := range []string{"development.md", "promises.md"} {
		page, err := os.ReadFile(filepath.Join("../docs", name))
		if err != nil {
			t.Fatal(err)
		}

		named := regexp.MustCompile("`(Test\\w+)`").FindAllSubmatch(page, -1)
		if len(named) < 20 {
			t.Errorf("%s: only %d tests are named", name, len(named))
		}

		for _, m := range named {
			if !there[string(m[1])] {
				t.Errorf("%s: %s is named and not there", name, m[1])
			}
		}
	}

	// Each row of the promises names one: what nothing proves is none.
	promises, err := os.ReadFile("../docs/promises.md")
	if err != nil {
		t.Fatal(err)
	}

	for row := range strings.Lines(string(promises)) {
		if strings.HasPrefix(row, "| ") && !strings.Contains(row, "proved by") && !strings.Contains(row, "`Test") {
			t.Errorf("nothing proves: %s", row)
		}
	}
}
