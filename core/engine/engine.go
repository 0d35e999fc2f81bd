package engine

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"vetting/core"
	"vetting/core/profile"
	"vetting/core/report"
	"vetting/core/retention"
	"vetting/core/signal"
	"vetting/core/spec"
)

// Clock tells the time of day.
type Clock interface {
	Now() time.Time
}

// Power switches hosts.
type Power interface {
	// Do carries one order out by the one way it names, and returns what it took. It
	// ends within a minute. Nothing may happen to a host that is as wanted already.
	// Safe for concurrent use.
	Do(ctx context.Context, order core.PowerOrder) core.PowerAnswer
}

// Config is what the engine is made of. Fields without a default must be set.
type Config struct {
	Ledger   core.Ledger
	Clock    Clock
	Tick     <-chan time.Time // a tick a second, as from time.Tick: deadlines are looked at then
	Rand     io.Reader        // cryptographically strong
	Bell     *signal.Bell
	Profiles []core.Profile
	// ProfilesAt says where those of the configuration file stand, by name.
	ProfilesAt map[string]string
	// ProfileText reads the profiles that are made in the console; nil: none are.
	ProfileText ProfileLanguage
	// ParseSpec reads an expected spec; the error is for people and names line
	// and column.
	ParseSpec func(yaml string) (spec.Spec, error)
	// SeedFile writes what the agent gets in its seed archive.
	SeedFile func(core.Seed) ([]byte, error)
	// WriteSpec writes a spec so that ParseSpec reads the same.
	WriteSpec func(spec.Spec) (string, error)
	Power     Power
	// Serial reaches serial consoles; nil: nothing does.
	Serial Serial
	// Firmware judges versions; nil: nobody does, and nothing is kept of them beside
	// the inventory.
	Firmware FirmwareJudge
	// CheckPower names what is wrong with the power settings of a host, joined;
	// secrets may be missing. nil: what core knows of them is enough.
	CheckPower func(core.Host, core.HostSecret) error
	Appliance  report.Appliance
	// Retention is the policy in force, which reports tell; nil: they say nothing of it.
	// Safe for concurrent use.
	Retention func() retention.Policy
	Log       *slog.Logger

	// HoldSecret makes the keys of holds; 32 bytes or more that only the appliance
	// knows, the same after a restart, and not kept in the ledger. Default: drawn
	// now, so that a restart makes the keys of open holds impossible to hand out.
	HoldSecret []byte
	// TokenSecret makes the tokens of runs, which are kept nowhere; what holds for
	// HoldSecret holds for it. Default: drawn now, so that after a restart a host that
	// has fetched its boot script has to fetch it again.
	TokenSecret []byte
	// TerminalKey is the line of authorized_keys by which the appliance itself may
	// enter held hosts, for the web terminal. Empty: it may not.
	TerminalKey string

	// Uptime grows evenly whatever is done to the clock. Default: the monotonic
	// part of what Clock tells.
	Uptime func() time.Duration

	// Shed reports whether the disk is so full that raw samples are not to be kept.
	// It is asked once a tick. Default: never.
	Shed func() bool

	MaxConcurrent     int           // runs under way at once; default 3
	BootDeadline      time.Duration // from its turn to the claim; default 15 min
	HeartbeatInterval time.Duration // default 15 s
	Stale             time.Duration // without a heartbeat; default 60 s
	Lost              time.Duration // without a heartbeat; default 5 min
	BootTokenTTL      time.Duration // default 10 min
	Hold              time.Duration // of a failed host; default 24 h
	LastWord          time.Duration // a finished run still answers heartbeats; default 15 min
	Patience          time.Duration // with one way to switch a host on before the next is tried; default 4 min
	Trash             time.Duration // a deleted host can be brought back; default core.TrashLife
	HostSilence       time.Duration // an installed agent without a beat counts as offline; default 90 s

	// Overlay returns the overlay of a name; core.ErrNotFound when there is none.
	// Default: there are none.
	Overlay func(name string) (core.Overlay, error)

	TrustLAN bool   // installed hosts need no signature and no approval to be told to reboot
	EnrolKey string // what an installed host must know to register itself; empty: nothing
	// Stages are those that profiles may have. Default: all that this version has.
	Stages []core.StageName
}

// Engine is the writer. New makes one.
type Engine struct {
	Config

	profiles  atomic.Pointer[profileBook] // in place of Config.Profiles
	editing   sync.Mutex                  // held while the profiles are put together anew, and while one is set
	index     *index
	ids       *ids
	judges    *judges
	passes    *passes
	presences *presences
	ladders   *ladders
	panels    *panels
	graces    *graces

	kick    chan struct{}      // the dispatcher has reason to look
	errands chan errand        // orders for hosts' power
	steps   chan core.BootStep // what was seen of boots, not yet taken down
	witness *witness           // owned by Run
	jump    *jump              // when the clock was set
	swept   time.Duration      // owned by Run: when the trash was looked into

	shedding atomic.Bool // raw samples are not kept
	starved  atomic.Bool // the ledger has refused a write for want of space

	begin sync.Once // Run was called
}

