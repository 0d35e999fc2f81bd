package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"

	"vetting/agent"
	"vetting/agent/initd"
	"vetting/agent/kit"
	"vetting/agent/network"
	"vetting/agent/probe"
	"vetting/agent/screen"
	"vetting/agent/wire"
	"vetting/core"
	"vetting/firmware/inventory"
)

// bench is a machine that was booted from the field kit, with a person in front of it.
type bench struct {
	*machine

	out   io.Writer
	desk  *kit.Desk
	stick kit.Stick
}

// kit offers the menu of the field kit until the machine is switched off.
func (m *machine) kit(ctx context.Context, image initd.Manifest, id string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	m.modules = kit.Modules()

	go m.plug(ctx, image.Kernel)

	whole := make(chan error, 1)

	go func() { whole <- initd.CheckContent(ctx, m.root, image) }() // meanwhile the stick settles

	if err := wait(ctx, m.settled); err != nil {
		return err
	}

	b := &bench{machine: m, out: m.screen, desk: kit.OpenDesk(initd.Terminals(m.root))}

	// A stick that has worn out, or bad memory: what has changed on its way vets nobody.
	err := <-whole
	if err == nil {
		b.stick, err = kit.Find(ctx, m.root, id)
	}

	if err == nil {
		err = kit.Mount(b.stick)
	}

	if err != nil {
		return b.without(ctx, err)
	}

	b.ownDisk = b.stick.Disk

	if err := errors.Join(network.Tidy(network.Links(m.root)), network.SwitchOn(network.Links(m.root))); err != nil {
		m.log.Warn("a network port stays off", slog.String("error", err.Error()))
	}

	if job, err := readJob(); err == nil { // a process before this one was vetting
		return b.vetting(ctx, job)
	}

	for {
		free, all := kit.Free()
		b.say(kit.Menu(m.imageID, b.stick, free, all))

		if err := b.choose(ctx); err != nil {
			return err
		}
	}
}

func (b *bench) say(text string) {
	_, _ = io.WriteString(b.out, strings.ReplaceAll(text, "\n", "\r\n")) // a screen has nobody to tell
}

// without is what is left to do where the stick cannot be used.
func (b *bench) without(ctx context.Context, why error) error {
	for {
		b.say(fmt.Sprintf("\n  The field kit cannot be used: %s\n\n    3  Shell\n    4  Power off\n\n", why))

		line, err := b.desk.Ask(ctx)
		if err != nil {
			return err
		}

		switch kit.Chosen(line.Text) {
		case kit.Shell:
			b.shell(ctx, line.Terminal)
		case kit.PowerOff:
			return initd.PowerOff()
		case kit.NoChoice, kit.Serve, kit.Vet:
		}
	}
}

func (b *bench) shell(ctx context.Context, terminal string) {
	b.say("\n  This is a shell; leave it with: exit\n")

	if err := b.desk.Shell(ctx, terminal); err != nil {
		b.log.Error("no shell", slog.String("error", err.Error()))
	}
}

func (b *bench) choose(ctx context.Context) error {
	line, err := b.desk.Ask(ctx)
	if err != nil {
		return err
	}

	switch kit.Chosen(line.Text) {
	case kit.Serve:
		return b.serveHere(ctx)
	case kit.Vet:
		return b.vetThis(ctx)
	case kit.Shell:
		b.shell(ctx, line.Terminal)
	case kit.PowerOff:
		kit.Unmount()

		return initd.PowerOff()
	case kit.NoChoice:
	}

	return nil
}

func (b *bench) vetThis(ctx context.Context) error {
	for {
		b.say(kit.Profiles())

		line, err := b.desk.Ask(ctx)
		if err != nil {
			return err
		}

		profile, ok := kit.Profile(line.Text)

		switch {
		case ok && profile == "":
			return nil
		case ok:
			job, err := b.job(profile)
			if err != nil {
				return err
			}

			return b.vetting(ctx, job)
		}
	}
}

// scaleArgument shortens the tests of virtual hosts; the report says so.
const scaleArgument = "vetting.scale="

// scale is what the kernel's arguments say of it; 0: nothing.
func (b *bench) scale() (scale float64, err error) {
	for word := range strings.FieldsSeq(probe.Cmdline(b.root)) {
		if text, ok := strings.CutPrefix(word, scaleArgument); ok {
			if scale, err = strconv.ParseFloat(text, 64); err != nil {
				return 0, fmt.Errorf("reading %s: %w", word, err)
			}
		}
	}

	return scale, nil
}

// job says what is to be vetted. A machine without a network port is known by an
// address of its own making: locally administered, from its SMBIOS UUID.
func (b *bench) job(profile string) (job wire.KitJob, err error) {
	job.Profile = profile

	if job.Scale, err = b.scale(); err != nil {
		return job, err
	}

	tables, err := inventory.ReadSMBIOS(b.root)
	if err != nil {
		b.log.Warn("SMBIOS is not readable", slog.String("error", err.Error()))
	}

	identity := inventory.Identity(tables)
	job.MAC, job.Name = string(kit.Address(network.Links(b.root), identity)), kit.Name(identity)

	return job, nil
}

