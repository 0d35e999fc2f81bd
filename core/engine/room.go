package engine

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/problem"
)

// maxUnkept bounds the times noted of one run; the last one goes on then.
const maxUnkept = 64

// watchRoom looks whether raw samples may be kept, and tells once when that has
// changed.
func (e *Engine) watchRoom(ctx context.Context) {
	shed := e.Shed()
	if e.shedding.Swap(shed) == shed {
		return
	}

	code, text := problem.StoreKeepingSamples, "there is room again: raw samples are kept"
	if shed {
		code, text = problem.StoreSheddingSamples, "the disk is nearly full: raw samples are not kept; verdicts are judged of all of them as before"
	}

	if err := e.write(ctx, func(c *change) error { return c.notice("", "", code, text) }); err != nil {
		e.Log.Error("notice lost", slog.String("text", text), slog.String("error", err.Error()))
	}
}

// unkept reports whether the raw samples of the run are not kept now, as far as its
// record says.
func (l *life) unkept() bool {
	n := len(l.run.Unkept)

	return n > 0 && l.run.Unkept[n-1].To.IsZero()
}

// noteUnkept notes that from now on raw samples of the run are not kept, or are
// again.
func (c *change) noteUnkept(l *life, shed bool) error {
	n := len(l.run.Unkept)

	switch {
	case !shed:
		l.run.Unkept[n-1].To = c.now
	case n == maxUnkept:
		l.run.Unkept[n-1].To = time.Time{}
	default:
		l.run.Unkept = append(l.run.Unkept, core.Unkept{From: c.now})
	}

	return c.saveRun(l)
}

// tellUnkept ends what goes on of it with the run, and puts it on the report.
func (c *change) tellUnkept(l *life) error {
	if l.unkept() {
		l.run.Unkept[len(l.run.Unkept)-1].To = c.now
	}

	told := slices.ContainsFunc(l.run.Findings, func(f core.Finding) bool { return f.Code == problem.StoreSheddingSamples })
	if len(l.run.Unkept) == 0 || told {
		return nil
	}

	times := make([]string, len(l.run.Unkept))
	for i, u := range l.run.Unkept {
		times[i] = fmt.Sprintf("from %s to %s", u.From.UTC().Format("2006-01-02 15:04:05"), u.To.UTC().Format("2006-01-02 15:04:05 MST"))
	}

	return c.markRun(l, problem.Finding(problem.StoreSheddingSamples, core.Info, "", core.Part{Kind: "appliance"},
		"raw series not kept "+strings.Join(times, ", ")))
}
