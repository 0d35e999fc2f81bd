package ras

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"vetting/core"
)

const (
	lookEvery  = time.Second
	pollEvery  = "10\n" // seconds between looks at the banks of machine checks; 300 by default
	bmcTimeout = time.Minute
	gapLimit   = time.Minute // longer between two stages, and people may have been at the machine
	maxLines   = 200_000     // of the kernel's log, kept for its file
	maxEvents  = 10_000
)

// Config is what the collector needs. What is not marked optional must be set.
type Config struct {
	Machine

	Dir     string // where the root of Machine is, for what is opened and written: "/"
	State   string // folder that lives as long as the boot
	BootID  string
	ECC     bool // the firmware says that the memory corrects errors
	Virtual bool // this is a virtual machine
	Shared  bool // an installed system runs on it, whose programs ask disks, too
	// OpenBMC opens the management controller; optional.
	OpenBMC func(context.Context) (BMC, error)
	Log     *slog.Logger
}

// Collector watches over a machine. Safe for concurrent use.
type Collector struct {
	Config
	classes []Class
	ready   chan struct{} // closed when everything listens
	bmcDone chan struct{} // closed when the BMC's log was read for the first time

	mu      sync.Mutex
	log     *kernelLog // guarded by mu; nil: not readable
	trace   *tracer    // guarded by mu; nil: not there
	sel     *selLog    // guarded by mu; nil: no BMC
	kept    kept       // guarded by mu
	boot    []Event    // guarded by mu: what the kernel said before the agent began
	records []Record   // guarded by mu: since the last stage ended
	events  []Event    // guarded by mu: likewise
	bootLog []Record   // guarded by mu: until it is brought home
	wrecks  []string   // guarded by mu: files that a crash before this boot left
	storms  storms     // guarded by mu
	read    []Entry    // guarded by mu: of the BMC's log, in the midst of the stage
	skipped int        // guarded by mu: events and records there was no room for
}

// New returns a collector; Run makes it listen.
func New(c Config) (*Collector, error) {
	classes, err := Classes()

	return &Collector{Config: c, classes: classes, ready: make(chan struct{}), bmcDone: make(chan struct{})}, err
}

// Run listens until ctx ends.
func (c *Collector) Run(ctx context.Context) error {
	c.listen()
	close(c.ready)

	go c.meetBMC(ctx)

	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	defer c.close()

	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			c.look()
		}
	}
}

// listen opens the sources. What the kernel's log holds already is of the start of
// the machine, or was heard by a process before.
func (c *Collector) listen() {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.kept = readKept(c.State, c.BootID)

	interval := filepath.Join(c.Dir, "sys/devices/system/machinecheck/machinecheck0/check_interval")
	if err := os.WriteFile(interval, []byte(pollEvery), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		c.Log.Warn("machine checks are polled every five minutes only", slog.String("error", err.Error()))
	}

	var err error
	if c.log, err = openKernelLog(filepath.Join(c.Dir, "dev/kmsg")); err != nil {
		c.Log.Warn("the kernel's log is not heard", slog.String("error", err.Error()))
	} else {
		c.log.drain(c.hearEarly)
	}

	if c.trace, err = openTracer(filepath.Join(c.Dir, "sys/kernel/tracing")); err != nil {
		c.Log.Info("trace events about faults are not heard", slog.String("error", err.Error()))
	}

	if c.kept.Last.Counters == nil {
		c.kept.Last = c.Read(time.Now())
		c.kept.EndedAt = time.Now()
	}

	c.keep()
}

// hearEarly takes a record that was there when listening began. c.mu is held.
func (c *Collector) hearEarly(r Record) {
	if c.kept.Begun && r.Seq >= c.kept.Seq { // said since a process before this one began the stage
		c.hear(r)

		return
	}

	c.bootLog = append(c.bootLog, r)

	if e, ok := Classify(c.classes, r.Text); ok && r.Kernel {
		c.boot = append(c.boot, e)
	}

	c.kept.Seq = max(c.kept.Seq, r.Seq+1)
}

// look takes in what was said since the look before.
func (c *Collector) look() {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.log != nil {
		c.log.drain(c.hear)
		c.skipped, c.log.lost = c.skipped+c.log.lost, 0
	}

	if c.trace != nil {
		c.trace.drain(c.note)
	}

	c.storms.take(time.Now(), c.pcie)
}

// hear takes a record of the kernel's log. c.mu is held.
func (c *Collector) hear(r Record) {
	if len(c.records) < maxLines {
		c.records = append(c.records, r)
	} else {
		c.skipped++
	}

	if e, ok := Classify(c.classes, r.Text); ok && r.Kernel {
		c.note(e)
	}
}

// note takes an event. c.mu is held.
func (c *Collector) note(e Event) {
	if len(c.events) >= maxEvents {
		c.skipped++

		return
	}

	c.events = append(c.events, e)

	if e.Severity != core.Info {
		c.Log.Warn("the machine reports a fault", slog.String("code", e.Code), slog.String("part", e.Part.Slot), slog.String("said", e.Text))
	}
}

// meetBMC reads the BMC's log for the first time, which may take a minute.
func (c *Collector) meetBMC(ctx context.Context) {
	defer close(c.bmcDone)

	if c.OpenBMC == nil {
		return
	}

	ctx, cancel := context.WithTimeout(ctx, bmcTimeout)
	defer cancel()

	bmc, err := c.OpenBMC(ctx)
	if errors.Is(err, ErrNoBMC) {
		return
	}

	log := &selLog{bmc: bmc}
	if err == nil {
		_, err = log.fresh(ctx)
	}

	if err != nil {
		c.Log.Warn("the BMC's event log is not read", slog.String("error", err.Error()))

		return
	}

	c.mu.Lock()
	defer c.mu.Unlock()

	c.sel = log
}

func (c *Collector) close() {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.log != nil {
		c.log.close()
	}

	if c.trace != nil {
		c.trace.close()
	}

	c.log, c.trace = nil, nil
}
