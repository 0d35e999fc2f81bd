package lookup

import (
	"context"
	"fmt"

	"vetting/core"
)

// logReader is ui.Logs.
type logReader interface {
	ReadLog(ctx context.Context, run core.RunID, after uint64, limit int) ([]core.LogLine, error)
}

// Tail reads the last lines of a run's log, n at most. The port reads forward
// only, so the end is found by doubling and halving.
func Tail(ctx context.Context, logs logReader, run core.RunID, n int) ([]core.LogLine, error) {
	span := uint64(max(0, n))

	past := func(seq uint64) (bool, error) { // is there a line past seq?
		lines, err := logs.ReadLog(ctx, run, seq, 1)

		return len(lines) > 0, err
	}

	hi, err := end(past, span)
	if err != nil {
		return nil, fmt.Errorf("reading the log of %s: %w", run, err)
	}

	lines, err := logs.ReadLog(ctx, run, hi-min(hi, span), n)
	if err != nil {
		return nil, fmt.Errorf("reading the log of %s: %w", run, err)
	}

	return lines, nil
}

// end finds a number that no line is past and that is near the last one: half a
// span at most.
func end(past func(uint64) (bool, error), span uint64) (uint64, error) {
	lo, hi := uint64(0), span

	more, err := past(hi)
	for ; more && err == nil; more, err = past(hi) {
		lo, hi = hi, hi*2
	}

	for err == nil && hi-lo > span/2+1 {
		mid := lo + (hi-lo)/2

		if more, err = past(mid); more {
			lo = mid
		} else {
			hi = mid
		}
	}

	return hi, err
}
