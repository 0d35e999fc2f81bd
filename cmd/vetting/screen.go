package main

import (
	"context"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"vetting/core"
	"vetting/ui/lookup"
	"vetting/ui/qr"
)

// screens know what machines under test show on their own screens. Safe for concurrent
// use.
type screens struct {
	ledger  core.Ledger
	console string // its address, as in https://vetting.lan:8443
	log     *slog.Logger

	paces lookup.Paces
	shelf lookup.Shelf

	mu    sync.Mutex // guards all below
	lefts map[core.RunID]remainder
	swept time.Time
}

// What is left of a run is kept for a while: each heartbeat asks for it, and screens show
// minutes.
const (
	leftFor   = time.Minute
	mostLefts = 4096
)

// remainder is how long a run still takes, as it was known at a time.
type remainder struct {
	at        time.Time
	low, high time.Duration
}

// Page returns where the console shows a run.
func (s *screens) Page(run core.RunID) (address string, code []string) {
	if s.console == "" {
		return "", nil
	}

	address = strings.TrimSuffix(s.console, "/") + "/runs/" + string(run)

	code, err := qr.Modules(address)
	if err != nil {
		s.log.Warn("no QR code for a machine's screen", slog.String("error", err.Error()))
	}

	return address, code
}

// Left returns how long a run still takes, by the runs before it; as it was known a minute
// ago at most.
func (s *screens) Left(ctx context.Context, id core.RunID) (low, high time.Duration) {
	if kept, found := s.kept(id, time.Now()); found {
		return kept.low, kept.high
	}

	low, high = s.read(ctx, id)

	if ctx.Err() == nil { // otherwise that may be why nothing is known
		s.keep(id, remainder{time.Now(), low, high})
	}

	return low, high
}

func (s *screens) kept(id core.RunID, now time.Time) (kept remainder, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()

	kept, found = s.lefts[id]

	return kept, found && now.Sub(kept.at) < leftFor
}

// keep drops those that nobody asks for any more: of runs that have ended.
func (s *screens) keep(id core.RunID, l remainder) {
	s.mu.Lock()
	defer s.mu.Unlock()

	if l.at.Sub(s.swept) >= leftFor {
		s.swept = l.at

		maps.DeleteFunc(s.lefts, func(_ core.RunID, old remainder) bool { return l.at.Sub(old.at) >= leftFor })
	}

	if s.lefts == nil || len(s.lefts) >= mostLefts {
		s.lefts = map[core.RunID]remainder{}
	}

	s.lefts[id] = l
}

func (s *screens) read(ctx context.Context, id core.RunID) (low, high time.Duration) {
	err := s.ledger.View(ctx, func(r core.Reader) error {
		run, err := lookup.Run(r, id)
		if err != nil {
			return err
		}

		now := time.Now()

		plan, err := s.paces.Of(r, &s.shelf, &run, now)
		if err != nil {
			return err
		}

		left, known := plan.Left(&run, now)

		switch {
		case !known:
		case left.Ranged():
			low, high = left.Low, left.High
		default:
			low, high = left.Mid, left.Mid
		}

		return nil
	})
	if err != nil {
		s.log.Debug("no time left for a machine's screen", slog.String("run", string(id)), slog.String("error", err.Error()))

		return 0, 0
	}

	return low, high
}
