package store

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

const (
	watchEvery = 10 * time.Second
	scrubEvery = 24 * time.Hour
)

// Run watches the disk until ctx ends: it logs when the room left reaches
// another level, and verifies the whole ledger now and then, because a byte that
// rots while the store is open is otherwise only noticed at the next start. It
// returns nil. The store works without it.
func (s *Store) Run(ctx context.Context) error {
	every := s.cfg.Scrub
	if every == 0 {
		every = scrubEvery
	}

	watch := time.NewTicker(watchEvery)
	defer watch.Stop()

	var (
		shed Shed
		next = time.Now().Add(every)
	)

	for {
		shed = s.watch(shed)

		if every > 0 && time.Now().After(next) {
			s.scrub(ctx)
			next = time.Now().Add(every)
		}

		select {
		case <-ctx.Done():
			return nil
		case <-watch.C:
		}
	}
}

func (s *Store) watch(before Shed) Shed {
	space, now, err := s.Space()
	if err != nil {
		s.log.Warn("free space unknown", slog.Any("error", err))

		return before
	}

	if now != before {
		s.log.Warn("free space changed level", slog.String("shed", now.String()), slog.Int64("free_bytes", space.Free))
	}

	return now
}

func (s *Store) scrub(ctx context.Context) {
	count, err := s.Verify(ctx)
	if ctx.Err() != nil {
		return
	}

	s.sick.Store(&err)

	if err != nil {
		s.log.Error("ledger damaged", slog.Any("error", err))

		return
	}

	s.log.Info("ledger verified", slog.Uint64("events", count.Events), slog.Uint64("records", count.Records))
}

// Health returns nil, or why the ledger is not well: a write failed, the last
// scrub found damage, or the disk is too full for updates.
func (s *Store) Health() error {
	var faults []error

	if p := s.broken.Load(); p != nil {
		faults = append(faults, p)
	}

	if found := s.sick.Load(); found != nil {
		faults = append(faults, *found)
	}

	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()

	return errors.Join(append(faults, s.room.admit())...)
}
