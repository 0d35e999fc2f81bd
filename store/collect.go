package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// collectRatio is the share of a value log that must be garbage before Badger
// writes it anew.
const collectRatio = 0.5

// Collect lets Badger give disk space back. Our values are small enough to live in
// its tables, which give space back as they are merged; what could lie in a value
// log is of older versions.
func (s *Store) Collect(ctx context.Context) error {
	for ctx.Err() == nil {
		err := s.collectOnce()

		switch {
		case errors.Is(err, badger.ErrNoRewrite), errors.Is(err, badger.ErrRejected), errors.Is(err, badger.ErrGCInMemoryMode):
			return nil
		case err != nil:
			return fmt.Errorf("giving disk space back: %w", err)
		}
	}

	return ctx.Err()
}

// collectOnce holds the store open for no longer than one log takes.
func (s *Store) collectOnce() error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()

	return s.db.RunValueLogGC(collectRatio)
}
