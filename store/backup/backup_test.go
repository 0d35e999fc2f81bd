package backup_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vetting/core"
	"vetting/store"
	"vetting/store/backup"
)

// opened is a data directory with a ledger and some files.
func opened(t *testing.T, dir string) *store.Store {
	t.Helper()

	s, err := store.Open(t.Context(), store.Config{Dir: filepath.Join(dir, "store"), Ballast: -1, Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})

	return s
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()

	at := filepath.Join(dir, name)
	if os.MkdirAll(filepath.Dir(at), 0o700) != nil || os.WriteFile(at, []byte(text), 0o600) != nil {
		t.Fatal("not written")
	}
}

// count writes the n-th of events that belong together: a record and an event in one
// update, so that one without the other is half an update.
func count(ctx context.Context, s *store.Store, worker, n int) error {
	_, err := s.Update(ctx, func(txn core.Txn) error {
		return errors.Join(
			txn.Put(core.TableSetting, fmt.Sprintf("w%d", worker), n),
			txn.Emit(core.Event{Kind: core.EventNotice, Run: core.RunID(fmt.Sprintf("R%d", worker)), Data: fmt.Appendf(nil, "%d", n)}))
	})

	return err
}

func source(s *store.Store, dir string) backup.Source {
	return backup.Source{
		Manifest: backup.Manifest{Made: time.Unix(1700000000, 0).UTC(), Program: "test", Appliance: "a1", Keys: true},
		Ledger:   s, Dir: dir, Folders: []string{"logs", "artifacts", "none"}, Files: []string{"gate.key", "absent.key"},
	}
}

// A backup that is taken while four write restores to a ledger that is whole, in which
// every update is all there or not at all, and in which work goes on.
func TestABackupUnderLoadIsOneMoment(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	s := opened(t, dir)
	put(t, dir, "logs/R1.log", "a line\n")
	put(t, dir, "artifacts/ab/abcd", "a file")
	put(t, dir, "artifacts/incoming/half", "half a file")
	put(t, dir, "gate.key", "a key")

	ctx, stop := context.WithCancel(t.Context())

	var (
		working sync.WaitGroup
		started sync.WaitGroup
	)

	for w := range 4 {
		started.Add(1)
		working.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				if err := count(t.Context(), s, w, n); err != nil {
					t.Error(err)
				}

				if n == 20 {
					started.Done()
				}
			}
		})
	}

	started.Wait()

	var file bytes.Buffer

	made, err := backup.Write(t.Context(), &file, source(s, dir))

	stop()
	working.Wait()

	if err != nil || made.Ledger.Events < 80 || made.Files != 3 {
		t.Fatalf("%+v, %v", made, err)
	}

	seen, err := backup.Verify(t.Context(), bytes.NewReader(file.Bytes()))
	if err != nil || seen != made {
		t.Errorf("verified %+v, %v", seen, err)
	}

	other := t.TempDir()
	if got, err := backup.Restore(t.Context(), bytes.NewReader(file.Bytes()), other, "store"); err != nil || got != made {
		t.Fatalf("restored %+v, %v", got, err)
	}

	for name, want := range map[string]string{"logs/R1.log": "a line\n", "artifacts/ab/abcd": "a file", "gate.key": "a key"} {
		if text, err := os.ReadFile(filepath.Join(other, name)); string(text) != want {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}

	for _, name := range []string{"restoring", "artifacts/incoming"} {
		if _, err := os.Stat(filepath.Join(other, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there (%v)", name, err)
		}
	}

	goesOn(t, other, made)
}

// goesOn opens a restored ledger, looks that no update is there by half, and writes on.
func goesOn(t *testing.T, dir string, made backup.Summary) {
	t.Helper()

	s := opened(t, dir)
	if found, err := s.Verify(t.Context()); err != nil || found.Events != made.Ledger.Events || found.Commits != made.Ledger.Commits {
		t.Errorf("%+v, %v", found, err)
	}

	sum := uint64(0)

	err := s.View(t.Context(), func(r core.Reader) error {
		for w := range 4 {
			n := 0
			if err := r.Get(core.TableSetting, fmt.Sprintf("w%d", w), &n); err != nil {
				return err
			}

			sum += uint64(n)
		}

		return nil
	})
	if err != nil || sum != made.Ledger.Events {
		t.Errorf("records tell of %d events, there are %d (%v)", sum, made.Ledger.Events, err)
	}

	if err := count(t.Context(), s, 0, 1); err != nil {
		t.Error(err)
	}
}

func unpacked(t *testing.T, file []byte) []byte {
	t.Helper()

	in, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}

	text, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}

	return text
}

