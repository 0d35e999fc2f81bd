package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"

	"vetting/core"
)

// The names of what lies in Config.Dir.
const (
	lockName    = "LOCK"
	headName    = "HEAD"
	ballastName = "BALLAST"
	ledgerName  = "ledger"
)

// Config says where a Store lives and how big it may grow. Only Dir is needed.
type Config struct {
	Dir string       // a directory of its own; made when it is missing
	Log *slog.Logger // nil: silent

	// Small halves the memory: for field kits and machines below 2 GiB.
	Small bool
	// Reserve is the free space in bytes below which updates are refused with
	// core.ErrFull. 0: twice (the memtables and 64 MiB), which is what Badger
	// needs to write its memory down and to compact. Badger dies by SIGBUS when
	// a disk runs full under it, so do not set this lower on a real disk.
	Reserve int64
	// Ballast is the size in bytes of the file that is given up when the store
	// is opened on a full disk. 0: 128 MiB. Negative: none.
	Ballast int64
	// Scrub is how often Run verifies everything while the store is open.
	// 0: every 24 hours. Negative: never.
	Scrub time.Duration
	// AcceptLoss opens a ledger from which acknowledged updates are missing, as
	// it is; a notice in the ledger says so. Only a person may decide this.
	AcceptLoss bool
	// Checked says that somebody has just had Check look at the directory, in a
	// process that damage could end without harm: it is not looked at again.
	Checked bool
	// Step is told of every step of a write before it is taken, for tests that end the
	// process there. nil: nobody is.
	Step func(step string)

	schema schema                // for tests of the migration path
	free   func() (Space, error) // for tests of the governor
	memory bool                  // for the conformance suite: nothing on the disk
}

// Validate joins what is wrong with c.
func (c *Config) Validate() error {
	var faults []error

	if c.Dir == "" && !c.memory {
		faults = append(faults, errors.New("store.dir is empty: name a directory on a disk that survives a restart"))
	}

	if c.Reserve < 0 {
		faults = append(faults, fmt.Errorf("store.reserve is %d: give a number of bytes, or 0 for the default", c.Reserve))
	}

	return errors.Join(faults...)
}

// Store is the ledger. Safe for concurrent use. It starts no goroutine of its
// own but those of Run (Badger starts its compactors in Open and ends them in
// Close): updates are carried out by the goroutines that ask for them, see
// commit.go.
type Store struct {
	cfg  Config
	log  *slog.Logger
	lock *os.File
	head *headFile
	room *governor
	db   *badger.DB

	open sync.RWMutex // held for reading by everybody who uses db; by Close for writing
	shut bool         // guarded by open

	queue line

	// The leader of the line alone touches these.
	last   mark
	began  time.Time
	alone  bool // the last commit carried one change
	chains chainCache

	// broken is set once, when a write failed in a way that leaves it open what
	// is on the disk. sick is what the last Verify of Run found.
	broken atomic.Pointer[core.Problem]
	sick   atomic.Pointer[error]
}

var _ core.Ledger = (*Store)(nil)

// Open checks the directory, brings an older ledger up to today's schema and
// opens it. What is wrong with the directory comes back as a *core.Problem that
// says what to do; Open never panics for it. Only one process may have a
// directory open. The caller must Close the Store.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}

	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}

	if cfg.schema.steps == nil {
		cfg.schema = today()
	}

	if cfg.Step == nil {
		cfg.Step = func(string) {}
	}

	s := &Store{cfg: cfg, log: cfg.Log, chains: chainCache{}}
	s.queue.full = make(chan struct{}, 1)

	s.room = newGovernor(&s.cfg)

	if err := s.openAll(ctx); err != nil {
		_ = s.release() // the first error says more

		return nil, err
	}

	return s, nil
}

func (s *Store) openAll(ctx context.Context) error {
	if s.cfg.memory {
		return s.openBadger()
	}

	if err := os.MkdirAll(s.ledgerDir(), 0o700); err != nil {
		return fmt.Errorf("making directory %s: %w", s.ledgerDir(), err)
	}

	var err error
	if s.lock, err = lockDir(s.cfg.Dir); err != nil {
		return err
	}

	if err := s.room.makeRoom(s.log); err != nil {
		return err
	}

	if err := dropUnbegun(s.ledgerDir()); err != nil {
		return err
	}

	if err := s.migrate(ctx); err != nil {
		return err
	}

	// Badger's own opening is not gentle with a damaged ledger: it cuts logs at
	// the first bad entry, deletes tables that its manifest does not name and
	// panics in goroutines of its own. So look before it touches anything.
	if !s.cfg.Checked {
		if err := check(ctx, s.cfg.Dir, s.cfg.schema.version, s.cfg.AcceptLoss); err != nil {
			return err
		}
	}

	if err := s.openBadger(); err != nil {
		return err
	}

	if err := s.openHead(ctx); err != nil {
		return err
	}

	s.room.restoreBallast(s.log)

	return nil
}

