package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
)

// schema is what this program writes, and how it gets there from what older
// ones wrote. Each step lives in a file of its own, migrate<from>.go. A change
// that old records can be read through (a new field) needs no step.
type schema struct {
	version uint16
	steps   map[uint16]step // by the version it starts from
}

// step changes a ledger from one version to the next. When it is interrupted it
// runs again from the start, so it must be able to meet its own work.
type step func(ctx context.Context, db *badger.DB) error

// today is the schema of this program.
func today() schema {
	return schema{version: 1, steps: map[uint16]step{}}
}

// leadsFrom is nil where this program can read a ledger of that version, or bring it
// to its own. A version that no program ever wrote is damage: the number has no
// checksum of its own.
func (s schema) leadsFrom(dir string, has uint16) error {
	if has > s.version {
		return newerSchema(dir, has, s.version)
	}

	for from := has; from < s.version; from++ {
		if s.steps[from] == nil {
			return damaged("The manifest of the ledger in %s names schema %d, and no step leads from schema %d.", dir, has, from)
		}
	}

	return nil
}

// migrate brings an older ledger up to the schema, after copying it beside.
func (s *Store) migrate(ctx context.Context) error {
	has, exists, err := schemaOf(s.ledgerDir())
	if err != nil || !exists {
		return err
	}

	if err := s.cfg.schema.leadsFrom(s.cfg.Dir, has); err != nil {
		return err
	}

	if has == s.cfg.schema.version {
		return nil
	}

	if err := check(ctx, s.cfg.Dir, has, s.cfg.AcceptLoss); err != nil {
		return err
	}

	kept, err := s.keepOld(has)
	if err != nil {
		return err
	}

	for ; has < s.cfg.schema.version; has++ {
		if err := s.takeStep(ctx, has); err != nil {
			return fmt.Errorf("bringing the ledger from schema %d to %d (the ledger as it was is in %s): %w", has, has+1, kept, err)
		}

		s.log.Info("ledger migrated", slog.Int("schema", int(has)+1), slog.String("kept", kept))
	}

	return nil
}

func (s *Store) takeStep(ctx context.Context, from uint16) error {
	take := s.cfg.schema.steps[from]

	cfg := s.cfg
	cfg.schema.version = from

	db, err := badger.Open(badgerOptions(&cfg))
	if err != nil {
		return fmt.Errorf("opening: %w", err)
	}

	if err := errors.Join(take(ctx, db), db.Close()); err != nil {
		return err
	}

	return stampSchema(s.ledgerDir(), from+1)
}

// keepOld copies the ledger to before-schema-N beside it. A copy that is there
// is whole, because it gets its name last.
func (s *Store) keepOld(has uint16) (path string, err error) {
	path = filepath.Join(s.cfg.Dir, fmt.Sprintf("before-schema-%d", s.cfg.schema.version))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}

	if err := s.roomFor(s.ledgerDir()); err != nil {
		return "", err
	}

	half := path + ".tmp"
	if err := os.RemoveAll(half); err != nil {
		return "", fmt.Errorf("removing half a copy: %w", err)
	}

	if err := copyDir(s.ledgerDir(), half); err != nil {
		return "", fmt.Errorf("copying the ledger of schema %d: %w", has, err)
	}

	if err := os.Rename(half, path); err != nil {
		return "", fmt.Errorf("naming the copy: %w", err)
	}

	return path, syncDir(path)
}

// roomFor refuses a copy of dir for which there is no room.
func (s *Store) roomFor(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading %s: %w", dir, err)
	}

	need := s.room.reserve

	for _, e := range entries {
		at, err := e.Info()
		if err != nil {
			return fmt.Errorf("reading %s: %w", dir, err)
		}

		need += at.Size()
	}

	space, err := s.room.space()
	if err != nil {
		return err
	}

	if space.Free < need {
		return fullProblem(s.cfg.Dir, space, need)
	}

	return nil
}

// copyDir copies the files of a flat directory and syncs them.
func copyDir(from, to string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return fmt.Errorf("making %s: %w", to, err)
	}

	entries, err := os.ReadDir(from)
	if err != nil {
		return fmt.Errorf("reading %s: %w", from, err)
	}

	for _, e := range entries {
		if err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}

	return syncDir(filepath.Join(to, lockName))
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copying: %w", err)
	}
	defer in.Close()

	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("copying: %w", err)
	}

	defer func() { err = errors.Join(err, out.Close()) }()

	if _, err := io.Copy(out, in); err != nil {
		return fmt.Errorf("copying %s: %w", from, err)
	}

	if err := out.Sync(); err != nil {
		return fmt.Errorf("syncing %s: %w", to, err)
	}

	return nil
}