// jobFile says which job is under way, for a process that comes after one that died.
const jobFile = initd.StateDir + "/kit.json"

// underWay is what is in it.
type underWay struct {
	Job  wire.KitJob `json:"job"`
	Seed wire.Seed   `json:"seed"`
}

func readJob() (job wire.KitJob, err error) {
	var kept underWay

	text, err := os.ReadFile(jobFile)
	if err == nil {
		err = json.Unmarshal(text, &kept)
	}

	return kept.Job, err
}

// vetting vets this machine, shows what came of it, and waits for a person.
func (b *bench) vetting(ctx context.Context, job wire.KitJob) error {
	b.say("\n  Vetting this machine. The stick must stay plugged in.\n\n")

	over, err := b.runJob(ctx, job)
	if ctx.Err() != nil {
		return ctx.Err()
	}

	if rm := os.Remove(jobFile); rm != nil && !errors.Is(rm, os.ErrNotExist) {
		b.log.Warn("the job is not forgotten", slog.String("error", rm.Error()))
	}

	if err != nil {
		over = &wire.KitVerdict{Verdict: "error", Summary: "The vetting broke off: " + err.Error()}
	}

	b.say(kit.Result(*over) + "\n  Press Enter for the menu.\n")

	_, err = b.desk.Ask(ctx)

	return err
}

// picture is what the screen shows of a job, as it does on a machine that was booted over the
// network, until the verdict takes its place.
type picture struct {
	screen *screen.Screen

	mu   sync.Mutex // guards over, and that nothing is shown after it
	over bool
}

// show leaves out what is not so here: the run's page is on no network, and the machine stays
// on for the person in front of it.
func (p *picture) show(v screen.View) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if v.Page, v.QR, v.Next = "", nil, ""; !p.over {
		p.screen.Show(v)
	}
}

func (p *picture) end() {
	p.mu.Lock()
	defer p.mu.Unlock()

	p.over = true
	p.screen.Hide()
}

// runJob has the appliance's program beside the agent until the run is over for both.
func (b *bench) runJob(ctx context.Context, job wire.KitJob) (*wire.KitVerdict, error) {
	ctx, stop := context.WithCancel(ctx)

	program := kit.Start(ctx, job, nil, b.log)
	shown := picture{screen: b.screen}

	defer func() {
		shown.end()
		stop()
		program.End()
	}()

	agentEnded := make(chan error, 1)
	begin := func(seed wire.Seed) { agentEnded <- b.agentOf(ctx, seed, shown.show) }

	if job.Run != "" {
		var kept underWay

		text, err := os.ReadFile(jobFile)
		if err = errors.Join(err, json.Unmarshal(text, &kept)); err != nil {
			return nil, err
		}

		go begin(kept.Seed)
	}

	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case err := <-program.Ended:
			return nil, errors.Join(errors.New("the appliance ended"), err)
		case err := <-agentEnded:
			if err != nil {
				return nil, err
			}

			agentEnded = nil // the verdict comes
		case word := <-program.Words:
			switch {
			case word.Trouble != "":
				return nil, errors.New(word.Trouble)
			case word.Seed != nil:
				job.Run = word.Seed.Run
				if err := keepJob(underWay{Job: job, Seed: *word.Seed}); err != nil {
					return nil, err
				}

				go begin(*word.Seed)
			case word.Over != nil:
				return word.Over, nil
			}
		}
	}
}

func keepJob(u underWay) error {
	text, err := json.Marshal(u)
	if err != nil {
		return fmt.Errorf("keeping the job: %w", err)
	}

	if err := os.WriteFile(jobFile, text, 0o600); err != nil {
		return fmt.Errorf("keeping the job: %w", err)
	}

	return nil
}

// agentOf is the agent's part, with the appliance at the other end of the loopback
// interface.
func (b *bench) agentOf(ctx context.Context, seed wire.Seed, show func(screen.View)) error {
	server, err := netip.ParseAddr(strings.TrimPrefix(seed.Server, "https://"))
	if err != nil {
		return fmt.Errorf("reading the seed: %w", err)
	}

	b.watchers = nil

	config, err := b.config(seed, network.Lease{Interface: "lo", MAC: core.MAC(seed.MAC), Addr: netip.PrefixFrom(server, 8), Server: server})
	if err != nil {
		return err
	}

	config.Show = show
	config.OpenDoor = nil                         // whoever wants to look inside stands in front of it
	config.PowerOff = func() error { return nil } // the verdict is on the screen
	config.Restart = nil

	for _, watcher := range b.watchers {
		go func() { _ = watcher(ctx) }() // ends with ctx, and with nothing else
	}

	return agent.Run(ctx, config)
}
