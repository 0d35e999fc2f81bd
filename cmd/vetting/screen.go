package main

import (
	"context"
	"log/slog"
	"strings"
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

// Left returns how long a run still takes, by the runs before it.
func (s *screens) Left(ctx context.Context, id core.RunID) (low, high time.Duration) {
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
