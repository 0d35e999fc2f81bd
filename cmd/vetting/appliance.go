package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"vetting/agent/gate"
	"vetting/agent/partner"
	"vetting/core"
	"vetting/core/engine"
	"vetting/core/problem"
	"vetting/core/profile"
	"vetting/core/report"
	"vetting/core/signal"
	"vetting/core/sshkey"
	"vetting/initramfs"
	"vetting/initramfs/overlay"
	"vetting/netboot"
	"vetting/netboot/power"
	"vetting/store"
	"vetting/store/artifact"
	"vetting/store/janitor"
	"vetting/store/runlog"
	"vetting/ui"
	"vetting/ui/notify"
)

// component is a part of the appliance that runs until ctx ends.
type component struct {
	name string
	run  func(ctx context.Context) error
}

// appliance is everything that serve ties together.
type appliance struct {
	config  Config  // as it was at the start; see live for what is in force
	source  *source // of the configuration; nil: it cannot be read again
	log     *slog.Logger
	level   *slog.LevelVar
	out     io.Writer
	image   *initramfs.Image
	shelf   *overlay.Shelf
	tight   store.Config // bounds of the ledger where the disk is a stick; else empty
	self    netip.Prefix
	gate    *certificate // of the agent API
	console *certificate
	lookNow chan struct{} // has the certificates looked at

	reportKeys  *keyring
	terminalKey ed25519.PrivateKey // opens held hosts for the web terminal
	about       report.Appliance
	bell        *signal.Bell

	program   *gate.Program // for installed hosts; nil: there is none
	manager   supervisor
	beat      time.Duration // between signs of life to manager; 0: none
	warnings  warnings
	live      live
	reloading sync.Mutex // held while the configuration is read again
	saving    sync.Mutex // held while a backup is written to the folder for them, or read there
	typing    sync.Mutex // held while secrets that were typed are kept or removed
	sending   sync.Mutex // held while a backup of the moment is sent to somebody

	store     *store.Store
	logs      *runlog.Log
	artifacts *artifact.Shelf
	engine    *engine.Engine
	partner   *partner.Partner // nil: nobody takes part in network tests
	netboot   *netboot.Server
	courier   *notify.Courier
	janitor   *janitor.Janitor
	ui        *ui.UI
	figures   figures

	netbootFacts func() ui.Netboot // nil: no boots are served
	alone        bool              // the console alone is served, since no test NIC is in use
	dropped      testNetwork       // that is not served, since the settings do not fit; no card: none
	again        restart
	steered      bool // administrators may change it in the console
}

// newAppliance returns an appliance that has opened nothing yet. source is where
// the configuration came from; nil: it cannot be read again.
func newAppliance(config Config, source *source, image *initramfs.Image, out, errs io.Writer) (*appliance, error) {
	a := &appliance{config: config, source: source, level: new(slog.LevelVar), out: out, image: image, bell: signal.New(), shelf: shelf(&config), lookNow: make(chan struct{}, 1)}

	level, err := config.logLevel()
	if err != nil {
		return nil, err
	}

	a.level.Set(level)
	a.log = newLogger(config.Log.Format, a.level, errs)

	var origin map[string]string
	if source != nil {
		origin = source.origin
	}

	a.live.set(&config, origin, nil)

	return a, nil
}

func newLogger(format string, level slog.Leveler, errs io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(errs, options))
	}

	return slog.New(slog.NewTextHandler(errs, options))
}

// open calls openers in their order until one fails.
func (a *appliance) open(ctx context.Context, openers ...func(context.Context) error) error {
	for _, open := range openers {
		if err := open(ctx); err != nil {
			return err
		}
	}

	return nil
}

// The folders of the data directory.
const (
	ledgerDir   = "store"
	logDir      = "logs"
	artifactDir = "artifacts"
)

