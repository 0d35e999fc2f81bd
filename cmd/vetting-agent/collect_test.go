package main

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// TestCollect records the machine that the test runs on, whatever it is and as
// whoever runs it.
func TestCollect(t *testing.T) {
	file := filepath.Join(t.TempDir(), "host.tar.zst")

	var out, errs bytes.Buffer
	if code := record(t.Context(), []string{"--out", file, "--scrub", "--scrub-key", "a key"}, &out, &errs); code != 0 || out.Len() > 0 {
		t.Fatalf("code %d: %s%s", code, &errs, &out)
	}

	if !strings.Contains(errs.String(), "in "+file) {
		t.Errorf("it says %s", &errs)
	}

	archive, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()

	plain, err := zstd.NewReader(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()

	names := map[string]int{}

	for in := tar.NewReader(plain); ; {
		header, err := in.Next()
		if err == io.EOF {
			break
		}

		if err != nil {
			t.Fatal(err)
		}

		names[filepath.Base(header.Name)] = int(header.Size)
	}

	if names["tree"] < 1000 || names["origin"] == 0 || names["ports.json"] == 0 {
		t.Errorf("in the archive: %v", names)
	}
}

func TestCollectRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"too many words":     {[]string{"host.tar.zst"}, 2, ""},
		"an unknown flag":    {[]string{"--quick"}, 2, "Usage"},
		"nowhere to write":   {[]string{"--out", filepath.Join(t.TempDir(), "not", "there")}, 1, "writing recording"},
		"standard output is": {[]string{"--out", "-"}, 1, "writing recording"},
	} {
		var errs bytes.Buffer
		if code := record(t.Context(), c.args, full{}, &errs); code != c.code || !strings.Contains(errs.String(), c.says) {
			t.Errorf("%s: code %d, %s", name, code, &errs)
		}
	}
}

// full is an output that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
