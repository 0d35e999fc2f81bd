package store_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"vetting/core"
	"vetting/store"
)

// fill makes a ledger with n writes and closes it.
func fill(t *testing.T, dir string, n uint64) {
	t.Helper()

	s, err := store.Open(t.Context(), small(dir))
	if err != nil {
		t.Fatal(err)
	}

	writeMany(t, s, 0, n)

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// writeMany makes n writes numbered from first, many at once.
func writeMany(t *testing.T, s *store.Store, first, n uint64) {
	t.Helper()

	var wg sync.WaitGroup

	for w := range min(n, 16) {
		wg.Go(func() {
			for i := w; i < n; i += 16 {
				if _, err := s.Update(t.Context(), write(first+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}

	wg.Wait()
}

// expectProblem wants a problem with a code whose sentence names something.
func expectProblem(t *testing.T, err error, code, names string) {
	t.Helper()

	var problem *core.Problem
	if !errors.As(err, &problem) || problem.Code != code || !strings.Contains(problem.Message, names) {
		t.Errorf("got %v, want %s naming %s", err, code, names)
	}
}

func TestOneDirectoryHasOneOwner(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	open(t, small(dir))

	_, err := store.Open(t.Context(), small(dir))
	expectProblem(t, err, "store/locked", dir)

	err = store.Check(t.Context(), dir)
	expectProblem(t, err, "store/locked", dir)
}

func TestWhatIsWrongWithTheConfigIsSaid(t *testing.T) {
	t.Parallel()

	_, err := store.Open(t.Context(), store.Config{Reserve: -1})
	if err == nil || !strings.Contains(err.Error(), "store.dir") || !strings.Contains(err.Error(), "store.reserve") {
		t.Errorf("got %v", err)
	}
}

func TestCheckOfWholeLedgers(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()

	if err := store.Check(t.Context(), dir); err != nil {
		t.Errorf("an empty directory: %v", err)
	}

	fill(t, dir, 50)

	before := namesIn(t, dir)

	if err := store.Check(t.Context(), dir); err != nil {
		t.Errorf("a closed ledger: %v", err)
	}

	if after := namesIn(t, dir); before != after {
		t.Errorf("Check changed the directory from\n%s\nto\n%s", before, after)
	}
}

func namesIn(t *testing.T, dir string) (names string) {
	t.Helper()

	files, err := filepath.Glob(filepath.Join(dir, "ledger", "*"))
	if err != nil {
		t.Fatal(err)
	}

	return strings.Join(files, "\n")
}

func TestMissingFilesAreNamed(t *testing.T) {
	t.Parallel()

	for _, c := range []struct{ name, glob, code string }{
		{"a table", "ledger/*.sst", "store/damaged"},
		{"the manifest", "ledger/MANIFEST", "store/damaged"},
		{"the high-water mark", "HEAD", "store/damaged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()

			dir := t.TempDir()
			fill(t, dir, 50)

			paths, err := filepath.Glob(filepath.Join(dir, c.glob))
			if err != nil || len(paths) == 0 {
				t.Fatalf("%q, %v", paths, err)
			}

			if err := os.Remove(paths[0]); err != nil {
				t.Fatal(err)
			}

			_, err = store.Open(t.Context(), small(dir))
			expectProblem(t, err, c.code, filepath.Base(paths[0]))

			expectProblem(t, store.Check(t.Context(), dir), c.code, filepath.Base(paths[0]))
		})
	}
}

// A kill between the making of a log's file and its first write leaves a name and
// nothing else.
func TestALogThatWasNotBegunIsNoDamage(t *testing.T) {
	t.Parallel()

	for _, name := range []string{"00099.mem", "000099.vlog"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			dir := t.TempDir()
			fill(t, dir, 50)

			want := dumpCopy(t, dir)

			if err := os.WriteFile(filepath.Join(dir, "ledger", name), nil, 0o600); err != nil {
				t.Fatal(err)
			}

			if err := store.Check(t.Context(), dir); err != nil {
				t.Error(err)
			}

			if got := dump(t, open(t, small(dir))); got != want {
				t.Error("what was acknowledged is not there")
			}
		})
	}
}

// killedWithoutLog is a ledger whose acknowledged writes are gone: the log that
// held them was lost after a kill.
func killedWithoutLog(t *testing.T) (dir string) {
	t.Helper()

	live, dir := t.TempDir(), t.TempDir()
	fill(t, live, 50)

	s := open(t, small(live))

	for n := range uint64(10) {
		if _, err := s.Update(t.Context(), write(100+n)); err != nil {
			t.Fatal(err)
		}
	}

	copyTree(t, live, dir)

	logs, err := filepath.Glob(filepath.Join(dir, "ledger", "*.mem"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}

	for _, log := range logs {
		if err := os.Remove(log); err != nil {
			t.Fatal(err)
		}
	}

	return dir
}

func TestLostWritesAreNoticedAndCanBeAccepted(t *testing.T) {
	t.Parallel()

	dir := killedWithoutLog(t)

	_, err := store.Open(t.Context(), small(dir))
	expectProblem(t, err, "store/writes-lost", "10 commits")

	cfg := small(dir)
	cfg.AcceptLoss = true

	s, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}

	err = s.View(t.Context(), func(r core.Reader) error {
		events, err := r.Events(50, 0)
		if len(events) != 1 || events[0].Kind != core.EventNotice || !bytes.Contains(events[0].Data, []byte("loss-accepted")) {
			t.Errorf("the ledger goes on with %+v", events)
		}

		told := ""
		scanned := r.Scan(core.TableAudit, core.Query{}, func(_ string, decode func(any) error) error {
			var a core.Audit
			err := decode(&a)
			told += a.Who + " " + a.Action + ": " + a.Text + "\n"

			return err
		})

		if told != "local store.accept-loss: went on without 10 lost commits\n" {
			t.Errorf("the audit trail says %q", told)
		}

		return errors.Join(err, scanned)
	})
	if err != nil {
		t.Error(err)
	}

	if err := s.Close(); err != nil {
		t.Error(err)
	}

	open(t, small(dir)) // and from now on all is well
}

func TestANewerSchemaIsRefused(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()

	s, err := store.Open(t.Context(), store.WithSchema(small(dir), 7, map[uint16]func(context.Context, *badger.DB) error{}))
	if err != nil {
		t.Fatal(err)
	}

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	_, err = store.Open(t.Context(), small(dir))
	expectProblem(t, err, "store/newer-schema", "schema 7")
	expectProblem(t, store.Check(t.Context(), dir), "store/newer-schema", "schema 7")
}

// TestAnOlderSchemaIsBroughtUp opens a ledger of today with a program whose
// schema is two further. The first step fails halfway the first time.
func TestAnOlderSchemaIsBroughtUp(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	fill(t, dir, 20)

	var (
		taken  []uint16
		broken = errors.New("the power went")
		fail   = broken
	)

	steps := map[uint16]func(context.Context, *badger.DB) error{
		1: func(_ context.Context, db *badger.DB) error {
			taken = append(taken, 1)

			return errors.Join(fail, rename(db, "t/setting/000000000003", "t/setting/three"))
		},
		2: func(context.Context, *badger.DB) error {
			taken = append(taken, 2)

			return nil
		},
	}

	if _, err := store.Open(t.Context(), store.WithSchema(small(dir), 3, steps)); !errors.Is(err, broken) {
		t.Fatalf("a step that fails: %v", err)
	}

	fail = nil

	for range 2 {
		s, err := store.Open(t.Context(), store.WithSchema(small(dir), 3, steps))
		if err != nil {
			t.Fatal(err)
		}

		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}

	if len(taken) != 3 || taken[0] != 1 || taken[1] != 1 || taken[2] != 2 {
		t.Errorf("steps taken: %v", taken)
	}

	_, err := store.Open(t.Context(), small(dir))
	expectProblem(t, err, "store/newer-schema", "schema 3")

	// The ledger as it was opens with the program as it was.
	old := t.TempDir()
	copyTree(t, filepath.Join(dir, "before-schema-3"), filepath.Join(old, "ledger"))
	copyTree(t, filepath.Join(dir, "HEAD"), filepath.Join(old, "HEAD"))

	s := open(t, small(old))

	if _, err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}

	err = s.View(t.Context(), func(r core.Reader) error {
		return r.Get(core.TableSetting, keyOf(3), &note{})
	})
	if err != nil {
		t.Errorf("the copy: %v", err)
	}
}

// Where the copy of the ledger as it was does not fit, the ledger stays as it was, and the
// program that wrote it still opens it.
func TestAnOlderSchemaWaitsForRoomForTheCopy(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	fill(t, dir, 20)

	var (
		taken int
		room  int64
	)

	cfg := store.WithSchema(small(dir), 2, map[uint16]func(context.Context, *badger.DB) error{1: func(context.Context, *badger.DB) error {
		taken++

		return nil
	}})
	cfg.Reserve = 1 << 20
	cfg = store.WithSpace(cfg, func() (store.Space, error) { return store.Space{Free: room, Total: 1 << 40}, nil })

	room = cfg.Reserve // which is to stay free, so that nothing is left for the copy

	_, err := store.Open(t.Context(), cfg)
	expectProblem(t, err, "store/full", dir)

	for _, name := range []string{"before-schema-2", "before-schema-2.tmp"} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) || taken != 0 {
			t.Errorf("%s: %v, after %d steps", name, err, taken)
		}
	}

	s, err := store.Open(t.Context(), small(dir))
	if err != nil {
		t.Fatalf("the program before: %v", err)
	}

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	room = 1 << 40

	s, err = store.Open(t.Context(), cfg)
	if err != nil || taken != 1 {
		t.Fatalf("with room: %v, after %d steps", err, taken)
	}

	if err := s.Close(); err != nil {
		t.Error(err)
	}

	if _, err := os.Stat(filepath.Join(dir, "before-schema-2")); err != nil {
		t.Error(err)
	}
}

func rename(db *badger.DB, from, to string) error {
	return db.Update(func(txn *badger.Txn) error {
		item, err := txn.Get([]byte(from))
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil // done before
		}

		if err != nil {
			return err
		}

		value, err := item.ValueCopy(nil)
		if err != nil {
			return err
		}

		return errors.Join(txn.Set([]byte(to), value), txn.Delete([]byte(from)))
	})
}

// TestAStepThatIsMissingIsSaid opens what a program before the first release wrote: Badger
// without a schema. There is no step from there, and that is said.
func TestAStepThatIsMissingIsSaid(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()

	db, err := badger.Open(badger.DefaultOptions(filepath.Join(dir, "ledger")).WithLogger(nil))
	if err != nil {
		t.Fatal(err)
	}

	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	_, err = store.Open(t.Context(), small(dir))
	expectProblem(t, err, "store/damaged", "no step leads from schema 0")
	expectProblem(t, store.Check(t.Context(), dir), "store/damaged", "no step leads from schema 0")
}