func (a *appliance) openStore(ctx context.Context) (err error) {
	dir := a.config.DataDir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}

	ledger := filepath.Join(dir, ledgerDir)
	if err := examine(ctx, ledger); err != nil {
		return err
	}

	sized := a.tight
	sized.Dir, sized.Log, sized.Checked = ledger, a.log, true

	if a.store, err = store.Open(ctx, sized); err != nil {
		return err
	}

	if a.logs, err = runlog.Open(runlog.Config{Dir: filepath.Join(dir, logDir), Room: a.store.RoomForLogs}); err != nil {
		return err
	}

	a.artifacts, err = artifact.Open(artifact.Config{Dir: filepath.Join(dir, artifactDir), Room: a.store.RoomForLogs})

	return err
}

func (a *appliance) openIdentity(ctx context.Context) (err error) {
	if a.self, err = netip.ParsePrefix(a.config.Netboot.Subnet); err != nil {
		return fmt.Errorf("reading netboot.subnet: %w", err)
	}

	a.gate = &certificate{dir: a.config.DataDir, name: gateKey}
	if err := a.gate.open(time.Now()); err != nil {
		return err
	}

	if a.image.HostAgent != nil {
		if a.program, err = gate.NewProgram(a.image.HostAgent); err != nil {
			return err
		}
	}

	if a.reportKeys, err = openKeyring(ctx, a.config.DataDir, a.store, time.Now); err != nil {
		return err
	}

	a.about, err = describe(ctx, a.store, a.image)

	return err
}

// shed reports whether the disk is so full that raw samples are not to be kept.
func (a *appliance) shed() bool {
	_, level, err := a.store.Space()

	return err == nil && level >= store.ShedSamples
}

func (a *appliance) openEngine(context.Context) error {
	all, err := profiles(profile.Defaults(), a.config.Profiles)
	if err != nil {
		return err
	}

	enrol, err := a.config.HostAPI.enrolKey()
	if err != nil {
		return err
	}

	hold, err := lastingSecret(a.config.DataDir, holdSecret)
	if err != nil {
		return err
	}

	token, err := lastingSecret(a.config.DataDir, tokenSecret)
	if err != nil {
		return err
	}

	a.warnOfTrust()

	run := a.config.Run
	// The web terminal's key lives in memory only, and no longer than the appliance runs.
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("drawing the terminal's key: %w", err)
	}

	a.terminalKey = private

	controllers := meter{power.Switch{Tools: power.Tools{Interface: a.config.Netboot.Interface}}, &a.figures}

	a.engine, err = engine.New(engine.Config{
		Ledger: a.store, Clock: wall{}, Tick: time.Tick(time.Second), Rand: rand.Reader, Bell: a.bell, Profiles: all, ProfilesAt: a.profilePlaces(), ProfileText: profileTexts{},
		Firmware: firmwareJudge{}, ParseSpec: parseSpec, Overlay: a.shelf.Get, SeedFile: seedFile(a.self.Addr(), gate.SPKI(a.gate.get().Leaf), a.image.ID),
		WriteSpec: writeSpec, Power: controllers, Serial: controllers, CheckPower: power.CheckHost, Appliance: a.about, Retention: a.live.retention, Log: a.log,
		Shed: a.shed, MaxConcurrent: a.config.Dispatcher.MaxConcurrentRuns, BootDeadline: time.Duration(run.BootDeadline),
		HeartbeatInterval: time.Duration(run.Heartbeat.Interval), Stale: time.Duration(run.Heartbeat.Stale), Lost: time.Duration(run.Heartbeat.Lost),
		Hold: time.Duration(run.Hold), Patience: time.Duration(run.Patience), Trash: time.Duration(a.config.Hosts.Trash),
		HostSilence: time.Duration(a.config.HostAPI.Silence), TrustLAN: a.config.HostAPI.TrustLAN, EnrolKey: enrol,
		HoldSecret: hold, TokenSecret: token, TerminalKey: sshkey.Line(public, "vetting-terminal"),
	})

	return err
}

// profilePlaces says where the profiles of the configuration file stand.
func (a *appliance) profilePlaces() map[string]string {
	if a.source == nil {
		return nil
	}

	return a.source.profiles
}

