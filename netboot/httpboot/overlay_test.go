package httpboot_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vetting/core"
)

const overlaySum = "3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855e"

// shelf has one overlay in a file.
type shelf string

func (s shelf) Open(sum string) (*os.File, int64, error) {
	if sum != overlaySum {
		return nil, 0, core.ErrNotFound
	}

	file, err := os.Open(string(s))
	if err != nil {
		return nil, 0, err
	}

	info, err := file.Stat()

	return file, info.Size(), err
}

// The overlays of a run are loaded between image and seed, and given to its machine
// alone.
func TestTheOverlaysOfARun(t *testing.T) {
	name := filepath.Join(t.TempDir(), "archive")
	text := strings.Repeat("overlay ", 100_000)

	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}

	w := serve(t, shelf(name))
	w.overlays = []core.Overlay{{Name: "acme", SHA256: overlaySum}, {Name: "gone", SHA256: strings.Repeat("0", 64)}}

	path := "/overlay/" + overlaySum + "/overlay-acme.cpio"
	script := w.ask(vetted, "GET", "/ipxe/52-54-00-00-00-01").body
	loads := strings.Fields(script)
	at := slices.Index(loads, "${base}"+path)

	if at < 0 || !strings.Contains(script, "initrd=overlay-acme.cpio") ||
		strings.Index(script, path) > strings.Index(script, "/seed/") || strings.Index(script, path) < strings.Index(script, "/modules.cpio") {
		t.Errorf("the script:\n%s", script)
	}

	if r := w.ask(vetted, "GET", path); r.StatusCode != 200 || r.body != text || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d, %d bytes", r.StatusCode, len(r.body))
	}

	w.settle("overlay-acme.cpio")

	if r := w.ask(vetted, "HEAD", path); r.StatusCode != 200 || r.ContentLength != int64(len(text)) {
		t.Errorf("HEAD: %d, %d bytes", r.StatusCode, r.ContentLength)
	}

	for what, ask := range map[string]struct {
		machine, path string
		status        int
	}{
		"a stranger":                      {stranger, path, 403},
		"a machine that no run waits for": {idle, path, 404},
		"an overlay of another run":       {vetted, "/overlay/" + strings.Repeat("1", 64) + "/overlay-acme.cpio", 404},
		"another name":                    {vetted, "/overlay/" + overlaySum + "/overlay-other.cpio", 404},
		"one that was removed":            {vetted, "/overlay/" + strings.Repeat("0", 64) + "/overlay-gone.cpio", 404},
		"the shelf":                       {vetted, "/overlay/", 404},
		"a way up":                        {vetted, "/overlay/../overlay/" + overlaySum, 404},
	} {
		if r := w.ask(ask.machine, "GET", ask.path); r.StatusCode != ask.status {
			t.Errorf("%s: %d %q", what, r.StatusCode, r.body)
		}
	}

	if seen := w.seen(); !strings.Contains(seen, "overlay-missing(the overlay gone") {
		t.Errorf("seen: %s", seen)
	}
}
