package storage

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"vetting/agent/worker"
)

// silence is how long a disk may take for one request: the kernel itself gives up
// after half a minute, and tries again a few times.
const silence = 3 * time.Minute

// leaseEach is how often the worker hears until when it may write.
const leaseEach = time.Second

// Starter starts workers; worker.Runner is one.
type Starter interface {
	Start(ctx context.Context, spec worker.Spec, hear func(worker.Message)) *worker.Process
}

// Test is a test of disks. All fields are set but OverrideUntil and Told.
type Test struct {
	Workers Starter
	Job     Job
	// Lease returns until when the run may write, OverrideUntil until when its
	// overrides count; both by the clock of the wall.
	Lease         func() time.Time
	OverrideUntil time.Time
	// Told gets how a disk stands, every few seconds. It is called from one goroutine
	// and must not block for long. It returns whether the tally was kept, so that a later
	// process finds it; one with a Note is to be kept at once.
	Told func(Tally) (kept bool)
}

// Report is what came of it.
type Report struct {
	Tallies map[string]Tally // by the ID of the disk
	Exit    worker.Exit
	Took    time.Duration
}

// Key names a disk in a Report.
func (t *Tally) Key() string { return cmp.Or(t.ID, t.Serial, t.Name) }

// course is a test under way.
type course struct {
	test Test
	kept atomic.Uint64 // note of the last tally that was kept
	news chan struct{} // there is another

	mu      sync.Mutex // guards what is below while the worker lives
	tallies map[string]Tally
}

// hear takes what the worker tells.
func (c *course) hear(m worker.Message) {
	if m.Type != worker.Event || m.Kind != EventTally {
		return
	}

	var tally Tally
	if m.Decode(&tally) != nil {
		return // its end tells that the worker broke the rules
	}

	c.mu.Lock()
	c.tallies[tally.Key()] = tally
	c.mu.Unlock()

	if c.test.Told != nil && !c.test.Told(tally) || tally.Note <= c.kept.Load() {
		return
	}

	c.kept.Store(tally.Note)

	select {
	case c.news <- struct{}{}:
	default:
	}
}

// order renews the worker's lease until it is over.
func (c *course) order(p *worker.Process) {
	ticker := time.NewTicker(leaseEach)
	defer ticker.Stop()

	for {
		select {
		case <-p.Over():
			return
		case <-ticker.C:
		case <-c.news:
		}

		_ = p.Send(Order{Lease: boot(c.test.Lease()), Kept: c.kept.Load()}) // one that is over is waited for by Run
	}
}

// Run tests disks until all are done, or ctx ends.
func Run(ctx context.Context, t Test) Report {
	begin := time.Now()
	t.Job.Lease, t.Job.OverrideUntil = boot(t.Lease()), boot(t.OverrideUntil)

	c := &course{test: t, news: make(chan struct{}, 1), tallies: map[string]Tally{}}
	p := t.Workers.Start(ctx, worker.Spec{Kind: WorkerKind, Name: "disks", Config: t.Job, Silence: silence}, c.hear)

	var orders sync.WaitGroup

	orders.Go(func() { c.order(p) })

	exit := p.Wait()
	orders.Wait()

	c.mu.Lock()
	defer c.mu.Unlock()

	return Report{Tallies: maps.Clone(c.tallies), Exit: exit, Took: time.Since(begin)}
}

// boot is a moment of the wall clock by the one that cannot be set.
func boot(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}

	return boottime() + int64(time.Until(at))
}

// Save is a checkpoint, as long as it fits: of how all disks stand, or at least of how far
// each is.
func Save(seed uint64, tallies map[string]Tally, room int) []byte {
	for _, shorten := range []func(*Tally){short, bare} {
		kept := checkpoint{Seed: seed, Disks: map[string]Tally{}}

		for key := range tallies {
			t := tallies[key]
			t.Note, t.Curves = 0, nil
			t.Mark.Wrong = t.Mark.Wrong[:min(4, len(t.Mark.Wrong))]
			shorten(&t)
			kept.Disks[key] = t
		}

		if raw, err := json.Marshal(kept); err == nil && len(raw) <= room {
			return raw
		}
	}

	return nil
}

// short leaves of a tally what its figures and findings are made of.
func short(t *Tally) {
	const (
		points   = 8
		shortest = time.Second // that anybody is told of
	)

	t.Reads, t.Writes = t.Reads.longer(shortest), t.Writes.longer(shortest)
	slow := map[string][]Point{}

	for what, list := range t.Slow {
		slow[what] = thin(list, points)
	}

	t.Slow = slow
}

// bare leaves how far the test is, and the slowest requests.
func bare(t *Tally) {
	t.Slow = nil
	t.Reads, t.Writes, t.Random = Histogram{Most: t.Reads.Most}, Histogram{Most: t.Writes.Most}, Histogram{Most: t.Random.Most}
}

type checkpoint struct {
	Seed  uint64           `json:"seed"`
	Disks map[string]Tally `json:"disks"`
}

// Load reads a checkpoint.
func Load(raw []byte) (seed uint64, tallies map[string]Tally, ok bool) {
	var kept checkpoint
	if len(raw) == 0 || json.Unmarshal(raw, &kept) != nil {
		return 0, nil, false
	}

	return kept.Seed, kept.Disks, true
}
