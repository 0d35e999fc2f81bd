package artifact

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Kept is a file as it lies on the shelf.
type Kept struct {
	SHA256   string
	Bytes    int64
	Modified time.Time // when the same content was last brought
}

// List returns the files on the shelf, in the order of their names. What lies
// there under other names is not ours and not listed.
func (s *Shelf) List(ctx context.Context) ([]Kept, error) {
	paths, err := filepath.Glob(filepath.Join(s.cfg.Dir, "[0-9a-f][0-9a-f]", "*"))
	if err != nil {
		return nil, fmt.Errorf("listing artifacts: %w", err)
	}

	all := make([]Kept, 0, len(paths))

	for _, path := range paths {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}

		kept, ours, err := s.look(path)
		if err != nil {
			return nil, fmt.Errorf("listing artifacts: %w", err)
		}

		if ours {
			all = append(all, kept)
		}
	}

	return all, nil
}

func (s *Shelf) look(path string) (kept Kept, ours bool, err error) {
	sum := filepath.Base(path)
	if !isSum(sum) || path != s.path(sum) {
		return Kept{}, false, nil
	}

	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return Kept{}, false, nil
	}

	if err != nil {
		return Kept{}, false, err
	}

	return Kept{SHA256: sum, Bytes: info.Size(), Modified: info.ModTime()}, true, nil
}

// Forget removes a file that was last brought before a time, and reports whether
// it did. A file that somebody brings again at that moment stays: its record is
// about to be written.
func (s *Shelf) Forget(ctx context.Context, sum string, before time.Time) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}

	if !isSum(sum) {
		return false, notFound()
	}

	s.naming.Lock()
	defer s.naming.Unlock()

	info, err := os.Lstat(s.path(sum))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}

	if err != nil {
		return false, fmt.Errorf("removing artifact %s: %w", sum, err)
	}

	if !info.ModTime().Before(before) {
		return false, nil
	}

	if err := os.Remove(s.path(sum)); err != nil {
		return false, fmt.Errorf("removing artifact %s: %w", sum, err)
	}

	return true, nil
}
