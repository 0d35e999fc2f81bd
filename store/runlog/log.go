package runlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"vetting/core"
)

// Config says where logs are kept.
type Config struct {
	Dir string       // a directory of its own; made when it is missing
	Log *slog.Logger // nil: silent
	// Room is asked before lines are taken and returns why there is no room for
	// them (store.Store.RoomForLogs). nil: there always is.
	Room func() error
	// Limit is how large the file of a run may grow, in bytes; 0: 256 MiB. The
	// line that reaches it says so, and what comes later is acknowledged and
	// dropped, so that a talkative host harms only its own log.
	Limit int64
	// Step is told of every step of a write before it is taken, for tests that end the
	// process there. nil: nobody is.
	Step func(step string)
}

const (
	defaultLimit = 256 << 20
	maxBatch     = 10_000 // lines of one batch
	maxRead      = 10_000 // lines of one answer
	maxOpen      = 64     // files whose index is kept in memory
)

// Log keeps the log lines of runs. Safe for concurrent use; runs do not wait for
// each other.
type Log struct {
	cfg Config

	mu    sync.Mutex // guards files and their users
	files map[core.RunID]*file
}

// Open makes the directory.
func Open(cfg Config) (*Log, error) {
	if cfg.Dir == "" {
		return nil, core.NewProblem(core.ErrInvalid, "log/no-directory", "Name a directory for the logs of runs.")
	}

	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}

	if cfg.Limit <= 0 {
		cfg.Limit = defaultLimit
	}

	if cfg.Step == nil {
		cfg.Step = func(string) {}
	}

	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making directory %s: %w", cfg.Dir, err)
	}

	return &Log{cfg: cfg, files: map[core.RunID]*file{}}, nil
}

// AppendLog adds a batch of lines and returns the number of its last line. The
// numbers the lines come with are not used: the log gives its own, which grow by
// one. A batch seen before (run, epoch, seq) changes nothing and gets the answer
// it got before. When it returns nil, the lines survive a power cut.
func (l *Log) AppendLog(ctx context.Context, run core.RunID, epoch int, seq uint64, lines []core.LogLine) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}

	if len(lines) > maxBatch {
		return 0, core.NewProblem(core.ErrInvalid, "log/batch-too-large", fmt.Sprintf(
			"A batch has %d log lines and may have %d. Send several.", len(lines), maxBatch))
	}

	f, err := l.hold(run)
	if err != nil {
		return 0, err
	}
	defer l.release(f)

	f.mu.Lock()
	defer f.mu.Unlock()

	if err := f.load(l.cfg.Log); err != nil {
		return 0, err
	}

	last, known, err := f.answer(name{epoch, seq})
	if err != nil || known || f.size >= l.cfg.Limit {
		return last, err
	}

	if l.cfg.Room != nil {
		if err := l.cfg.Room(); err != nil {
			return 0, err
		}
	}

	return f.append(name{epoch, seq}, lines, l.cfg.Limit)
}

// ReadLog returns up to limit lines with numbers past after, in order; 0 is as
// many as one answer may have. A run that said nothing has no lines.
func (l *Log) ReadLog(ctx context.Context, run core.RunID, after uint64, limit int) ([]core.LogLine, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}

	if limit <= 0 || limit > maxRead {
		limit = maxRead
	}

	f, err := l.hold(run)
	if err != nil {
		return nil, err
	}
	defer l.release(f)

	part, err := f.part(l.cfg.Log, after)
	if err != nil || part == nil {
		return nil, err
	}

	return readLines(ctx, part, after, limit)
}

// Close closes the files. The Log must not be used afterwards.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()

	var faults []error

	for run, f := range l.files {
		delete(l.files, run)

		faults = append(faults, f.close())
	}

	return errors.Join(faults...)
}

// hold returns the file of a run, which stays in memory until release. A name
// that is no run's never reaches the disk.
func (l *Log) hold(run core.RunID) (*file, error) {
	if !isRun(run) {
		return nil, core.NewProblem(core.ErrInvalid, "log/bad-run", "A run's name is letters and digits only.")
	}

	l.mu.Lock()
	defer l.mu.Unlock()

	f := l.files[run]
	if f == nil {
		f = &file{path: filepath.Join(l.cfg.Dir, string(run)+suffix), step: l.cfg.Step}
		l.files[run] = f
	}

	f.users++

	return f, nil
}

// release lets go of f; where many files are in memory, some that nobody holds
// are forgotten. They are read again when they are asked for.
func (l *Log) release(f *file) {
	l.mu.Lock()
	defer l.mu.Unlock()

	f.users--

	for run, idle := range l.files {
		if len(l.files) <= maxOpen {
			return
		}

		if idle.users == 0 {
			delete(l.files, run)

			if err := idle.close(); err != nil {
				l.cfg.Log.Warn("log not closed", slog.String("run", string(run)), slog.Any("error", err))
			}
		}
	}
}

func isRun(run core.RunID) bool {
	for _, c := range []byte(run) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' {
			return false
		}
	}

	return run != "" && len(run) <= 64
}
