package operator

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A device or pipe that a person names with --to is written to. Root who named /dev/null
// had a file in its place.
func TestWhatIsNoFileKeepsItsPlace(t *testing.T) {
	t.Parallel()

	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}

	reader, err := os.OpenFile(pipe, os.O_RDWR, 0) // opened for both it waits for nobody
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = reader.Close() })

	if err := writeFile(pipe, strings.NewReader("the report")); err != nil {
		t.Fatal(err)
	}

	if at, err := os.Lstat(pipe); err != nil || at.Mode().Type() != os.ModeNamedPipe {
		t.Fatalf("a file stands in the place of the pipe: %v %v", at.Mode(), err)
	}

	got := make([]byte, len("the report"))
	if _, err := io.ReadFull(reader, got); err != nil || string(got) != "the report" {
		t.Errorf("%q %v", got, err)
	}
}

func TestAFolderIsNoFileToWrite(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()

	var exit *Exit
	if err := writeFile(dir, strings.NewReader("x")); !errors.As(err, &exit) || exit.Code != Usage {
		t.Errorf("%v", err)
	}

	if left, err := filepath.Glob(dir + "*"); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