// dropUnbegun removes logs of Badger that have a name and no content: a process was
// killed after it had made the file and before it gave it a size. Badger refuses to
// open with one. Nothing can have been acknowledged that is only there, and if a log
// lost its content in another way, the high-water mark tells.
func dropUnbegun(ledger string) error {
	files, err := os.ReadDir(ledger)
	if err != nil {
		return fmt.Errorf("listing %s: %w", ledger, err)
	}

	for _, file := range files {
		if ext := filepath.Ext(file.Name()); ext != ".mem" && ext != ".vlog" {
			continue
		}

		info, err := file.Info()
		if err == nil && info.Size() == 0 {
			err = os.Remove(filepath.Join(ledger, file.Name()))
		}

		if err != nil {
			return fmt.Errorf("looking for logs that were not begun: %w", err)
		}
	}

	return nil
}

func (s *Store) openBadger() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = core.NewProblem(ErrDamaged, "store/damaged", fmt.Sprintf(
				"The ledger in %s cannot be opened (%v). Copy the directory away and restore the newest backup.", s.cfg.Dir, r))
		}
	}()

	s.db, err = badger.Open(badgerOptions(&s.cfg))
	if err != nil {
		s.db = nil // Badger returns one in some of its errors

		return core.NewProblem(ErrDamaged, "store/damaged", fmt.Sprintf(
			"The ledger in %s cannot be opened (%v). Copy the directory away and restore the newest backup.", s.cfg.Dir, err))
	}

	s.last, err = readMark(s.db)

	return err
}

// openHead compares the ledger with the high-water mark beside it and brings the
// mark up to date.
func (s *Store) openHead(ctx context.Context) error {
	stood, err := readHead(s.headPath())
	if err != nil && !s.cfg.AcceptLoss && !errors.Is(err, os.ErrNotExist) {
		return err
	}

	if s.head, err = openHead(s.headPath(), s.last); err != nil {
		return err
	}

	if s.cfg.AcceptLoss && stood.commit > s.last.commit {
		return s.tellLoss(ctx, stood)
	}

	return nil
}

// tellLoss records in the ledger itself that a person accepted a gap.
func (s *Store) tellLoss(ctx context.Context, stood mark) error {
	_, err := s.Update(ctx, func(txn core.Txn) error {
		now := time.Now()

		err := core.WriteAudit(txn, core.Audit{
			Time: now, Who: "local", Action: "store.accept-loss", Object: "ledger",
			Text: fmt.Sprintf("went on without %d lost commits", stood.commit-s.last.commit),
		})
		if err != nil {
			return err
		}

		return txn.Emit(lossNotice(now, stood, s.last))
	})

	return err
}

// Close waits for the updates and looks under way, writes everything down and
// lets the directory go. Updates and looks that come later get a Problem.
func (s *Store) Close() error {
	s.queue.close()

	s.open.Lock()
	defer s.open.Unlock()

	if s.shut {
		return nil
	}

	s.shut = true

	return s.release()
}

// release lets go of whatever is open.
func (s *Store) release() error {
	var faults []error

	if s.db != nil {
		if err := s.db.Close(); err != nil {
			faults = append(faults, fmt.Errorf("closing the ledger in %s: %w", s.cfg.Dir, err))
		}
	}

	if s.head != nil {
		faults = append(faults, s.head.close())
	}

	if s.lock != nil {
		faults = append(faults, unlock(s.lock))
	}

	return errors.Join(faults...)
}

// enter marks db as used until leave; it fails once the store is closed.
func (s *Store) enter() error {
	s.open.RLock()

	if s.shut {
		s.open.RUnlock()

		return closedProblem()
	}

	return nil
}

func (s *Store) leave() { s.open.RUnlock() }

func (s *Store) ledgerDir() string { return filepath.Join(s.cfg.Dir, ledgerName) }
func (s *Store) headPath() string  { return filepath.Join(s.cfg.Dir, headName) }

// View runs look on the ledger as it stands now; updates that come in meanwhile
// are not seen.
func (s *Store) View(ctx context.Context, look func(core.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}

	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()

	snapshot := s.db.NewTransaction(false)
	defer snapshot.Discard()

	return look(&reader{txn: snapshot})
}