func (a *appliance) openNetboot(context.Context) error {
	config, err := a.config.Netboot.network(a.self)
	if err != nil {
		return err
	}

	config.Files, config.ImageID, config.Cmdline = bootFiles(a.image), a.image.ID, kernelArguments(a.config.Netboot.KernelArgs)
	config.Overlays, config.Stub = a.shelf, a.image.Pieces[initramfs.Stub]
	a.netbootFacts = factsOf(config)
	config.Booter, config.Leases, config.Witness, config.Log = a.engine, leases{a.store}, witness{a.engine, &a.figures}, a.log

	a.partner = a.newPartner()
	a.netboot, err = netboot.New(config)

	return err
}

// ready lists what /readyz asks.
func (a *appliance) ready() map[string]func(context.Context) error {
	asks := map[string]func(context.Context) error{"store": func(context.Context) error { return a.store.Health() }}
	if a.alone {
		asks["netboot"] = func(context.Context) error { return errAlone() }
	}

	if a.netboot == nil {
		return asks
	}

	asks["netboot"] = func(context.Context) error { return a.netboot.Health() }

	return asks
}

// codeAlone is the code of boot services that are off because there is no test NIC.
const codeAlone = "netboot/no-test-nic"

func errAlone() error {
	return core.NewProblem(core.ErrRefused, codeAlone,
		"The boot services are off, and no machine is answered: no test NIC is in use. Choose one in the settings, under First steps.")
}

// conditions are what everybody who looks at the console must know.
func (a *appliance) conditions() []ui.Warning {
	all := a.warnings.list()
	asks := a.ready()

	for _, name := range slices.Sorted(maps.Keys(asks)) {
		var p *core.Problem

		switch err := asks[name](context.Background()); {
		case errors.As(err, &p) && p.Code == codeAlone:
			all = append(all, ui.Warning{Severity: core.Warning, Text: p.Message})
		case errors.As(err, &p):
			all = append(all, ui.Warning{Severity: core.Critical, Text: advice(p)})
		case err != nil:
			all = append(all, ui.Warning{Severity: core.Critical, Text: "The " + name + " is not well; see the appliance's log."})
		}
	}

	if short := a.shortOfSpace(); short != nil {
		all = append(all, ui.Warning{Severity: core.Warning, Text: advice(short)})
	}

	return all
}

// advice says what is wrong, and what to do next.
func advice(p *core.Problem) string {
	said := strings.TrimSuffix(p.Message, ".") + "."
	first, size := utf8.DecodeRuneInString(said)
	said = string(unicode.ToUpper(first)) + said[size:]

	if known, ok := problem.Lookup(p.Code); ok {
		said += " " + known.Next
	}

	return said
}

// shortOfSpace tells that log lines and files wait for space while what decides is still
// written; nil: they do not, or nothing is written and the ledger's health says so.
func (a *appliance) shortOfSpace() *core.Problem {
	var p *core.Problem

	if a.store != nil && a.store.Health() == nil {
		errors.As(a.store.RoomForLogs(), &p)
	}

	return p
}

// together runs components until ctx ends or one fails.
func (a *appliance) together(ctx context.Context, parts []component) error {
	group, ctx := errgroup.WithContext(ctx)

	for _, part := range parts {
		group.Go(func() error {
			defer a.log.Debug("component ended", slog.String("component", part.name))

			if err := part.run(ctx); !errors.Is(err, context.Canceled) || ctx.Err() == nil {
				return err
			}

			return nil // it was told to end
		})
	}

	return group.Wait()
}

func (a *appliance) close() error {
	var err error
	if a.logs != nil {
		err = a.logs.Close()
	}

	if a.store != nil {
		err = errors.Join(err, a.store.Close())
	}

	return err
}

// wall is the clock on the wall, with Go's monotonic part.
type wall struct{}

// Now tells the time.
func (wall) Now() time.Time { return time.Now() }
