package runlog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"vetting/core"
)

// Kept is the log of a run as it lies on the disk.
type Kept struct {
	Run      core.RunID
	Bytes    int64
	Modified time.Time
}

const suffix = ".ndjson"

// List returns the logs there are, in the order of the runs. Files with other
// names are not ours and not listed.
func (l *Log) List(ctx context.Context) ([]Kept, error) {
	entries, err := os.ReadDir(l.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("listing logs: %w", err)
	}

	all := make([]Kept, 0, len(entries))

	for _, entry := range entries {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}

		kept, ours, err := look(entry)
		if err != nil {
			return nil, fmt.Errorf("listing logs: %w", err)
		}

		if ours {
			all = append(all, kept)
		}
	}

	return all, nil
}

func look(entry os.DirEntry) (kept Kept, ours bool, err error) {
	name, ours := strings.CutSuffix(entry.Name(), suffix)
	if !ours || !isRun(core.RunID(name)) {
		return Kept{}, false, nil
	}

	info, err := entry.Info()
	if errors.Is(err, os.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return Kept{}, false, nil
	}

	if err != nil {
		return Kept{}, false, err
	}

	return Kept{Run: core.RunID(name), Bytes: info.Size(), Modified: info.ModTime()}, true, nil
}

// Forget removes the log of a run; no error when there is none. A run that says
// something afterwards begins a new one.
func (l *Log) Forget(ctx context.Context, run core.RunID) error {
	if err := ctx.Err(); err != nil {
		return err
	}

	f, err := l.hold(run)
	if err != nil {
		return err
	}
	defer l.release(f)

	f.mu.Lock()
	defer f.mu.Unlock()

	if f.handle != nil {
		if err := f.unload(); err != nil {
			return fmt.Errorf("closing log: %w", err)
		}
	}

	if err := os.Remove(f.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing log: %w", err)
	}

	return nil
}
