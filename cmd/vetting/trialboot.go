package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"vetting/core"
	"vetting/core/bootdoctor"
	"vetting/initramfs"
	"vetting/netboot"
	"vetting/netboot/trial"
	"vetting/ui/lookup"
)

// trialReport is what came of the trials.
type trialReport struct {
	OK    bool        `json:"ok"`
	Mode  string      `json:"mode"`
	Boots []trialBoot `json:"boots"`
}

// trialBoot is what came of one machine.
type trialBoot struct {
	Firmware trial.Firmware  `json:"firmware"`
	OK       bool            `json:"ok"`
	Seconds  float64         `json:"seconds"` // from power-on
	Code     string          `json:"code,omitempty"`
	Title    string          `json:"title,omitempty"`
	Evidence string          `json:"evidence,omitempty"`
	Next     string          `json:"next,omitempty"`
	Screen   []string        `json:"screen,omitempty"` // the last lines of its serial console
	Steps    []core.BootStep `json:"steps"`
}

// trials is an appliance that exists for virtual machines to boot from.
type trials struct {
	*appliance

	job     *trialJob
	say     io.Writer // what a person reads while it happens
	segment *trial.Segment
	found   *trialReport
}

// errTried ends the appliance once all was tried.
var errTried = errors.New("all was tried")

// tryBoots is the work of the process that is alone in its namespaces.
func (c *cli) tryBoots(ctx context.Context, config Config, job *trialJob) (found *trialReport, err error) {
	if os.Getpid() != 1 {
		return nil, errors.New("this is started by vetting netboot test alone, in namespaces of its own")
	}

	// What is mounted here nobody else sees, and it goes with this process.
	if err := errors.Join(unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("tmpfs", job.inside, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=700")); err != nil {
		return nil, fmt.Errorf("making a file system for the trial: %w", err)
	}

	t := &trials{job: job, say: io.Discard, found: &trialReport{Mode: config.Netboot.Mode, OK: true}}
	if job.live {
		t.say = c.out
	}

	if t.segment, err = trial.Lay(); err != nil {
		return nil, err
	}

	image, err := initramfs.Open()
	if err == nil {
		err = image.Verify()
	}

	if err != nil {
		return nil, err
	}

	log := io.Discard
	if job.verbose {
		log = c.errs
	}

	overlays := shelf(&config)
	config.DataDir, config.Netboot.Interface = filepath.Join(job.inside, "data"), trial.Card

	if t.appliance, err = newAppliance(config, nil, image, io.Discard, log); err != nil {
		return nil, err
	}

	defer func() { err = errors.Join(err, t.close()) }()

	t.shelf = overlays

	if t.tight, err = kitStore(config.DataDir); err != nil {
		return nil, err
	}

	if err := t.open(ctx, t.openStore, t.openIdentity, t.openEngine, t.openNetboot); err != nil {
		return nil, err
	}

	return t.found, t.all(ctx)
}

// all runs the appliance, and the trials within.
func (t *trials) all(ctx context.Context) error {
	fmt.Fprintf(t.say, "vetting %s, boot image %.12s, mode %s, %s on a network of its own\n", version(), t.image.ID, t.config.Netboot.Mode, t.self)

	parts := []component{
		{"store", t.store.Run},
		{"engine", t.engine.Run},
		{"gate", t.serveGate},
		{"partner", t.servePartner},
		{"netboot", t.netboot.Run},
		{"trials", t.run},
	}

	if mode, err := netboot.ParseMode(t.config.Netboot.Mode); err != nil {
		return err
	} else if mode != netboot.ModeDHCP {
		peer := trial.Peer{Network: t.self, Names: mode == netboot.ModeOff}
		parts = append(parts, component{"peer", func(ctx context.Context) error { return t.segment.Serve(ctx, peer) }})
	}

	if err := t.together(ctx, parts); !errors.Is(err, errTried) {
		return err
	}

	return nil
}

// run tries one machine after the other.
func (t *trials) run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.netboot.Ready():
	}

	for i, firmware := range t.job.wanted {
		boot, err := t.try(ctx, i, firmware)
		if err != nil {
			return err
		}

		t.found.Boots = append(t.found.Boots, boot)
		t.found.OK = t.found.OK && boot.OK
	}

	return errTried
}

// trialWho is who acts for a person in a trial.
const trialWho = "netboot test"

