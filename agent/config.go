package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"vetting/agent/screen"
	"vetting/agent/stage"
	"vetting/agent/wire"
	"vetting/core"
)

// Dial opens a connection to the appliance.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// Config is what the machine's side tells the conversation. What is not marked
// optional must be set.
type Config struct {
	Seed    wire.Seed
	Stages  map[core.StageName]stage.Func
	Watches []stage.Watch // look after the machine around each stage; optional
	// Whole reports whether the overlays of a run arrived whole; it is asked before a stage
	// may use them. Optional.
	Whole func(env stage.Env) bool
	// Custom runs the custom stages that follow a stage, whose own result it is given;
	// optional: there are none.
	Custom       func(ctx context.Context, name core.StageName, env stage.Env, own *core.Result) stage.Seen
	Identity     core.Identity
	BootID       string // /proc/sys/kernel/random/boot_id
	Kernel       string // uname -r
	FirmwareMode string // "bios" or "uefi"
	SecureBoot   bool
	ImageID      string   // SHA-256 of the running image's manifest; optional
	Version      string   // of the agent
	IP           string   // leased address; optional
	MAC          core.MAC // of the NIC the machine booted from
	StateDir     string   // holds the session file; lives as long as the boot (/run/vetting)
	// Bring hands over, once and whatever state the run is in, files about the time
	// before the agent; optional. It returns when ctx ends.
	Bring func(ctx context.Context, keep func(name string, content []byte))
	// PowerOff is called once the run is Completed and everything is sent.
	PowerOff func() error
	// Restart is called in its place where the machine is to start anew; nil: it is
	// powered off.
	Restart func() error
	// OpenDoor opens the machine to the operator while it is held; the door is shut
	// before anything else happens. What log gets is in the log of the run. nil: a
	// held machine lets nobody in.
	OpenDoor func(ctx context.Context, log *slog.Logger) (Door, error)
	// Light has a part of the machine found by its light until ctx ends, and calls lit with
	// where it is once it is on; where ctx has ended already, it is only put out. nil: there
	// is no light.
	Light func(ctx context.Context, kind, name string, lit func(where string)) error
	// SetClock sets the machine's clock; it is called when the clock is more
	// than half a second from the appliance's.
	SetClock func(time.Time) error
	// Show has a view painted on the machine's own screen, soon; it must not wait. nil:
	// there is none.
	Show func(screen.View)
	// Log is the machine's console.
	Log *slog.Logger
	// Journal takes the lines for the run's log; optional: give one to have
	// lines from before Run in it.
	Journal *Journal
	// Dial is net.Dialer's with a timeout when nil.
	Dial Dial
	// Uptime tells how long the machine is up; nil counts from Run.
	Uptime func() time.Duration
}

// check demands what Run cannot do without.
func (c *Config) check() error {
	var errs []error

	if err := c.Seed.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("reading the seed: %w", err))
	}

	if c.BootID == "" {
		errs = append(errs, errors.New("the boot id is missing"))
	}

	if c.StateDir == "" || c.PowerOff == nil || c.SetClock == nil || c.Log == nil {
		errs = append(errs, errors.New("state directory, power-off, clock and log must be given"))
	}

	return errors.Join(errs...)
}

func (c *Config) fill() {
	if c.Journal == nil {
		c.Journal = NewJournal()
	}

	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	}

	if c.Uptime == nil {
		begin := time.Now()
		c.Uptime = func() time.Duration { return time.Since(begin) }
	}
}
