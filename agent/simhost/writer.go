package simhost

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"vetting/agent/stage"
	"vetting/core"
)

// Writer is a pretend Storage stage: it writes a block a second to every armed
// disk, as long as it may. It passes over no disk with foreign data unless an
// override names it, and writes nothing once its lease is past. Safe for
// concurrent use.
type Writer struct {
	Foreign []string // serials of disks that hold somebody's data
	Blocks  int      // to write to each disk

	mu     sync.Mutex
	blocks []Block  // guarded by mu
	begun  []string // guarded by mu: the overrides of each try, joined
}

// Block is one that was written.
type Block struct {
	Serial string
	At     time.Time
	Lease  time.Time // until when it was allowed
}

// Written returns what was written so far.
func (w *Writer) Written() []Block {
	w.mu.Lock()
	defer w.mu.Unlock()

	return slices.Clone(w.blocks)
}

// Tries returns the overrides that each start of the stage was given.
func (w *Writer) Tries() []string {
	w.mu.Lock()
	defer w.mu.Unlock()

	return slices.Clone(w.begun)
}

// Perform is the stage.
func (w *Writer) Perform(ctx context.Context, env stage.Env) core.Result {
	w.mu.Lock()
	w.begun = append(w.begun, fmt.Sprint(env.Overrides))
	w.mu.Unlock()

	var armed []string

	for _, d := range env.Disks {
		if !d.Armed {
			continue
		}

		if slices.Contains(w.Foreign, d.Serial) && !slices.Contains(env.Overrides, core.WipeFlag(d.Serial)) {
			return core.Result{Verdict: core.Fail, Coverage: "nothing was written", Findings: []core.Finding{{
				Code: "storage/foreign-data", Severity: core.Critical, Title: "A disk holds data", Part: core.Part{Kind: "disk", Serial: d.Serial},
				Evidence: "pretended", Next: "Override the probe if the data is to go.",
			}}}
		}

		armed = append(armed, d.Serial)
	}

	for done := 0; done < w.Blocks; {
		if lease := env.WriteLease(); time.Now().Before(lease) {
			w.write(armed, lease)

			done++
		}

		env.Progress("writing", float64(done)/float64(w.Blocks), 0)

		select {
		case <-ctx.Done():
			return core.Result{Verdict: core.Error, Coverage: "stopped"}
		case <-time.After(time.Second):
		}
	}

	return core.Result{Verdict: core.Pass, Coverage: fmt.Sprintf("%d of %d disks", len(armed), len(env.Disks))}
}

func (w *Writer) write(serials []string, lease time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()

	for _, serial := range serials {
		w.blocks = append(w.blocks, Block{Serial: serial, At: time.Now(), Lease: lease})
	}
}
