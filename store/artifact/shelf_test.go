package artifact_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"vetting/core"
	"vetting/store/artifact"
)

func open(t *testing.T, cfg artifact.Config) *artifact.Shelf {
	t.Helper()

	s, err := artifact.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}

	return s
}

func sumOf(content []byte) string {
	sum := sha256.Sum256(content)

	return hex.EncodeToString(sum[:])
}

// filesIn lists the files below dir.
func filesIn(t *testing.T, dir string) (files []string) {
	t.Helper()

	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}

		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	return files
}

func read(t *testing.T, s *artifact.Shelf, sum string) ([]byte, error) {
	t.Helper()

	f, err := s.OpenArtifact(t.Context(), sum)
	if err != nil {
		return nil, err
	}
	defer f.Close()

	return io.ReadAll(f)
}

func TestWhatIsKeptComesBackAfterARestart(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	s := open(t, artifact.Config{Dir: dir})

	for _, content := range [][]byte{nil, []byte("dmesg"), bytes.Repeat([]byte("x"), 1<<20)} {
		sum, size, err := s.KeepArtifact(t.Context(), bytes.NewReader(content), 1<<20)
		if err != nil || sum != sumOf(content) || size != int64(len(content)) {
			t.Fatalf("KeepArtifact of %d bytes = %s, %d, %v", len(content), sum, size, err)
		}

		got, err := read(t, open(t, artifact.Config{Dir: dir}), sum)
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes came back as %d, %v", len(content), len(got), err)
		}
	}
}

func TestTheSameContentIsOneFile(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	s := open(t, artifact.Config{Dir: dir})

	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, _, err := s.KeepArtifact(t.Context(), strings.NewReader("same"), 10); err != nil {
				t.Error(err)
			}
		})
	}

	wg.Wait()

	if files := filesIn(t, dir); len(files) != 1 {
		t.Errorf("files: %q", files)
	}
}

func TestWhatFailsLeavesNothing(t *testing.T) {
	t.Parallel()

	broken := errors.New("the line went dead")
	full := core.NewProblem(core.ErrFull, "test/full", "Full.")
	ended, cancel := context.WithCancel(t.Context())

	cancel()

	for _, c := range []struct {
		name string
		ctx  context.Context
		room error
		body io.Reader
		want error
	}{
		{"a body one byte over the limit", t.Context(), nil, strings.NewReader("12345678901"), core.ErrInvalid},
		{"an endless body", t.Context(), nil, endless{}, core.ErrInvalid},
		{"a body that breaks off", t.Context(), nil, io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)), broken},
		{"an ended context", ended, nil, strings.NewReader("abc"), context.Canceled},
		{"a full disk", t.Context(), full, strings.NewReader("abc"), core.ErrFull},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()

			dir := t.TempDir()
			s := open(t, artifact.Config{Dir: dir, Room: func() error { return c.room }})

			if _, _, err := s.KeepArtifact(c.ctx, c.body, 10); !errors.Is(err, c.want) {
				t.Errorf("KeepArtifact: %v, want %v", err, c.want)
			}

			if files := filesIn(t, dir); len(files) != 0 {
				t.Errorf("files are left: %q", files)
			}
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestNamesThatAreNoSumsNeverReachTheDisk(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	s := open(t, artifact.Config{Dir: filepath.Join(dir, "shelf")})

	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}

	for _, name := range []string{"", "../secret", "../../etc/passwd", strings.Repeat("../", 21) + "x", strings.Repeat("A", 64), strings.Repeat("0", 64), "\x00"} {
		if _, err := read(t, s, name); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("OpenArtifact(%q): %v", name, err)
		}
	}
}

func TestAChangedByteIsLoud(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	s := open(t, artifact.Config{Dir: dir})
	content := bytes.Repeat([]byte("evidence "), 1000)

	sum, _, err := s.KeepArtifact(t.Context(), bytes.NewReader(content), 1<<20)
	if err != nil {
		t.Fatal(err)
	}

	path := filesIn(t, dir)[0]

	for _, at := range []int{0, len(content) / 2, len(content) - 1} {
		changed := bytes.Clone(content)
		changed[at] ^= 1

		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}

		if _, err := read(t, s, sum); !errors.Is(err, artifact.ErrDamaged) {
			t.Errorf("byte %d changed: %v", at, err)
		}
	}

	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}

	if _, err := read(t, s, sum); !errors.Is(err, artifact.ErrDamaged) {
		t.Errorf("cut short: %v", err)
	}
}

func TestOpeningClearsHalfFiles(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	open(t, artifact.Config{Dir: dir})

	half := filepath.Join(dir, "incoming", "123")
	if err := os.WriteFile(half, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}

	open(t, artifact.Config{Dir: dir})

	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a file is left: %v", err)
	}
}
