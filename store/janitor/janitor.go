package janitor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"vetting/core"
	"vetting/core/retention"
	"vetting/store/artifact"
	"vetting/store/runlog"
)

// Config says what is kept how long, and how often it is looked at.
type Config struct {
	Policy   retention.Policy
	Interval time.Duration // between sweeps; 0: 60 min
}

const defaultInterval = time.Hour

// Validate names what makes no sense, joined.
func (c *Config) Validate() error {
	err := c.Policy.Validate()
	if c.Interval < 0 || c.Interval > 0 && c.Interval < time.Minute {
		err = errors.Join(err, fmt.Errorf("janitor.interval: %v is less than a minute", c.Interval))
	}

	return err
}

// Logs is the logs of runs (*runlog.Log).
type Logs interface {
	List(ctx context.Context) ([]runlog.Kept, error)
	Forget(ctx context.Context, run core.RunID) error
}

// Shelf is the files that agents left (*artifact.Shelf).
type Shelf interface {
	List(ctx context.Context) ([]artifact.Kept, error)
	Forget(ctx context.Context, sum string, before time.Time) (bool, error)
}

// Collector gives back disk space that the ledger no longer needs (*store.Store).
type Collector interface {
	Collect(ctx context.Context) error
}

// Ports is what a Janitor needs. Collector, Log, Now and Uptime may be nil.
type Ports struct {
	Ledger    core.Ledger
	Logs      Logs
	Shelf     Shelf
	Collector Collector
	Log       *slog.Logger
	Now       func() time.Time
	Uptime    func() time.Duration // a clock that nobody sets
}

// Janitor removes what is old. Safe for concurrent use, except Run, which is
// called once.
type Janitor struct {
	config  atomic.Pointer[Config]
	changed chan struct{} // holds one when Reload was called
	ports   Ports

	bounds
}

// New returns a Janitor, or what is wrong with config.
func New(config Config, ports Ports) (*Janitor, error) {
	if ports.Log == nil {
		ports.Log = slog.New(slog.DiscardHandler)
	}

	if ports.Now == nil {
		ports.Now = time.Now
	}

	if ports.Uptime == nil {
		start := time.Now()
		ports.Uptime = func() time.Duration { return time.Since(start) }
	}

	j := &Janitor{ports: ports, changed: make(chan struct{}, 1), bounds: usual()}

	return j, j.Reload(config)
}

// Reload puts another configuration in force, from the next sweep on, which is one
// Interval away. When it makes no sense, the error says how, and the old one stays.
func (j *Janitor) Reload(config Config) error {
	if err := config.Validate(); err != nil {
		return err
	}

	if config.Interval == 0 {
		config.Interval = defaultInterval
	}

	j.config.Store(&config)

	select {
	case j.changed <- struct{}{}:
	default: // Run has not seen the change before either
	}

	return nil
}

// Run sweeps every Interval until ctx ends, beginning one Interval after the
// start. What cannot be removed is logged and tried again at the next sweep.
func (j *Janitor) Run(ctx context.Context) error {
	w, err := j.watch(ctx)
	if err != nil {
		return err
	}

	tick := time.NewTicker(j.config.Load().Interval)
	defer tick.Stop()

	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-j.changed:
			tick.Reset(j.config.Load().Interval)

			continue
		case <-tick.C:
		}

		if !w.even(j.ports.Now(), j.ports.Uptime()) {
			j.ports.Log.Warn("nothing is removed while the clock does not run evenly")

			continue
		}

		j.round(ctx)
	}
}

// round is one sweep of Run.
func (j *Janitor) round(ctx context.Context) {
	done, err := j.Sweep(ctx)
	if ctx.Err() != nil {
		return
	}

	if err != nil {
		j.ports.Log.Error("sweep not finished", slog.Any("error", err))
	}

	if len(done.Items) > 0 {
		j.ports.Log.Info("old files removed", slog.Int("files", len(done.Items)), slog.Int64("bytes", done.Bytes))
	}

	if j.ports.Collector == nil {
		return
	}

	if err := j.ports.Collector.Collect(ctx); err != nil && ctx.Err() == nil {
		j.ports.Log.Warn("disk space not given back", slog.Any("error", err))
	}
}
