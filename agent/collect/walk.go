package collect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"time"
)

const (
	readTime  = 5 * time.Second // a driver may hang; what takes longer is left out
	maxFile   = 2 << 20         // bytes; /proc/interrupts of a large machine has one
	maxConfig = 256             // bytes of a PCI configuration space; serial numbers are beyond
)

// walker copies what the rules name from a file system into a tree.
type walker struct {
	from   fs.FS
	to     *Tree
	unread []string // what could not be read, and why
}

// walk follows all rules. It ends early when ctx does.
func (w *walker) walk(ctx context.Context, rules []rule) error {
	for _, rule := range rules {
		names, err := fs.Glob(w.from, rule.glob)
		if err != nil {
			return fmt.Errorf("recording %s: %w", rule.glob, err)
		}

		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return err
			}

			if target, ok := w.real(name); ok {
				w.copy(ctx, target, rule.depth)
			}
		}
	}

	return nil
}

// real writes the links of a name down, and returns where they lead to.
func (w *walker) real(name string) (string, bool) {
	steps, done := strings.Split(name, "/"), ""

	for links := 0; len(steps) > 0; {
		next := path.Join(done, steps[0])
		steps = steps[1:]

		info, err := fs.Lstat(w.from, next)
		if err != nil || links > maxLinks {
			return "", false
		}

		if info.Mode()&fs.ModeSymlink == 0 {
			done = next

			continue
		}

		target, ok := w.link(next)
		if !ok {
			return "", false
		}

		links++
		done, steps = "", append(strings.Split(target, "/"), steps...)
	}

	return done, true
}

// link writes a link down and returns what it points to, from the root.
func (w *walker) link(name string) (target string, ok bool) {
	target, err := fs.ReadLink(w.from, name)
	if err != nil {
		return "", false
	}

	if err := w.to.Link(name, target); err != nil {
		return "", false
	}

	if !strings.HasPrefix(target, "/") {
		target = path.Join(path.Dir(name), target)
	}

	target = strings.TrimPrefix(path.Clean(target), "/")

	return target, fs.ValidPath(target)
}

// copy records a file, or the files of a folder and those of the folders below as
// deep as told.
func (w *walker) copy(ctx context.Context, name string, depth int) {
	info, err := fs.Lstat(w.from, name)
	if err != nil {
		return
	}

	if !info.IsDir() {
		w.file(ctx, name, info)

		return
	}

	entries, err := fs.ReadDir(w.from, name)
	if err != nil {
		w.fail(name, err)

		return
	}

	_ = w.to.Folder(name)

	for _, entry := range entries {
		full := path.Join(name, entry.Name())

		switch {
		case skipped(full) || ctx.Err() != nil:
		case entry.Type()&fs.ModeSymlink != 0:
			w.link(full)
		case entry.IsDir():
			if depth > 0 {
				w.copy(ctx, full, depth-1)
			}
		default:
			if info, err := entry.Info(); err == nil {
				w.file(ctx, full, info)
			}
		}
	}
}

// file records a file that anybody may read at all.
func (w *walker) file(ctx context.Context, name string, info fs.FileInfo) {
	if !info.Mode().IsRegular() || info.Mode()&0o444 == 0 {
		return
	}

	text, err := read(ctx, w.from, name)

	switch {
	case err != nil:
		w.fail(name, err)
	case len(text) > maxFile:
		w.fail(name, fmt.Errorf("%d bytes are too many", len(text)))
	default:
		if path.Base(name) == "config" && len(text) > maxConfig {
			text = text[:maxConfig]
		}

		_ = w.to.Put(name, text)
	}
}

// fail records that a file could not be read. Refusals are for the reader of the
// recording to know; a driver that has nothing to say is not.
func (w *walker) fail(name string, err error) {
	_ = w.to.Fail(name, cause(err))

	if errors.Is(err, fs.ErrPermission) || errors.Is(err, context.DeadlineExceeded) {
		w.unread = append(w.unread, name+": "+cause(err))
	}
}

// cause is why a file could not be read, without its name.
func cause(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}

	if fault, ok := errors.AsType[*fs.PathError](err); ok {
		return fault.Err.Error()
	}

	return err.Error()
}

// read reads a file, and gives up after a while: a driver that hangs must not hang
// the recording.
func read(ctx context.Context, from fs.FS, name string) ([]byte, error) {
	type answer struct {
		text []byte
		err  error
	}

	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()

	done := make(chan answer, 1)

	go func() {
		text, err := fs.ReadFile(from, name)
		done <- answer{text, err}
	}()

	select {
	case a := <-done:
		return a.text, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// modaliases records the alias of every device, by which drivers are found.
func (w *walker) modaliases(ctx context.Context) error {
	err := fs.WalkDir(w.from, "sys/devices", func(name string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}

		if err == nil && d.Name() == "modalias" && d.Type().IsRegular() {
			if text, err := read(ctx, w.from, name); err == nil {
				_ = w.to.Put(name, text)
			}
		}

		return nil // a device that has just gone
	})
	if err != nil {
		return fmt.Errorf("recording modaliases: %w", err)
	}

	return nil
}
