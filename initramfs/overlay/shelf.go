package overlay

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"vetting/core"
)

// Shelf keeps overlays in a folder: NAME.json, and the archive under its sum. What is
// put on it, or taken away, counts at once for whoever looks next. Safe for concurrent
// use, also by several processes.
type Shelf struct {
	Dir string

	mu    sync.Mutex
	whole map[string]stamp // guarded by mu: archives whose sum was found right
}

type stamp struct {
	size int64
	at   time.Time
}

// Put keeps an overlay, in place of the one of its name. The archive of that one
// stays: a run that has it may still boot.
func (s *Shelf) Put(o Sealed) error {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of the overlays: %w", err)
	}

	text, err := json.MarshalIndent(o.Overlay, "", "  ")
	if err != nil {
		return fmt.Errorf("keeping the overlay %s: %w", o.Name, err)
	}

	if err := write(s.archive(o.SHA256), o.Archive); err != nil {
		return fmt.Errorf("keeping the overlay %s: %w", o.Name, err)
	}

	if err := write(s.record(o.Name), text); err != nil {
		return fmt.Errorf("keeping the overlay %s: %w", o.Name, err)
	}

	s.sweep(time.Now())

	return nil
}

// write puts a file in its place at once, or not at all.
func write(name string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}

	defer os.Remove(file.Name())

	_, err = io.Copy(file, bytes.NewReader(content))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}

	return os.Rename(file.Name(), name)
}

func (s *Shelf) archive(sum string) string { return filepath.Join(s.Dir, sum+".cpio") }

func (s *Shelf) record(name string) string { return filepath.Join(s.Dir, name+".json") }

// Get returns an overlay. core.ErrNotFound when there is none of the name.
func (s *Shelf) Get(name string) (o core.Overlay, err error) {
	if !ValidName(name) {
		return o, missing(name)
	}

	text, err := os.ReadFile(s.record(name))

	switch {
	case errors.Is(err, fs.ErrNotExist):
		return o, missing(name)
	case err != nil:
		return o, fmt.Errorf("reading the overlay %s: %w", name, err)
	}

	if err := json.Unmarshal(text, &o); err != nil || o.Name != name || !isSum(o.SHA256) || !isSum(o.Manifest) {
		return o, fmt.Errorf("reading the overlay %s: its record is broken; add it again", name)
	}

	return o, nil
}

func missing(name string) error {
	return core.NewProblem(core.ErrNotFound, "overlay/unknown", fmt.Sprintf(
		"There is no overlay %.64q; vetting overlay list shows those that there are.", name))
}

func isSum(sum string) bool { return len(sum) == 64 && strings.Trim(sum, "0123456789abcdef") == "" }

// List returns all overlays by name.
func (s *Shelf) List() (all []core.Overlay, err error) {
	names, err := filepath.Glob(filepath.Join(s.Dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("listing overlays: %w", err)
	}

	for _, name := range names {
		o, err := s.Get(strings.TrimSuffix(filepath.Base(name), ".json"))
		if err != nil && !errors.Is(err, core.ErrNotFound) {
			return nil, err
		}

		if err == nil {
			all = append(all, o)
		}
	}

	slices.SortFunc(all, func(a, b core.Overlay) int { return cmp.Compare(a.Name, b.Name) })

	return all, nil
}

// Remove forgets an overlay, with its archive unless another one is the same. A run that
// waits to boot with it cannot boot any more. What it was before it was put anew stays for
// a while: a run may have that.
func (s *Shelf) Remove(name string) error {
	gone, err := s.Get(name)
	if errors.Is(err, core.ErrNotFound) {
		return err
	}

	sum := "" // unknown, where the record is broken
	if err == nil {
		sum = gone.SHA256
	}

	if err := os.Remove(s.record(name)); err != nil {
		return fmt.Errorf("removing the overlay %s: %w", name, err)
	}

	left, err := s.List()
	if err != nil {
		return err
	}

	if sum == "" || slices.ContainsFunc(left, func(o core.Overlay) bool { return o.SHA256 == sum }) {
		return nil
	}

	if err := os.Remove(s.archive(sum)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the overlay %s: %w", name, err)
	}

	return nil
}

// keepOld is how long an archive stays that no overlay is any more: longer than any run
// takes.
const keepOld = 30 * 24 * time.Hour

// sweep removes archives that are of no overlay, and have been for long. What cannot be
// read or removed stays for the next time.
func (s *Shelf) sweep(now time.Time) {
	left, err := s.List()
	if err != nil {
		return // who is of which overlay is not known
	}

	archives, err := filepath.Glob(filepath.Join(s.Dir, "*.cpio"))
	if err != nil {
		return
	}

	for _, archive := range archives {
		info, err := os.Stat(archive)
		if err != nil || now.Sub(info.ModTime()) < keepOld {
			continue
		}

		sum := strings.TrimSuffix(filepath.Base(archive), ".cpio")
		if !slices.ContainsFunc(left, func(o core.Overlay) bool { return o.SHA256 == sum }) {
			_ = os.Remove(archive) // see above
		}
	}
}

// Open returns the archive with this sum, which is looked at before it is given away
// for the first time. core.ErrNotFound when it is gone.
func (s *Shelf) Open(sum string) (*os.File, int64, error) {
	if !isSum(sum) {
		return nil, 0, missing(sum)
	}

	file, err := os.Open(s.archive(sum))

	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, 0, missing(sum)
	case err != nil:
		return nil, 0, fmt.Errorf("opening an overlay: %w", err)
	}

	size, err := s.verify(file, sum)
	if err != nil {
		file.Close()

		return nil, 0, err
	}

	return file, size, nil
}

func (s *Shelf) verify(file *os.File, want string) (int64, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, fmt.Errorf("opening an overlay: %w", err)
	}

	now := stamp{info.Size(), info.ModTime()}

	s.mu.Lock()
	known := s.whole[want] == now
	s.mu.Unlock()

	if known {
		return now.size, nil
	}

	digest := sha256.New()
	if _, err := io.Copy(digest, file); err != nil {
		return 0, fmt.Errorf("reading an overlay: %w", err)
	}

	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return 0, fmt.Errorf("reading an overlay: %w", err)
	}

	if hex.EncodeToString(digest.Sum(nil)) != want {
		return 0, fmt.Errorf("the overlay %s is damaged on the disk; add it again", want[:12])
	}

	s.mu.Lock()
	defer s.mu.Unlock()

	if s.whole == nil {
		s.whole = map[string]stamp{}
	}

	s.whole[want] = now

	return now.size, nil
}
