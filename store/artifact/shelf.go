package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"vetting/core"
)

// ErrDamaged is the kind of a Problem that says: the file is not what was kept.
var ErrDamaged = errors.New("the artifact is damaged")

// Config says where artifacts are kept.
type Config struct {
	Dir string // a directory of its own; made when it is missing
	// Room is asked before a file is taken and returns why there is no room for
	// it (store.Store.RoomForLogs). nil: there always is.
	Room func() error
	// Step is told of every step of a write before it is taken, for tests that end the
	// process there. nil: nobody is.
	Step func(step string)
}

// Shelf is a directory of files named by their content: ab/abcdef…. Safe for
// concurrent use.
type Shelf struct {
	cfg    Config
	naming sync.Mutex // held while a file gets its name or loses it
}

const (
	halfName = "incoming" // where files lie until they are whole
	hexSize  = 2 * sha256.Size
)

// Open makes the directory and clears away what an earlier process left
// half-written.
func Open(cfg Config) (*Shelf, error) {
	if cfg.Dir == "" {
		return nil, core.NewProblem(core.ErrInvalid, "artifact/no-directory", "Name a directory for the artifacts.")
	}

	if cfg.Step == nil {
		cfg.Step = func(string) {}
	}

	half := filepath.Join(cfg.Dir, halfName)
	if err := os.RemoveAll(half); err != nil {
		return nil, fmt.Errorf("clearing %s: %w", half, err)
	}

	if err := os.MkdirAll(half, 0o700); err != nil {
		return nil, fmt.Errorf("making %s: %w", half, err)
	}

	return &Shelf{cfg: cfg}, nil
}

// KeepArtifact takes a file of up to limit bytes. When it returns nil, the file
// survives a power cut. core.ErrInvalid for a larger file, core.ErrFull when
// there is no room; neither leaves anything.
func (s *Shelf) KeepArtifact(ctx context.Context, body io.Reader, limit int64) (sum string, size int64, err error) {
	if s.cfg.Room != nil {
		if err := s.cfg.Room(); err != nil {
			return "", 0, err
		}
	}

	half, err := os.CreateTemp(filepath.Join(s.cfg.Dir, halfName), "")
	if err != nil {
		return "", 0, full(fmt.Errorf("opening a file for the artifact: %w", err))
	}

	defer func() {
		// Gone already when all went well.
		if gone := os.Remove(half.Name()); gone != nil && !errors.Is(gone, os.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}()

	sum, size, err = fill(ctx, half, body, limit)
	if err != nil {
		return "", 0, full(err)
	}

	s.cfg.Step("name the artifact")

	if err := s.shelve(half.Name(), sum); err != nil {
		return "", 0, full(err)
	}

	return sum, size, nil
}

// fill copies body into f, which is synced and closed on return.
func fill(ctx context.Context, f *os.File, body io.Reader, limit int64) (sum string, size int64, err error) {
	defer func() { err = errors.Join(err, f.Close()) }()

	whole := sha256.New()

	size, err = io.Copy(io.MultiWriter(f, whole), io.LimitReader(patient{ctx, body}, limit+1))
	if err != nil {
		return "", 0, fmt.Errorf("writing the artifact: %w", err)
	}

	if size > limit {
		return "", 0, core.NewProblem(core.ErrInvalid, "artifact/too-large", fmt.Sprintf(
			"The artifact is larger than %d KiB, which is the most that is kept. Send a smaller one.", limit>>10)).With("limit_bytes", limit)
	}

	if err := f.Sync(); err != nil {
		return "", 0, fmt.Errorf("syncing the artifact: %w", err)
	}

	return hex.EncodeToString(whole.Sum(nil)), size, nil
}

// patient ends a copy when its context ends.
type patient struct {
	ctx  context.Context //nolint:containedctx // io.Reader has no room for it
	body io.Reader
}

func (p patient) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}

	return p.body.Read(b)
}

// shelve gives a whole file its name. The same content kept twice is one file.
func (s *Shelf) shelve(half, sum string) error {
	path := s.path(sum)

	if err := os.Mkdir(filepath.Dir(path), 0o700); err == nil {
		if err := syncDir(s.cfg.Dir); err != nil {
			return err
		}
	} else if !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("making a directory for the artifact: %w", err)
	}

	if err := s.rename(half, path); err != nil {
		return fmt.Errorf("naming the artifact: %w", err)
	}

	s.cfg.Step("keep the artifact's name")

	return syncDir(filepath.Dir(path))
}

func (s *Shelf) rename(half, path string) error {
	s.naming.Lock()
	defer s.naming.Unlock()

	return os.Rename(half, path)
}

func (s *Shelf) path(sum string) string { return filepath.Join(s.cfg.Dir, sum[:2], sum) }

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("syncing %s: %w", dir, err)
	}

	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("syncing %s: %w", dir, err)
	}

	return nil
}

// full gives an error of a full disk its kind.
func full(err error) error {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return err
	}

	return core.NewProblem(core.ErrFull, "artifact/disk-full", "The disk for artifacts is full. Free some space; nothing of this file was kept.")
}

// OpenArtifact opens a kept file. The reader returned checks the content as it
// is read and ends in a Problem of kind ErrDamaged, instead of io.EOF, when it is
// not what was kept. The caller closes it. core.ErrNotFound when there is none.
func (s *Shelf) OpenArtifact(ctx context.Context, sum string) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}

	if !isSum(sum) {
		return nil, notFound()
	}

	f, err := os.Open(s.path(sum))
	if errors.Is(err, os.ErrNotExist) {
		return nil, notFound()
	}

	if err != nil {
		return nil, fmt.Errorf("opening artifact %s: %w", sum, err)
	}

	return &checked{file: f, sum: sum, seen: sha256.New()}, nil
}

func notFound() error {
	return core.NewProblem(core.ErrNotFound, "artifact/not-found", "There is no such artifact; it may have expired.")
}

// isSum keeps everything but a lower-case SHA-256 away from the file system.
func isSum(sum string) bool {
	if len(sum) != hexSize {
		return false
	}

	for _, c := range []byte(sum) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}

	return true
}

// checked hashes what it reads.
type checked struct {
	file *os.File
	sum  string
	seen hash.Hash
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.file.Read(p)
	c.seen.Write(p[:n])

	if errors.Is(err, io.EOF) && hex.EncodeToString(c.seen.Sum(nil)) != c.sum {
		return n, core.NewProblem(ErrDamaged, "artifact/damaged", fmt.Sprintf(
			"The artifact %s is not what was kept: the disk has changed it. Take it from a backup.", c.sum))
	}

	return n, err
}

func (c *checked) Close() error { return c.file.Close() }
