package store_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"vetting/store"
)

// fork copies all files below dir that this process has open, as a child has them from
// its fork until its exec: locks on them last until it has let go of them, too.
func fork(t *testing.T, dir string) {
	t.Helper()

	const open = "/proc/self/fd"

	files, err := os.ReadDir(open)
	if err != nil {
		t.Fatal(err)
	}

	copies := 0

	for _, f := range files {
		if at, err := os.Readlink(filepath.Join(open, f.Name())); err != nil || !strings.HasPrefix(at, dir) {
			continue
		}

		number, err := strconv.Atoi(f.Name())
		if err != nil {
			t.Fatal(err)
		}

		if number, err = syscall.Dup(number); err != nil {
			continue // closed meanwhile
		}

		copies++

		t.Cleanup(func() { _ = syscall.Close(number) })
	}

	if copies == 0 {
		t.Error("nothing of the ledger was open")
	}
}

// A ledger is opened again at once, whatever child was born while it was open: on a busy
// machine it may be long before a child lets go of what it was born with.
func TestAChildThatIsBornMeanwhileKeepsNoLedgerShut(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()

	for range 2 {
		s, err := store.Open(t.Context(), small(dir))
		if err != nil {
			t.Fatal(err)
		}

		fork(t, dir)

		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// So is one that is being restored, which is opened to be filled and then to be proved.
func TestAChildThatIsBornMeanwhileDoesNotDamageWhatIsRestored(t *testing.T) {
	t.Parallel()

	s := open(t, small(t.TempDir()))
	writeMany(t, s, 0, 40)

	var copied bytes.Buffer

	made, err := s.Copy(t.Context(), &copied)
	if err != nil {
		t.Fatal(err)
	}

	dir := t.TempDir()

	restored, err := store.Restore(t.Context(), dir, made.Schema, &whileRead{Buffer: copied, do: func() { fork(t, dir) }})
	if err != nil || restored != made {
		t.Errorf("%+v of %+v, %v", restored, made, err)
	}
}

// whileRead does something once when it begins to be read.
type whileRead struct {
	bytes.Buffer

	do func()
}

func (w *whileRead) ReadByte() (byte, error) {
	if w.do != nil {
		w.do()
		w.do = nil
	}

	return w.Buffer.ReadByte()
}
