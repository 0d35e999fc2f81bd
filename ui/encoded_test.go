package ui_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"

	"vetting/ui/canned"
)

// gzipped packs a text.
func gzipped(t *testing.T, text string) string {
	t.Helper()

	var packed bytes.Buffer

	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}

	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	return packed.String()
}

// TestNobodySendsAPackedBody: 300 KB of it were 300 MB in memory before anybody had asked
// who sends it (the form of the login as multipart/form-data), and 900 KB to the API 3.8 GB.
func TestNobodySendsAPackedBody(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	auth := "Bearer " + b.token("operate")
	form := gzipped(t, "--B\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\n"+strings.Repeat("a", 8<<20)+"\r\n--B--\r\n")
	order := gzipped(t, `{"mac":"52:54:00:00:00:99","name":"x"}`)

	for name, c := range map[string]struct {
		path, body string
		header     []string
	}{
		"the login's form":      {"/login", form, []string{"Sec-Fetch-Site", "same-origin", "Content-Type", "multipart/form-data; boundary=B", "Content-Encoding", "gzip"}},
		"an order":              {"/api/v1/hosts", order, []string{"Authorization", auth, "Content-Encoding", "gzip"}},
		"an order packed twice": {"/api/v1/hosts", order, []string{"Authorization", auth, "Content-Encoding", "identity, gzip, gzip"}},
		"by brotli":             {"/api/v1/hosts", order, []string{"Authorization", auth, "Content-Encoding", "br"}},
		"by nobody":             {"/api/v1/hosts", order, []string{"Content-Encoding", "deflate"}},
		"where nothing is":      {"/nowhere", form, []string{"Content-Type", "multipart/form-data; boundary=B", "Content-Encoding", "gzip"}},
		"in another case":       {"/login", form, []string{"Sec-Fetch-Site", "same-origin", "Content-Type", "multipart/form-data; boundary=B", "content-encoding", "GZIP"}},
	} {
		got := b.ask("POST", c.path, c.body, c.header...)
		if got.status != http.StatusUnsupportedMediaType || got.header.Get("Accept-Encoding") != "identity" || !strings.Contains(got.body, "without Content-Encoding") {
			t.Errorf("%s: %d %.200s", name, got.status, got.body)
		}
	}

	if got := b.ask("POST", "/api/v1/hosts", `{"mac":"52:54:00:00:00:99","name":"x"}`, "Authorization", auth, "Content-Encoding", "identity"); got.status != http.StatusCreated {
		t.Errorf("a body that is not packed: %d %.200s", got.status, got.body)
	}
}