// New returns an engine that has read nothing yet: until Run has, Decide ignores
// everybody. The error joins everything wrong with the configuration.
func New(config Config) (*Engine, error) {
	config.MaxConcurrent = cmp.Or(config.MaxConcurrent, 3)
	config.BootDeadline = cmp.Or(config.BootDeadline, 15*time.Minute)
	config.HeartbeatInterval = cmp.Or(config.HeartbeatInterval, 15*time.Second)
	config.Stale = cmp.Or(config.Stale, time.Minute)
	config.Lost = cmp.Or(config.Lost, 5*time.Minute)
	config.BootTokenTTL = cmp.Or(config.BootTokenTTL, 10*time.Minute)
	config.Hold = cmp.Or(config.Hold, 24*time.Hour)
	config.LastWord = cmp.Or(config.LastWord, 15*time.Minute)
	config.Patience = cmp.Or(config.Patience, 4*time.Minute)
	config.Trash = cmp.Or(config.Trash, core.TrashLife)
	config.HostSilence = cmp.Or(config.HostSilence, 90*time.Second)

	if config.Uptime == nil {
		start := config.Clock.Now()
		config.Uptime = func() time.Duration { return config.Clock.Now().Sub(start) }
	}

	if config.Shed == nil {
		config.Shed = func() bool { return false }
	}

	if config.Overlay == nil {
		config.Overlay = func(name string) (core.Overlay, error) { return core.Overlay{}, noOverlay(name) }
	}

	if err := config.Validate(); err != nil {
		return nil, err
	}

	for _, secret := range []*[]byte{&config.HoldSecret, &config.TokenSecret} {
		if len(*secret) > 0 {
			continue
		}

		*secret = make([]byte, sha256.Size)
		if _, err := io.ReadFull(config.Rand, *secret); err != nil {
			return nil, fmt.Errorf("drawing a secret: %w", err)
		}
	}

	e := &Engine{
		Config: config,
		index:  newIndex(),
		ids:    &ids{random: config.Rand},
		judges: newJudges(), passes: newPasses(), presences: newPresences(), ladders: newLadders(), panels: &panels{told: map[core.MAC]core.Panel{}, asked: map[core.MAC]bool{}, wrong: map[core.MAC]refusal{}},
		kick:    make(chan struct{}, 1),
		errands: make(chan errand, maxErrands),
		steps:   make(chan core.BootStep, 2048),

		witness: newWitness(),
		jump:    &jump{},
		graces:  &graces{ends: map[core.RunID]time.Duration{}},
	}

	return e, e.SetProfiles(config.Profiles, config.ProfilesAt)
}

// Validate says what of the configuration makes no sense.
func (c *Config) Validate() error {
	errs := []error{profile.CheckAll(c.Profiles, c.Stages...)}

	say := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}

	say(c.MaxConcurrent < 1, "max_concurrent_runs must be at least 1, not %d", c.MaxConcurrent)
	say(len(c.Profiles) == 0, "there must be a profile")
	say(c.HeartbeatInterval <= 0 || c.Stale < c.HeartbeatInterval, "stale %s must not be shorter than the heartbeat of %s", c.Stale, c.HeartbeatInterval)
	say(c.Lost < c.Stale, "lost %s must not be shorter than stale %s", c.Lost, c.Stale)
	say(c.BootDeadline <= 0, "boot deadline %s must be positive", c.BootDeadline)
	say(c.BootTokenTTL <= 0, "boot token lifetime %s must be positive", c.BootTokenTTL)
	say(c.Patience <= 0 || c.HostSilence <= 0, "patience %s and host silence %s must be positive", c.Patience, c.HostSilence)
	say(c.Trash < 0, "the trash is kept for %s, which must not be negative", c.Trash)
	say(c.Hold <= 0 || c.LastWord <= 0, "hold %s and last word %s must be positive", c.Hold, c.LastWord)

	say(len(c.HoldSecret) > 0 && !isSecret(c.HoldSecret), "the secret of holds must be %d bytes of chance or more", sha256.Size)
	say(len(c.TokenSecret) > 0 && !isSecret(c.TokenSecret), "the secret of tokens must be %d bytes of chance or more", sha256.Size)

	return errors.Join(errs...)
}

// Run goes on where the ledger says, then watches deadlines and the queue until
// ctx ends. It must be called once.
func (e *Engine) Run(ctx context.Context) error {
	first := false
	e.begin.Do(func() { first = true })

	if !first {
		return errors.New("starting the engine: it runs already")
	}

	if err := e.resume(ctx); ctx.Err() != nil {
		return nil // it was to end before it had begun
	} else if err != nil {
		return fmt.Errorf("resuming runs from the ledger: %w", err)
	}

	var running sync.WaitGroup

	for range runners {
		running.Go(func() { e.runErrands(ctx) })
	}

	defer running.Wait()

	e.watchRoom(ctx)
	e.dispatch(ctx)

	for {
		select {
		case <-ctx.Done():
			e.drainSteps()

			// All of them, unless one cannot be written.
			for left := -1; len(e.witness.steps) != left; {
				left = len(e.witness.steps)
				e.takeDown(context.WithoutCancel(ctx))
			}

			return nil
		case <-e.Tick:
			e.tick(ctx)
		case <-e.kick:
			e.dispatch(ctx)
		case step := <-e.steps:
			e.witness.add(step, e.index.known(step.MAC))
		}
	}
}

// nudge tells the dispatcher that something has changed.
func (e *Engine) nudge() {
	select {
	case e.kick <- struct{}{}:
	default:
	}
}
