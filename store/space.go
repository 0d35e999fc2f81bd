package store

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"vetting/core"
)

// Space is what a disk has.
type Space struct {
	Free  int64 // bytes this process may still take
	Total int64
}

// Shed says what the appliance should stop keeping, the more the less room is
// left. Each level includes those before it.
type Shed int

// The levels. Between them lie 10 % or 2 GiB and 5 % or 1 GiB, whichever is
// less; the last is where updates are refused.
const (
	ShedNothing Shed = iota
	ShedSamples      // raw samples; verdicts go on
	ShedLogs         // log lines and artifacts too
	ShedAll          // every update is refused with core.ErrFull
)

// String returns the level as it is logged.
func (s Shed) String() string {
	switch s {
	case ShedNothing:
		return "nothing"
	case ShedSamples:
		return "samples"
	case ShedLogs:
		return "logs"
	case ShedAll:
		return "all"
	}

	return fmt.Sprintf("Shed(%d)", int(s))
}

const defaultBallast = 128 << 20

// governor watches the free space. Safe for concurrent use.
type governor struct {
	dir     string
	reserve int64
	ballast int64
	space   func() (Space, error)
}

func newGovernor(cfg *Config) *governor {
	tables := int64(memTables)
	if cfg.Small {
		tables = memTablesTiny
	}

	g := &governor{dir: cfg.Dir, reserve: cfg.Reserve, ballast: cfg.Ballast, space: cfg.free}

	if g.reserve == 0 {
		g.reserve = 2 * (tables*memTableBytes + 64<<20)
	}

	if g.ballast == 0 {
		g.ballast = defaultBallast
	}

	if g.space == nil {
		g.space = func() (Space, error) { return spaceOf(cfg.Dir) }
	}

	return g
}

func spaceOf(dir string) (Space, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return Space{}, fmt.Errorf("reading the free space of %s: %w", dir, err)
	}

	return Space{Free: int64(st.Bavail) * st.Bsize, Total: int64(st.Blocks) * st.Bsize}, nil
}

// level returns what to shed with so much space.
func (g *governor) level(space Space) Shed {
	switch {
	case space.Free < g.reserve:
		return ShedAll
	case space.Free < max(g.reserve, min(space.Total/20, 1<<30)):
		return ShedLogs
	case space.Free < max(g.reserve, min(space.Total/10, 2<<30)):
		return ShedSamples
	default:
		return ShedNothing
	}
}

// admit refuses a commit when the disk is too full for it.
func (g *governor) admit() error {
	space, err := g.space()
	if err != nil {
		return err
	}

	if g.level(space) == ShedAll {
		return fullProblem(g.dir, space, g.reserve)
	}

	return nil
}

// makeRoom gives the ballast up when the disk is too full to open the ledger:
// Badger writes its log down as tables when it opens. When that is not enough
// the ledger stays closed, because Badger would die of it.
func (g *governor) makeRoom(log *slog.Logger) error {
	space, err := g.space()
	if err != nil {
		return err
	}

	if space.Free >= g.reserve {
		return nil
	}

	path := filepath.Join(g.dir, ballastName)
	if err := os.Remove(path); err == nil {
		log.Warn("disk is full, ballast given up", slog.String("file", path), slog.Int64("free_bytes", space.Free))

		if space, err = g.space(); err != nil {
			return err
		}
	}

	// What Badger has in its logs it writes down as tables while it opens.
	if space.Free < g.reserve/4 {
		return fullProblem(g.dir, space, g.reserve/4)
	}

	return nil
}

// restoreBallast makes the file again where there is plenty of room. It is a
// precaution, so its failure is only logged.
func (g *governor) restoreBallast(log *slog.Logger) {
	if g.ballast < 0 {
		return
	}

	path := filepath.Join(g.dir, ballastName)

	if at, err := os.Stat(path); err == nil && at.Size() == g.ballast {
		return
	}

	space, err := g.space()
	if err != nil || space.Free < 2*g.reserve+2*g.ballast {
		return
	}

	if err := makeBallast(path, g.ballast); err != nil {
		log.Warn("no ballast", slog.String("file", path), slog.Any("error", err))
	}
}

// makeBallast takes size bytes of the disk for good. Where the file system
// cannot promise blocks, zeros are written.
func makeBallast(path string, size int64) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("making the ballast: %w", err)
	}

	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()

	err = syscall.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, syscall.EOPNOTSUPP) {
		_, err = io.CopyN(f, zeros{}, size)
	}

	if err != nil {
		return fmt.Errorf("filling the ballast: %w", err)
	}

	return nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)

	return len(p), nil
}

// SpaceAt returns what the disk under a folder has, and what an appliance whose ledger
// lies there sheds for it.
func SpaceAt(dir string) (Space, Shed, error) {
	space, err := spaceOf(dir)
	if err != nil {
		return Space{}, ShedAll, err
	}

	return space, newGovernor(&Config{Dir: dir}).level(space), nil
}

// Space returns what the disk under the ledger has and what to shed for it.
func (s *Store) Space() (Space, Shed, error) {
	space, err := s.room.space()
	if err != nil {
		return Space{}, ShedAll, err
	}

	return space, s.room.level(space), nil
}

// RoomForLogs returns nil while log lines and artifacts may still be kept, else
// a Problem of kind core.ErrFull.
func (s *Store) RoomForLogs() error {
	space, shed, err := s.Space()
	if err != nil {
		return err
	}

	if shed < ShedLogs {
		return nil
	}

	return core.NewProblem(core.ErrFull, "store/shedding-logs", fmt.Sprintf(
		"The disk under %s has %d MiB left, which is kept for verdicts: log lines and artifacts wait until some space is freed.",
		s.cfg.Dir, space.Free>>20))
}