// Any byte that was changed is told, and so is an end that is missing; neither leaves
// anything behind where it is restored.
func TestDamageOfABackupIsTold(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	s := opened(t, dir)
	put(t, dir, "logs/R1.log", "a line\n")

	for n := range 20 {
		if err := count(t.Context(), s, 0, n+1); err != nil {
			t.Fatal(err)
		}
	}

	var file bytes.Buffer
	if _, err := backup.Write(t.Context(), &file, source(s, dir)); err != nil {
		t.Fatal(err)
	}

	whole := file.Bytes()
	told := 0

	// The head of gzip has bytes that mean nothing: time, system, flags of the compressor.
	for at := 10; at < len(whole); at += 1 + len(whole)/150 {
		bad := bytes.Clone(whole)
		bad[at] ^= 0x10

		// A bit of the compression may mean nothing.
		if _, err := backup.Verify(t.Context(), bytes.NewReader(bad)); err == nil && !bytes.Equal(unpacked(t, bad), unpacked(t, whole)) {
			t.Errorf("byte %d of %d was changed, and nobody noticed", at, len(whole))
		}

		told++
	}

	if told < 100 {
		t.Errorf("only %d bytes were changed", told)
	}

	for _, size := range []int{0, 5, 20, len(whole) / 2, len(whole) - 9, len(whole) - 1} {
		into := t.TempDir()
		if _, err := backup.Restore(t.Context(), bytes.NewReader(whole[:size]), into, "store"); err == nil {
			t.Errorf("%d of %d bytes were restored", size, len(whole))
		}

		if left, err := os.ReadDir(into); err != nil || len(left) > 0 {
			t.Errorf("%d bytes: left %v, %v", size, left, err)
		}
	}
}

// Of a ledger that was damaged before it was packed, it is told what is damaged.
func TestWhatIsDamagedIsTold(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	s := opened(t, dir)

	if err := count(t.Context(), s, 0, 1); err != nil {
		t.Fatal(err)
	}

	var file, bad bytes.Buffer
	if _, err := backup.Write(t.Context(), &file, source(s, dir)); err != nil {
		t.Fatal(err)
	}

	in, pack := tar.NewReader(bytes.NewReader(unpacked(t, file.Bytes()))), gzip.NewWriter(&bad)
	out := tar.NewWriter(pack)

	for {
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}

		content, readErr := io.ReadAll(in)
		if strings.HasPrefix(head.Name, "ledger/") {
			content[len(content)-1] ^= 1 // the checksum of the last record
		}

		if err := errors.Join(err, readErr, out.WriteHeader(head)); err != nil {
			t.Fatal(err)
		}

		if _, err := out.Write(content); err != nil {
			t.Fatal(err)
		}
	}

	if err := errors.Join(out.Close(), pack.Close()); err != nil {
		t.Fatal(err)
	}

	_, err := backup.Verify(t.Context(), &bad)
	if p, ok := errors.AsType[*core.Problem](err); !ok || p.Code != "backup/damaged" || !strings.Contains(p.Message, "before its end: The record") ||
		strings.Contains(p.Message, "restore the newest") {
		t.Errorf("%v", err)
	}
}

// A backup is never restored over data.
func TestDataInTheWayIsKept(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	s := opened(t, dir)

	if err := count(t.Context(), s, 0, 1); err != nil {
		t.Fatal(err)
	}

	var file bytes.Buffer
	if _, err := backup.Write(t.Context(), &file, source(s, dir)); err != nil {
		t.Fatal(err)
	}

	into := t.TempDir()
	put(t, into, "store/HEAD", "mine")

	_, err := backup.Restore(t.Context(), bytes.NewReader(file.Bytes()), into, "store")
	if p, ok := errors.AsType[*core.Problem](err); !ok || p.Code != "backup/data-in-the-way" {
		t.Errorf("%v", err)
	}

	if text, err := os.ReadFile(filepath.Join(into, "store/HEAD")); string(text) != "mine" {
		t.Errorf("%q, %v", text, err)
	}
}

// Of two restores into one folder at the same time the second is refused with what to do,
// and the first is whole all the same.
func TestOneRestoreAtATime(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	s := opened(t, dir)

	if err := count(t.Context(), s, 0, 1); err != nil {
		t.Fatal(err)
	}

	var file bytes.Buffer
	if _, err := backup.Write(t.Context(), &file, source(s, dir)); err != nil {
		t.Fatal(err)
	}

	into := filepath.Join(t.TempDir(), "d")
	slow, feed := io.Pipe()
	ended := make(chan error, 1)

	go func() {
		_, err := backup.Restore(t.Context(), slow, into, "store")
		ended <- errors.Join(err, slow.Close())
	}()

	if _, err := feed.Write(file.Bytes()[:1]); err != nil { // it is at work once it has read that
		t.Fatal(err)
	}

	_, err := backup.Restore(t.Context(), bytes.NewReader(file.Bytes()), into, "store")
	if p, ok := errors.AsType[*core.Problem](err); !ok || p.Code != "backup/restoring" || !strings.Contains(p.Message, into) || !errors.Is(err, core.ErrConflict) {
		t.Errorf("the second: %v", err)
	}

	if _, err := feed.Write(file.Bytes()[1:]); err != nil {
		t.Fatal(err)
	}

	if err := errors.Join(feed.Close(), <-ended); err != nil {
		t.Fatal(err)
	}

	if names, err := os.ReadDir(into); err != nil || len(names) == 0 || names[len(names)-1].Name() != "store" {
		t.Errorf("restored are %v, %v", names, err)
	}

	// Once the first has ended, what it has made is in the way.
	_, err = backup.Restore(t.Context(), bytes.NewReader(file.Bytes()), into, "store")
	if p, ok := errors.AsType[*core.Problem](err); !ok || p.Code != "backup/data-in-the-way" {
		t.Errorf("the third: %v", err)
	}
}

// Whatever somebody hands us as a backup is refused, and harms nothing.
func FuzzVerify(f *testing.F) {
	f.Add([]byte("no backup"))
	f.Add([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := backup.Verify(t.Context(), bytes.NewReader(data)); err == nil {
			t.Error("taken for a backup")
		}
	})
}
