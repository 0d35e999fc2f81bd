package runlog

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"vetting/core"
)

// file is the log of one run.
type file struct {
	path  string
	step  func(step string)
	users int // guarded by Log.mu

	mu     sync.Mutex // guards all below
	handle *os.File   // nil: not loaded
	*index
}

// load opens the file, made when it is missing, reads what is in it and cuts off
// what was never acknowledged. f.mu is held.
func (f *file) load(log *slog.Logger) (err error) {
	if f.handle != nil {
		return nil
	}

	handle, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return full(fmt.Errorf("opening log: %w", err))
	}

	defer func() {
		if err != nil {
			err = errors.Join(err, handle.Close())
		}
	}()

	x, err := build(handle)
	if err != nil {
		return err
	}

	if err := repair(handle, x, log); err != nil {
		return err
	}

	f.handle, f.index = handle, x

	return nil
}

// repair makes the file end where its index ends, and its name durable.
func repair(handle *os.File, x *index, log *slog.Logger) error {
	at, err := handle.Stat()
	if err != nil {
		return fmt.Errorf("opening log: %w", err)
	}

	if x.damaged > 0 {
		log.Warn("log damaged, lines may be missing", slog.String("file", handle.Name()), slog.Int("batches", x.damaged))
	}

	if at.Size() > x.size {
		log.Info("log cut to its last whole batch", slog.String("file", handle.Name()), slog.Int64("bytes", at.Size()-x.size))

		if err := errors.Join(handle.Truncate(x.size), handle.Sync()); err != nil {
			return fmt.Errorf("cutting log: %w", err)
		}
	}

	if at.Size() > 0 {
		return nil
	}

	dir, err := os.Open(filepath.Dir(handle.Name()))
	if err != nil {
		return fmt.Errorf("opening the directory of logs: %w", err)
	}

	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("syncing the directory of logs: %w", err)
	}

	return nil
}

// answer returns what a batch was answered. f.mu is held and f is loaded.
func (f *file) answer(n name) (last uint64, known bool, err error) {
	if last, known = f.answers[n]; known {
		return last, true, nil
	}

	if !f.forgotten(n) {
		return f.last, false, nil
	}

	last = f.last

	err = scan(io.NewSectionReader(f.handle, 0, f.size), func(b found) {
		if b.whole && b.name() == n {
			last, known = b.Last, true
		}
	})

	return last, known, err
}

// append writes a batch. f.mu is held and f is loaded.
func (f *file) append(n name, lines []core.LogLine, limit int64) (uint64, error) {
	content, last, err := encodeBatch(n, f.last, lines)
	if err != nil {
		return 0, err
	}

	if f.size+int64(len(content)) >= limit {
		content, last, err = encodeBatch(n, f.last, append(lines[:len(lines):len(lines)], lastLine(lines, limit)))
		if err != nil {
			return 0, err
		}
	}

	if err := f.write(content); err != nil {
		// What is on the disk now is not known; it is read again next time.
		return 0, full(errors.Join(fmt.Errorf("writing log: %w", err), f.handle.Truncate(f.size), f.unload()))
	}

	f.add(found{
		ending: ending{Epoch: n.epoch, Seq: n.seq, Last: last},
		size:   int64(len(content)), lines: last - f.last, whole: true,
	})

	return last, nil
}

func (f *file) write(content []byte) error {
	f.step("write the log")

	if _, err := f.handle.WriteAt(content, f.size); err != nil {
		return err
	}

	f.step("sync the log")

	return syscall.Fdatasync(int(f.handle.Fd())) // which syncs the size too, where it matters
}

// lastLine is what stands at the end of a log that has reached its limit.
func lastLine(lines []core.LogLine, limit int64) core.LogLine {
	line := core.LogLine{Level: "warn", Text: fmt.Sprintf("The log of this run has reached %d MiB; later lines are not kept.", limit>>20)}
	if len(lines) > 0 {
		line.Time, line.Stage = lines[len(lines)-1].Time, lines[len(lines)-1].Stage
	}

	return line
}

// full gives an error of a full disk its kind.
func full(err error) error {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return err
	}

	return core.NewProblem(core.ErrFull, "log/disk-full", "The disk for logs is full. Free some space; the lines were not kept and will be sent again.")
}

// unload forgets what is known. f.mu is held.
func (f *file) unload() error {
	handle := f.handle
	f.handle, f.index = nil, nil

	return handle.Close()
}

func (f *file) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()

	if f.handle == nil {
		return nil
	}

	return f.unload()
}

// part returns the bytes in which the lines after a number begin; nil when there
// are none. They stay readable while f is held.
func (f *file) part(log *slog.Logger, after uint64) (io.Reader, error) {
	f.mu.Lock()
	defer f.mu.Unlock()

	if _, err := os.Stat(f.path); f.handle == nil && errors.Is(err, os.ErrNotExist) {
		return nil, nil //nolint:nilnil // nothing was said, and that is no error
	}

	if err := f.load(log); err != nil {
		return nil, err
	}

	if after >= f.last {
		return nil, nil //nolint:nilnil // as above
	}

	from := f.from(after)

	return io.NewSectionReader(f.handle, from, f.size-from), nil
}

// readLines reads lines with numbers past after. A line that cannot be read is
// damage, which was logged when the file was loaded; the others are shown.
func readLines(ctx context.Context, part io.Reader, after uint64, limit int) ([]core.LogLine, error) {
	var lines []core.LogLine

	in := bufio.NewReaderSize(part, maxLine)

	for len(lines) < limit {
		text, err := in.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return lines, nil
		}

		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, fmt.Errorf("reading log: %w", err)
		}

		if ctx.Err() != nil {
			return nil, ctx.Err()
		}

		var line core.LogLine

		if bytes.HasPrefix(text, []byte(endingMark)) || json.Unmarshal(text, &line) != nil || line.Seq <= after {
			continue
		}

		lines = append(lines, line)
	}

	return lines, nil
}
