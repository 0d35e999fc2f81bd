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
	guess     bool // not all of it was learned
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

// Left returns how long a run still takes, by the runs before it, or a guess; as it was
// known a minute ago at most.
func (s *screens) Left(ctx context.Context, id core.RunID) (low, high time.Duration, guess bool) {
	l, found := s.kept(id, time.Now())
	if !found {
		l = s.read(ctx, id)

		if ctx.Err() == nil { // otherwise that may be why nothing is known
			s.keep(id, l)
		}
	}

	return l.low, l.high, l.guess
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

func (s *screens) read(ctx context.Context, id core.RunID) remainder {
	l := remainder{at: time.Now()}

	err := s.ledger.View(ctx, func(r core.Reader) error {
		run, err := lookup.Run(r, id)
		if err != nil {
			return err
		}

		plan, err := s.paces.Of(r, &s.shelf, &run, l.at)
		if err != nil {
			return err
		}

		if left, known := plan.Left(&run, l.at); known && left.Ranged() {
			l.low, l.high = left.Low, left.High
		} else if rest, guess, known := plan.Rest(&run, l.at); known {
			l.low, l.high, l.guess = rest, rest, guess
		}

		return nil
	})
	if err != nil {
		s.log.Debug("no time left for a machine's screen", slog.String("run", string(id)), slog.String("error", err.Error()))

		return remainder{at: l.at}
	}

	return l
}
