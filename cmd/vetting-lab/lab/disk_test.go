//go:build linux

package lab_test

import (
	"os"
	"path/filepath"
	"testing"

	"vetting/cmd/vetting-lab/lab"
)

func TestFingerprintShowsEveryWrite(t *testing.T) {
	const size = 1 << 40

	for name, write := range map[string]struct {
		at   int64
		data []byte
	}{
		"a bit in the boot sector":     {300, []byte{1}},
		"a byte far out":               {size - 1, []byte{0xff}},
		"zeros where there was data":   {8 << 20, make([]byte, 4096)},
		"zeros where there was a hole": {size / 2, make([]byte, 1<<20)},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "disk")
			if err := (lab.Disk{Serial: "S1", Bytes: size}).Create(path); err != nil {
				t.Fatal(err)
			}

			before := print(t, path)
			if again := print(t, path); again != before {
				t.Fatal("the fingerprint changes by itself")
			}

			file, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}

			if _, err := file.WriteAt(write.data, write.at); err != nil {
				t.Fatal(err)
			}

			if err := file.Close(); err != nil {
				t.Fatal(err)
			}

			if print(t, path) == before {
				t.Error("the write does not show")
			}
		})
	}
}

func print(t *testing.T, path string) string {
	t.Helper()

	sum, err := lab.Fingerprint(path)
	if err != nil {
		t.Fatal(err)
	}

	return sum
}

func TestDirectoryOfADeadLabIsAbandonedAndALivingOnesIsNot(t *testing.T) {
	dir := t.TempDir()

	for pid, want := range map[string]bool{"1": false, "4194303": true, "none": false} {
		if got := lab.Abandoned(dir, pid, 10); got != want {
			t.Errorf("abandoned by %s: %t", pid, got)
		}
	}

	// A pid that was given to another process since: this one is younger than a
	// file of long ago.
	old := filepath.Join(dir, "old")
	if err := os.WriteFile(old, nil, 0o600); err != nil {
		t.Fatal(err)
	}

	self, err := os.Stat("/proc/self")
	if err != nil {
		t.Skip(err)
	}

	if err := os.Chtimes(old, self.ModTime(), self.ModTime().AddDate(-1, 0, 0)); err != nil {
		t.Fatal(err)
	}

	pid, err := os.Readlink("/proc/self")
	if err != nil {
		t.Fatal(err)
	}

	if !lab.Abandoned(old, pid, 10) || lab.Abandoned(dir, pid, 10) {
		t.Error("a reused pid is taken for the owner, or the owner for a reused pid")
	}
}