// trialMemory is what the image needs of a machine, in MiB.
const trialMemory = 768

// try boots the i-th machine.
func (t *trials) try(ctx context.Context, i int, firmware trial.Firmware) (boot trialBoot, err error) {
	mac := core.MAC(fmt.Sprintf("52:54:00:7e:57:%02x", i+1))
	machine := &trial.Machine{
		Firmware: firmware, MAC: mac, UUID: fmt.Sprintf("7e577e57-0000-4000-8000-0000000000%02x", i+1), MiB: trialMemory, Dir: t.job.inside,
	}

	id, err := t.await(ctx, mac, firmware)
	if err != nil {
		return boot, err
	}

	guest, err := t.segment.Start(ctx, machine)
	if err != nil {
		return boot, err
	}

	defer guest.Stop()

	fmt.Fprintf(t.say, "\n%s: a machine with %d MiB is switched on\n", firmware, trialMemory)

	boot, err = t.follow(ctx, &trialWatch{firmware: firmware, started: guest.Started, limit: t.job.limit}, guest,
		func() (trialState, error) { return t.look(ctx, mac, id) })
	if err != nil {
		return boot, err
	}

	guest.Stop()

	// It gives its turn back; what became of it is known.
	if _, err := t.engine.CancelRun(ctx, trialWho, id); err != nil && !errors.Is(err, core.ErrConflict) {
		return boot, err
	}

	return boot, nil
}

// await registers a machine, starts a run for it and returns when it may boot.
func (t *trials) await(ctx context.Context, mac core.MAC, firmware trial.Firmware) (core.RunID, error) {
	host := core.Host{MAC: mac, Name: "trial-" + string(firmware), Power: core.Power{Method: core.PowerManual}}
	if _, err := t.engine.RegisterHost(ctx, trialWho, host); err != nil {
		return "", err
	}

	run, err := t.engine.StartRun(ctx, mac, core.StartRun{Profile: "quick", Who: trialWho})
	if err != nil {
		return "", err
	}

	every := time.NewTicker(bootEvery)
	defer every.Stop()

	for t.engine.Decide(core.BootClient{MAC: mac, Kind: core.ClientBIOS}).Action != core.BootVet {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-every.C:
		}
	}

	return run.ID, nil
}

// look reads what was seen of the boot, and where the run stands.
func (t *trials) look(ctx context.Context, mac core.MAC, id core.RunID) (s trialState, err error) {
	err = t.store.View(ctx, func(r core.Reader) error {
		var trace core.BootTrace
		if err := r.Get(core.TableBoot, string(mac), &trace); err != nil && !errors.Is(err, core.ErrNotFound) {
			return err
		}

		run, err := lookup.Run(r, id)
		s.now, s.steps, s.run = time.Now(), trace.Steps, run.State

		return err
	})

	return s, err
}

// trialGuest is a machine that was switched on.
type trialGuest interface {
	Done() <-chan struct{}
	Err() error
	Screen(lines int) []string
}

// follow says what is seen of a boot until it is through or stands still.
func (t *trials) follow(ctx context.Context, w *trialWatch, guest trialGuest, look func() (trialState, error)) (boot trialBoot, err error) {
	every := time.NewTicker(bootEvery)
	defer every.Stop()

	for {
		off := false

		select {
		case <-ctx.Done():
			return boot, ctx.Err()
		case <-guest.Done():
			off = true
		case <-every.C:
		}

		s, err := look()
		if err != nil {
			return boot, err
		}

		s.off, s.died = off, guest.Err()

		for _, step := range s.steps[min(w.told, len(s.steps)):] {
			fmt.Fprintln(t.say, w.line(&step))
		}

		w.told = len(s.steps)

		if boot, over := w.judge(&s); over {
			if !boot.OK {
				boot.Screen = guest.Screen(trialLines)
			}

			boot.Steps = s.steps
			boot.tell(t.say)

			return boot, nil
		}
	}
}

// trialLines is how much of the serial console is shown of a machine that did not boot.
const trialLines = 12

// trialState is what is known of a boot at a moment.
type trialState struct {
	now   time.Time
	steps []core.BootStep
	run   core.State
	off   bool  // the machine is off
	died  error // why; nil: it switched itself off
}

