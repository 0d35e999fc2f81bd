package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"vetting/core"
	"vetting/store"
)

const mib = 1 << 20

// disk is a disk whose free space a test sets.
type disk struct{ free atomic.Int64 }

func (d *disk) space() (store.Space, error) {
	return store.Space{Free: d.free.Load(), Total: 100 << 30}, nil
}

func TestAFullDiskRefusesUpdatesAndServesLooks(t *testing.T) {
	t.Parallel()

	var d disk

	d.free.Store(50 << 30)

	s := open(t, store.WithSpace(small(t.TempDir()), d.space))

	if _, err := s.Update(t.Context(), write(1)); err != nil {
		t.Fatal(err)
	}

	d.free.Store(100 * mib)

	_, err := s.Update(t.Context(), write(2))
	if !errors.Is(err, core.ErrFull) {
		t.Errorf("on a full disk: %v", err)
	}

	expectProblem(t, err, "store/full", "100 MiB")

	if err := s.Health(); !errors.Is(err, core.ErrFull) {
		t.Errorf("Health: %v", err)
	}

	err = s.View(t.Context(), func(r core.Reader) error { return r.Get(core.TableSetting, keyOf(1), &note{}) })
	if err != nil {
		t.Errorf("a look: %v", err)
	}

	d.free.Store(50 << 30)

	if seq, err := s.Update(t.Context(), write(3)); err != nil || seq != 2 {
		t.Errorf("with room again: %d, %v", seq, err)
	}

	if count, err := s.Verify(t.Context()); err != nil || count.Records != 2 {
		t.Errorf("%+v, %v", count, err)
	}

	if err := s.Health(); err != nil {
		t.Errorf("Health: %v", err)
	}
}

func TestWhatIsShedGrowsAsTheDiskFills(t *testing.T) {
	t.Parallel()

	var d disk

	d.free.Store(50 << 30)

	s := open(t, store.WithSpace(small(t.TempDir()), d.space))

	for _, c := range []struct {
		free int64
		want store.Shed
		logs bool
	}{
		{50 << 30, store.ShedNothing, true},
		{2 << 30, store.ShedNothing, true},
		{2<<30 - 1, store.ShedSamples, true},
		{1 << 30, store.ShedSamples, true},
		{1<<30 - 1, store.ShedLogs, false},
		{176 * mib, store.ShedLogs, false},
		{176*mib - 1, store.ShedAll, false},
		{0, store.ShedAll, false},
	} {
		d.free.Store(c.free)

		if _, got, err := s.Space(); err != nil || got != c.want {
			t.Errorf("%d MiB: %v, %v; want %v", c.free>>20, got, err, c.want)
		}

		err := s.RoomForLogs()
		if (err == nil) != c.logs || err != nil && !errors.Is(err, core.ErrFull) {
			t.Errorf("%d MiB: RoomForLogs = %v", c.free>>20, err)
		}
	}
}

func TestBallastIsGivenUpOnAFullDiskAndComesBack(t *testing.T) {
	t.Parallel()

	var d disk

	d.free.Store(50 << 30)

	dir := t.TempDir()
	cfg := store.WithSpace(small(dir), d.space)
	cfg.Ballast = mib

	ballast := filepath.Join(dir, "BALLAST")
	reopen := func() error {
		s, err := store.Open(t.Context(), cfg)
		if err != nil {
			return err
		}

		return s.Close()
	}

	if err := reopen(); err != nil {
		t.Fatal(err)
	}

	if at, err := os.Stat(ballast); err != nil || at.Size() != mib {
		t.Fatalf("no ballast: %v", err)
	}

	d.free.Store(100 * mib)

	if err := reopen(); err != nil {
		t.Errorf("on a full disk: %v", err)
	}

	if _, err := os.Stat(ballast); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the ballast is still there: %v", err)
	}

	d.free.Store(10 * mib)

	if err := reopen(); !errors.Is(err, core.ErrFull) {
		t.Errorf("with too little to open: %v", err)
	}

	d.free.Store(50 << 30)

	if err := reopen(); err != nil {
		t.Fatal(err)
	}

	if _, err := os.Stat(ballast); err != nil {
		t.Errorf("the ballast did not come back: %v", err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()

	cfg := small(t.TempDir())
	cfg.Scrub = 1 // at once

	s := open(t, cfg)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	if err := s.Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
}
