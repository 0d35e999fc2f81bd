package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Whatever stands in the tables, the pages are made of it without a fault of the
// formatter's.
func TestTheManualPagesRender(t *testing.T) {
	if _, err := exec.LookPath("groff"); err != nil {
		t.Skip("groff is not installed")
	}

	folder := t.TempDir()
	if err := writeManual(folder, manPages(newRoot(io.Discard, io.Discard))); err != nil {
		t.Fatal(err)
	}

	pages, err := filepath.Glob(filepath.Join(folder, "man*", "*"))
	if err != nil || len(pages) < 20 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}

	for _, page := range pages {
		var faults strings.Builder

		render := exec.CommandContext(t.Context(), "groff", "-man", "-Tutf8", "-ww", "-P-cbu", page)
		render.Stderr = &faults

		out, err := render.Output()
		if err != nil || faults.Len() > 0 {
			t.Errorf("%s: %v\n%s", filepath.Base(page), err, faults.String())
		}

		if text := string(out); !strings.Contains(text, "NAME") || strings.Contains(text, `\[u`) || strings.Contains(text, `\fB`) {
			t.Errorf("%s renders as\n%s", filepath.Base(page), text)
		}
	}
}

// What the program knows of a command, a flag or a key stands in the pages.
func TestTheManualPagesSayAll(t *testing.T) {
	root := newRoot(io.Discard, io.Discard)

	var all strings.Builder
	for _, page := range manPages(root) {
		all.WriteString(page.Text)
	}

	plain := strings.NewReplacer(`\-`, "-", `\(aq`, "'").Replace(all.String())

	cli, err := os.ReadFile(filepath.Join("..", "..", "docs", "cli.md"))
	if err != nil {
		t.Fatal(err)
	}

	for _, found := range regexp.MustCompile("(?m)^\\| `(-[^`]*)`").FindAllStringSubmatch(string(cli), -1) {
		if !strings.Contains(plain, `\fB`+found[1]) {
			t.Errorf("no word of the flag %s", found[1])
		}
	}

	for _, s := range append(settings(), lists()...) {
		if !strings.Contains(plain, `\fB`+s.key+`\fR`) {
			t.Errorf("no word of the key %s", s.key)
		}
	}
}

func TestTextInAManualPageStaysText(t *testing.T) {
	r := &roff{}
	r.words(".so /etc/passwd\n'br\na\\fB-b…")

	if want := `\&.so /etc/passwd` + "\n" + `\&\(aqbr` + "\n" + `a\efB\-b\[u2026]`; r.String() != want {
		t.Errorf("%q", r.String())
	}
}
