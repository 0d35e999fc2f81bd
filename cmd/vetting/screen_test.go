package main

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
)

// countedLedger counts who reads in it.
type countedLedger struct {
	core.Ledger

	views int
}

func (c *countedLedger) View(context.Context, func(core.Reader) error) error {
	c.views++

	return nil
}

// TestWhatIsLeftIsNotReadWithEachHeartbeat, and what was kept of runs that have ended is
// dropped.
func TestWhatIsLeftIsNotReadWithEachHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger := &countedLedger{}
		s := &screens{ledger: ledger, log: slog.New(slog.DiscardHandler)}

		for range 60 { // ten minutes
			s.Left(t.Context(), "01JD4X00000000000000000011")
			time.Sleep(10 * time.Second)
		}

		if ledger.views < 9 || ledger.views > 10 {
			t.Errorf("read %d times", ledger.views)
		}

		for i := range 2 * mostLefts {
			s.Left(t.Context(), core.RunID(fmt.Sprint(i)))
		}

		if n := len(s.lefts); n > mostLefts {
			t.Errorf("%d are kept", n)
		}

		time.Sleep(2 * time.Minute)
		s.Left(t.Context(), "01JD4X00000000000000000011")

		if n := len(s.lefts); n != 1 {
			t.Errorf("%d are kept", n)
		}
	})
}
