//go:build e2e

package store_test

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"vetting/core"
	"vetting/store"
)

// mount makes a small ext4 disk in a file. Only root may.
func mount(t *testing.T, image string) (dir string) {
	t.Helper()

	if os.Geteuid() != 0 {
		t.Skip("only root may mount a disk")
	}

	dir = t.TempDir()

	if out, err := exec.CommandContext(t.Context(), "mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
		t.Skipf("no loop devices here: %s", out)
	}

	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil { //nolint:noctx // the test's context has ended
			t.Errorf("umount: %s", out)
		}
	})

	return dir
}

func format(t *testing.T, size int64) (image string) {
	t.Helper()

	image = filepath.Join(t.TempDir(), "disk.img")

	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, size)); err != nil {
		t.Fatal(err)
	}

	if out, err := exec.CommandContext(t.Context(), "mkfs.ext4", "-q", "-F", image).CombinedOutput(); err != nil {
		t.Skipf("no mkfs.ext4 here: %s", out)
	}

	return image
}

// random is a text that does not compress.
func random(t *testing.T, size int) string {
	t.Helper()

	raw := make([]byte, size/2)
	if _, err := io.ReadFull(rand.Reader, raw); err != nil {
		t.Fatal(err)
	}

	return hex.EncodeToString(raw)
}

// TestAFullDiskIsSurvived fills a disk of 160 MB, with and without the process
// that fills it being the ledger's own. Badger by itself dies of SIGBUS here and
// again at each start.
func TestAFullDiskIsSurvived(t *testing.T) {
	dir := mount(t, format(t, 160<<20))
	cfg := store.Config{Dir: filepath.Join(dir, "data"), Small: true, Reserve: 64 << 20, Ballast: 16 << 20}

	s, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}

	acked := map[uint64]string{}

	var full error
	for n := uint64(0); full == nil && n < 4000; n++ {
		text := random(t, 60<<10)

		_, full = s.Update(t.Context(), func(txn core.Txn) error {
			return errors.Join(txn.Put(core.TableSetting, keyOf(n), text), txn.Emit(core.Event{Run: "R1"}))
		})
		if full == nil {
			acked[n] = text[:64]
		}
	}

	t.Logf("%d updates of 60 KiB were taken before: %v", len(acked), full)

	if !errors.Is(full, core.ErrFull) || len(acked) < 100 {
		t.Fatalf("after %d updates: %v", len(acked), full)
	}

	expectAll(t, s, acked)

	if err := s.Close(); err != nil {
		t.Errorf("Close on a full disk: %v", err)
	}

	// Somebody else takes nearly all that was reserved.
	hog := filepath.Join(dir, "hog")
	fillUpTo(t, dir, hog, 18<<20)

	if s, err = store.Open(t.Context(), cfg); err != nil {
		t.Fatalf("opening on a full disk: %v", err)
	}

	if _, err := os.Stat(filepath.Join(cfg.Dir, "BALLAST")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the ballast was not given up: %v", err)
	}

	if _, err := s.Update(t.Context(), write(1)); !errors.Is(err, core.ErrFull) {
		t.Errorf("an update on a full disk: %v", err)
	}

	expectAll(t, s, acked)

	if err := os.Remove(hog); err != nil {
		t.Fatal(err)
	}

	for n := range acked {
		if n%2 == 0 {
			continue
		}

		delete(acked, n)

		_, err := s.Update(t.Context(), func(txn core.Txn) error { return txn.Delete(core.TableSetting, keyOf(n)) })
		if err != nil && !errors.Is(err, core.ErrFull) {
			t.Fatalf("making room: %v", err)
		}
	}

	if err := s.Close(); err != nil {
		t.Error(err)
	}

	open(t, cfg)
}

func expectAll(t *testing.T, s *store.Store, acked map[uint64]string) {
	t.Helper()

	if _, err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}

	err := s.View(t.Context(), func(r core.Reader) error {
		for n, begins := range acked {
			var text string
			if err := r.Get(core.TableSetting, keyOf(n), &text); err != nil || !strings.HasPrefix(text, begins) {
				t.Errorf("update %d was acknowledged and is lost: %v", n, err)
			}
		}

		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// fillUpTo writes a file until the disk has so much left.
func fillUpTo(t *testing.T, dir, path string, left int64) {
	t.Helper()

	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()

	for {
		space, err := store.SpaceOf(dir)
		if err != nil {
			t.Fatal(err)
		}

		if space.Free <= left {
			return
		}

		if _, err := f.Write(make([]byte, min(1<<20, space.Free-left+4096))); err != nil {
			t.Fatal(err)
		}

		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	cutsVar = "VETTING_POWER_CUTS" // cuts of the campaign; 6 without it
	cutsOf  = 20                   // as many as are made with one disk
)

// TestAPowerCutLosesNothing kills a writer and keeps of its disk only what had
// reached the device by then: a copy of the file behind the loop device, which
// the pages that the kernel had not written yet are not in.
func TestAPowerCutLosesNothing(t *testing.T) {
	cuts := 6
	if text := os.Getenv(cutsVar); text != "" {
		var err error
		if cuts, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}

	rng := mrand.New(mrand.NewPCG(20261123, 9))

	for first := 0; first < cuts; first += cutsOf {
		t.Run(fmt.Sprintf("from %d on", first+1), func(t *testing.T) {
			image := format(t, 512<<20)
			dir := mount(t, image)
			acked, next := map[uint64]bool{}, uint64(0)

			for round := range min(cutsOf, cuts-first) {
				for _, n := range killAfter(t, filepath.Join(dir, "data"), next, 50+rng.IntN(500)) {
					acked[n] = true
					next = max(next, n+1)
				}

				next += 100

				t.Run(fmt.Sprintf("cut %d", round+1), func(t *testing.T) {
					cut := filepath.Join(t.TempDir(), "cut.img")
					copyQuietly(t, image, cut)

					events := expectWrites(t, filepath.Join(mount(t, cut), "data"), acked)
					t.Logf("%d acknowledged so far, %d in the ledger after the cut", len(acked), events)
				})
			}
		})
	}
}

// copyQuietly copies the file behind a disk to which nothing is written
// meanwhile; a copy into which something was written is made again.
func copyQuietly(t *testing.T, image, to string) {
	t.Helper()

	for range 50 {
		before := writesTo(t, image)

		if out, err := exec.CommandContext(t.Context(), "cp", "--sparse=always", image, to).CombinedOutput(); err != nil {
			t.Fatalf("cp: %s", out)
		}

		if writesTo(t, image) == before {
			return
		}
	}

	t.Fatal("the disk never came to rest")
}

// writesTo counts the writes to the loop device over a file.
func writesTo(t *testing.T, image string) (fields string) {
	t.Helper()

	out, err := exec.CommandContext(t.Context(), "losetup", "-n", "-O", "NAME", "-j", image).Output()
	if err != nil {
		t.Fatal(err)
	}

	stat, err := os.ReadFile(fmt.Sprintf("/sys/block/%s/stat", filepath.Base(strings.TrimSpace(string(out)))))
	if err != nil {
		t.Fatal(err)
	}

	all := strings.Fields(string(stat))

	return all[4] + " " + all[6] // writes, sectors written
}
