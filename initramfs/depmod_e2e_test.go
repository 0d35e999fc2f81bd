//go:build e2e

package initramfs_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// kmod's own depmod over the modules of the image must come to the same tables.
func TestTablesAgreeWithDepmod(t *testing.T) {
	image := built(t)

	tool, err := exec.LookPath("depmod")
	if err != nil {
		t.Skip("depmod is not installed (package kmod); without it there is nothing to compare with")
	}

	_, entries := segments(t, image)
	root := t.TempDir()
	ours := map[string]string{}

	for _, e := range entries {
		name := filepath.Join(root, filepath.FromSlash(e.Name))

		switch base := filepath.Base(name); {
		case !e.IsRegular():
			err = os.MkdirAll(name, 0o755)
		case base == "modules.dep" || base == "modules.alias" || base == "modules.softdep":
			ours[base] = string(e.Data)
		default:
			err = os.WriteFile(name, e.Data, 0o600)
		}

		if err != nil {
			t.Fatal(err)
		}
	}

	if text, err := exec.CommandContext(t.Context(), tool, "-b", root, image.KernelVersion).CombinedOutput(); err != nil {
		t.Fatalf("depmod: %v: %s", err, text)
	}

	for base, text := range ours {
		theirs, err := os.ReadFile(filepath.Join(root, "lib/modules", image.KernelVersion, base))
		if err != nil {
			t.Fatal(err)
		}

		if diff := cmp.Diff(lines(string(theirs)), lines(text)); diff != "" {
			t.Errorf("%s (- depmod, + ours): %s", base, diff)
		}
	}
}

// lines are the lines of a table without comments, sorted, and without repeats;
// the order of what a module needs is a free choice, so it is sorted as well.
func lines(text string) []string {
	set := map[string]bool{}

	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if file, needs, ok := strings.Cut(line, ".ko.xz:"); ok {
			line = file + ": " + strings.Join(slices.Sorted(strings.FieldsSeq(needs)), " ")
		}

		if !strings.HasPrefix(line, "#") {
			set[line] = true
		}
	}

	return slices.Sorted(maps.Keys(set))
}