// trialWatch judges the boot of a machine.
type trialWatch struct {
	firmware trial.Firmware
	started  time.Time
	limit    time.Duration

	told  int                  // steps that were said
	cause bootdoctor.Diagnosis // that holds now; empty: none
	since time.Time            // since when
}

// trialGrace is how long a cause must hold: what firmware refuses and the ladder mends is
// over by then.
const trialGrace = 20 * time.Second

// judge says what came of the boot; over is false as long as that is open.
func (w *trialWatch) judge(s *trialState) (boot trialBoot, over bool) {
	boot = trialBoot{Firmware: w.firmware, Seconds: s.now.Sub(w.started).Seconds()}
	cause, ill := bootdoctor.Diagnose(s.steps, s.now)

	if cause.Code != w.cause.Code {
		w.cause, w.since = cause, s.now
	}

	switch {
	case slices.Contains(core.Pipeline(), core.StageName(s.run)):
		boot.OK = true

		return boot, true
	case s.off && s.died != nil:
		boot.Title, boot.Next = "The virtual machine came to nothing", "See what it said below."
		boot.Evidence = s.died.Error()
	case ill && (s.off || s.now.Sub(w.since) >= trialGrace):
		boot.Code, boot.Title, boot.Evidence, boot.Next = cause.Code, cause.Title, cause.Evidence, cause.Next
	case s.off:
		boot.Title, boot.Evidence = "The virtual machine switched itself off or started anew", w.last(s)
		boot.Next = "See what it said below: a kernel that fails starts the machine anew after 30 s."
	case s.now.Sub(w.started) > w.limit:
		boot.Title, boot.Evidence = "The machine has not booted in "+w.limit.String(), w.last(s)
		boot.Next = "Give it longer with --timeout where this machine is slow: without KVM an emulated one takes a minute or two. See what it said below."
	default:
		return boot, false
	}

	return boot, true
}

// last says what was seen last.
func (w *trialWatch) last(s *trialState) string {
	if len(s.steps) == 0 {
		return "nothing was heard of it"
	}

	return "last seen: " + w.line(&s.steps[len(s.steps)-1])
}

// line is a step in words, with the time since power-on.
func (w *trialWatch) line(s *core.BootStep) string {
	words, ok := map[string]string{
		"discover": "asks for an address", "offer": "is offered an address", "request": "takes the offer", "ack": "has its address",
		"dhcp6": "asks for an address by IPv6", "tftp-probe": "asks how large a file is", "tftp": "was sent a file",
		"tftp-missing": "looked for a file that there is not", "http-missing": "looked for a file that there is not",
		"tftp-failed": "a transfer broke off", "loader": "loads its boot program", "script": "asked what to boot", "parked": "was told to wait",
		"kernel": "loads the kernel", "initrd": "loads the image", "seed": "has fetched the one-time token of its run", "seed-refused": "was refused a token",
		"boot-failed": "gave up", "hello": "its agent speaks", "stand": "is sent this, by whatever name", "rung": "gets another boot program", "way-home": "is sent to its disk by another way", "rogue": "another DHCP server", "pool-empty": "no address is left",
	}[s.Kind]
	if !ok {
		words = s.Kind
	}

	line := fmt.Sprintf("%8.3f s  %-5s  %s", s.Time.Sub(w.started).Seconds(), s.Client.Kind, words)
	if s.Detail != "" {
		line += ": " + s.Detail
	}

	if s.Addr.IsValid() && (s.Kind == "offer" || s.Kind == "ack") {
		line += " (" + s.Addr.String() + ")"
	}

	return line
}

// tell says what came of a machine.
func (b *trialBoot) tell(out io.Writer) {
	if b.OK {
		fmt.Fprintf(out, "%s: ok; the agent has taken its run %.1f s after power-on\n", b.Firmware, b.Seconds)

		return
	}

	fmt.Fprintf(out, "%s: FAILED after %.1f s: %s\n", b.Firmware, b.Seconds, b.Title)

	for _, part := range []struct{ head, text string }{{"seen", b.Evidence}, {"what to do", b.Next}, {"code", b.Code}} {
		if part.text != "" {
			fmt.Fprintf(out, "  %s: %s\n", part.head, part.text)
		}
	}

	if len(b.Screen) > 0 {
		fmt.Fprintln(out, "  its serial console ended with:")
	}

	for _, line := range b.Screen {
		fmt.Fprintln(out, "    "+line)
	}
}
