package ui_test

import (
	"net/http"
	"strings"
	"testing"

	"vetting/core/route"
	"vetting/ui/canned"
	"vetting/ui/view"
)

// The documentation is there for everybody, in the frame of whoever reads it, and what
// is looked for stays text.
func TestTheDocumentationIsServed(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	viewer := b.member("vera", route.Viewer)

	for _, c := range []struct {
		path, cookie string
		status       int
		want, never  string
	}{
		{"/docs", "", 200, `href="/docs/operations"`, "Sign out"},
		{"/docs", viewer, 200, "Sign out", "Nothing was found"},
		{"/docs/operations", "", 200, `see <a href="/docs/api">the API</a>`, "Sign out"},
		{"/docs/nothing", "", 404, "There is no such page of the documentation", "operations"},
		{"/docs/..%2f..%2fetc", "", 404, "There is no such page", "root:"},
		{"/docs?q=BACKUP+file", "", 200, "A backup is one file", "Nothing was found"},
		{"/docs?q=%3Cb%3Ebold", "", 200, "&lt;b&gt;bold&lt;/b&gt; words", "<b>bold"},
		{"/docs?q=%22%3E%3Cscript%3E", "", 200, "Nothing was found", "<script>"},
		{"/docs?q=" + strings.Repeat("x", 101), "", 422, "Look for less", "operations"},
	} {
		header := []string{}
		if c.cookie != "" {
			header = append(header, "Cookie", c.cookie)
		}

		got := b.ask(http.MethodGet, c.path, "", header...)
		if got.status != c.status || !strings.Contains(got.body, c.want) || strings.Contains(got.body, c.never) {
			t.Errorf("%s: %d\n%s", c.path, got.status, got.body)
		}

		if csp := got.header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; script-src 'self'; style-src 'self';") {
			t.Errorf("%s: %s", c.path, csp)
		}
	}
}

func TestLinesThatAreFoundAreShort(t *testing.T) {
	t.Parallel()

	page := strings.Repeat("needle and thread\n", 9) + "hay\n"
	if got := view.Sift(page, "Thread NEEDLE"); len(got) != 3 || got[0] != "needle and thread" {
		t.Errorf("%q", got)
	}

	if got := view.Sift("needle\nthread\n", "needle thread"); got != nil {
		t.Errorf("on two lines: %q", got)
	}

	if got := view.Sift("needle "+strings.Repeat("ä", 400), "needle"); len(got) != 1 || len(got[0]) > 250 || !strings.HasSuffix(got[0], "ä …") {
		t.Errorf("a long line: %q", got)
	}

	if got := view.Sift("x", "  "); got != nil {
		t.Errorf("nothing was looked for: %q", got)
	}
}
