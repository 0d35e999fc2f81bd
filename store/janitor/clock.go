package janitor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vetting/core"
)

const (
	// slack is how far the clock may wander between sweeps.
	slack = 10 * time.Minute
	// absence is how long the appliance may have been off without its clock being
	// doubted when it comes back.
	absence = 7 * 24 * time.Hour
	// doubt is how long the clock must run evenly after that.
	doubt = 24 * time.Hour
	// sweptKey is where the time of the last sweep stands in TableSetting.
	sweptKey = "janitor-swept"
)

// watch sees whether the clock can be trusted.
type watch struct {
	wall    time.Time     // at the last look
	uptime  time.Duration // likewise
	doubted bool
	since   time.Duration // uptime when the doubt began
}

// watch starts one. The clock is doubted from the start when it is before the
// last sweep, or long after it.
func (j *Janitor) watch(ctx context.Context) (*watch, error) {
	w := &watch{wall: j.ports.Now(), uptime: j.ports.Uptime()}

	var swept time.Time

	err := j.ports.Ledger.View(ctx, func(r core.Reader) error { return r.Get(core.TableSetting, sweptKey, &swept) })
	if errors.Is(err, core.ErrNotFound) {
		return w, nil
	}

	if err != nil {
		return nil, fmt.Errorf("reading when was last swept: %w", err)
	}

	if gap := w.wall.Sub(swept); gap < -slack || gap > absence {
		w.doubted, w.since = true, w.uptime
	}

	return w, nil
}

// even reports whether the clock has run evenly for long enough.
func (w *watch) even(wall time.Time, uptime time.Duration) bool {
	drift := wall.Round(0).Sub(w.wall.Round(0)) - (uptime - w.uptime)
	w.wall, w.uptime = wall, uptime

	if drift < -slack || drift > slack {
		w.doubted, w.since = true, uptime
	}

	if w.doubted && uptime-w.since >= doubt {
		w.doubted = false
	}

	return !w.doubted
}
