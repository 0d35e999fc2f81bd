package stage_test

import (
	"context"
	"flag"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vetting/agent/collect"
	"vetting/agent/stage"
	"vetting/core"
)

var update = flag.Bool("update", false, "write the golden files")

// bench is what a stage is given, and hears what it says.
type bench struct {
	stage.Env

	mu      sync.Mutex // guards the rest
	samples []core.Sample
	done    []float64
	kept    map[string][]byte
	state   []byte // the last checkpoint
}

func newBench(config map[string]string) *bench {
	b := &bench{kept: map[string][]byte{}}
	b.Env = stage.Env{
		Log: slog.New(slog.DiscardHandler), Config: config, Scale: 1,
		Checkpoint: func(state []byte) bool {
			b.mu.Lock()
			defer b.mu.Unlock()

			b.state = state

			return true
		},
		Keep: func(name string, content []byte) {
			b.mu.Lock()
			defer b.mu.Unlock()

			b.kept[name] = content
		},
		Progress: func(_ string, done float64, _ time.Duration) {
			b.mu.Lock()
			defer b.mu.Unlock()

			b.done = append(b.done, done)
		},
		Sensor: func(samples ...core.Sample) {
			b.mu.Lock()
			defer b.mu.Unlock()

			b.samples = append(b.samples, samples...)
		},
	}

	return b
}

// run plays a stage to its end, in time that does not pass.
func run(t *testing.T, b *bench, f stage.Func) (result core.Result) {
	t.Helper()

	synctest.Test(t, func(t *testing.T) { result = f(t.Context(), b.Env) })

	return result
}

// smart plays the SMART stage over a machine.
func smart(t *testing.T, r *collect.Recording, config map[string]string) core.Result {
	t.Helper()

	return run(t, newBench(config), stage.SMART(r.Machine()))
}

// still is a result without the times of its samples.
func still(result core.Result) core.Result {
	for i := range result.Measurements {
		result.Measurements[i].Time = time.Time{}
	}

	result.Inventory = nil // it has a golden file of its own

	return result
}

func ready(context.Context) error { return nil }

// find returns the findings of a code.
func find(result core.Result, code string) []core.Finding {
	return slices.DeleteFunc(slices.Clone(result.Findings), func(f core.Finding) bool { return f.Code != code })
}
