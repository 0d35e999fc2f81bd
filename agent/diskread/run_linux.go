package diskread

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"vetting/agent/worker"
)

// silence is how long a disk may take for one request: the kernel itself gives up
// after half a minute, and tries again a few times.
const silence = 3 * time.Minute

// Starter starts workers; worker.Runner is one.
type Starter interface {
	Start(ctx context.Context, spec worker.Spec, hear func(worker.Message)) *worker.Process
}

// Test is a reading of disks.
type Test struct {
	Workers Starter
	Targets []Target
	Seed    uint64
	Fault   *Fault // planted by tests of the tests
	// Told gets what is known so far, every few seconds; may be nil. It is called from
	// one goroutine and must not block.
	Told func(Report)
}

// Report is what came of it.
type Report struct {
	Tallies map[string]Tally // by the disk's name
	Wrong   []Wrong
	Exit    worker.Exit
	Took    time.Duration
}

// Run reads until ctx ends. Without disks it does nothing.
func Run(ctx context.Context, t Test) Report {
	r := Report{Tallies: map[string]Tally{}, Exit: worker.Exit{Reason: worker.Done}}
	if len(t.Targets) == 0 {
		<-ctx.Done()

		return r
	}

	var mu sync.Mutex // guards r while the worker lives

	begin := time.Now()
	spec := worker.Spec{Kind: Kind, Name: "disks", Config: Job{Targets: t.Targets, Seed: t.Seed, Fault: t.Fault}, Silence: silence}

	exit := t.Workers.Start(ctx, spec, func(m worker.Message) {
		mu.Lock()
		defer mu.Unlock()

		r.hear(&m)

		if t.Told != nil && m.Type == worker.Event {
			t.Told(Report{Tallies: maps.Clone(r.Tallies), Wrong: slices.Clone(r.Wrong), Took: time.Since(begin)})
		}
	}).Wait()

	mu.Lock()
	defer mu.Unlock()

	r.Exit, r.Took = exit, time.Since(begin)

	return r
}

// hear takes a message in. What cannot be read is a fault of the worker's, which
// its end tells of.
func (r *Report) hear(m *worker.Message) {
	if m.Type != worker.Event {
		return
	}

	switch m.Kind {
	case EventTally:
		var t Tally
		if m.Decode(&t) == nil {
			r.Tallies[t.Name] = t
		}
	case EventWrong:
		var w Wrong
		if m.Decode(&w) == nil {
			r.Wrong = append(r.Wrong, w)
		}
	}
}
