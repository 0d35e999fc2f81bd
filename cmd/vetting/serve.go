package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vetting/core"
	"vetting/initramfs"
	"vetting/netboot/nic"
	"vetting/ui"
)

func (c *cli) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the appliance", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, source, err := c.load(cmd)
			if err != nil {
				return err
			}

			err = serve(cmd.Context(), config, source, c.out, c.errs)
			if errors.Is(err, errAgain) {
				return again()
			}

			return err
		},
	}
	settingFlags(cmd)

	return cmd
}

// serve runs the appliance until ctx ends. errAgain: it is to be started anew. Without a
// test NIC it runs the console alone, in which one can be chosen.
func serve(ctx context.Context, config Config, source *source, out, errs io.Writer) (err error) {
	manager, beat, err := newSupervisor()
	if err != nil {
		return err
	}

	image, err := initramfs.Open()
	if err != nil {
		return err
	}

	if err := image.Verify(); err != nil {
		return err
	}

	// Before anything is made on the disk, which lacks rights for the same reason.
	if err := nic.Check(); err != nil && config.Netboot.Interface != "" {
		return err
	}

	if err := frugal(); err != nil {
		return err
	}

	a, err := newAppliance(config, source, image, out, errs)
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, a.close()) }()

	a.manager, a.beat, a.steered = manager, beat, true

	if err := a.openStore(ctx); err != nil {
		return a.outOfOrder(ctx, err)
	}

	if err := a.open(ctx, a.takeSettled, a.openIdentity, a.openEngine, a.openNetbootOrNot, a.openUpkeep, a.openConsole); err != nil {
		return err
	}

	image.Release() // it was read for its hashes
	thrifty()

	return a.run(ctx)
}

// garbage is how much the heap may grow, in percent, before it is collected. Half of
// what is live in the appliance are tables and caches without pointers, which cost the
// collector nothing to look through; Go's usual 100 doubled them.
const garbage = 50

// leastThreads is how many threads run Go code at least. With one, on a machine of one
// processor, whoever waits for an answer waits for the whole time slices of the ledger's
// compaction and of the collector; with two the kernel lets those go first who slept.
// A thousand hosts on one core: of a hundred calls the slowest but one took 59 ms with
// one thread and 50 ms with two.
const leastThreads = 2

// thrifty sets how the appliance uses memory and processors, unless the environment
// says it.
func thrifty() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}

	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < leastThreads {
		runtime.GOMAXPROCS(leastThreads)
	}

	debug.FreeOSMemory() // what opening took
}

// run starts the components and ends them all when one ends.
func (a *appliance) run(ctx context.Context) error {
	parts, ready := a.common(), closed()

	if a.netboot != nil {
		ready = a.netboot.Ready()
		parts = append(parts, component{"boot services", a.serveMachines})
	}

	tell := &reporter{to: a.manager, every: a.beat, log: a.log, ready: ready, state: a.state, alive: a.alive, again: a.again.asked}

	return a.together(ctx, append(parts, component{"greeting", a.greet}, component{"restart", a.again.await}, component{"service manager", tell.run}))
}

// closed is a channel on which nobody waits.
func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)

	return c
}

// openNetbootOrNot makes the boot services where a test NIC is named. What was set in the
// console and cannot be used keeps nobody from setting something else there.
func (a *appliance) openNetbootOrNot(ctx context.Context) error {
	if a.config.Netboot.Interface == "" {
		a.alone = true

		return nil
	}

	err := nic.Check()
	if err == nil {
		err = a.openNetboot(ctx)
	}

	if err == nil || !a.bootsByConsole() {
		return err
	}

	a.alone, a.netboot, a.partner, a.netbootFacts = true, nil, nil, nil
	a.warnBoot(err)

	return nil
}

// serveMachines runs all that machines are answered by.
func (a *appliance) serveMachines(ctx context.Context) error {
	return a.outlive(ctx, component{"gate", a.serveGate}, component{"partner", a.servePartner}, component{"netboot", a.netboot.Run})
}

// outlive runs the boot services. Where any of what they do was set in the console, what
// ends one of them ends the others, and leaves the console open, in which it can be mended:
// started anew they would fail again, each time before anybody could reach the console.
func (a *appliance) outlive(ctx context.Context, parts ...component) error {
	err := a.together(ctx, parts)
	if err == nil || ctx.Err() != nil || !a.bootsByConsole() {
		return err
	}

	a.warnBoot(err)
	<-ctx.Done()

	return nil
}

// bootsByConsole reports whether the console has set any of how machines are answered.
func (a *appliance) bootsByConsole() bool {
	return slices.ContainsFunc(settings(), func(s setting) bool { return aboutMachines(s.key) && a.fromConsole(s.key) })
}

// aboutMachines reports whether a key says how machines are answered.
func aboutMachines(key string) bool {
	return strings.HasPrefix(key, "netboot.") || strings.HasPrefix(key, "traffic.")
}

// warnBoot tells on every page why no machine is answered.
func (a *appliance) warnBoot(err error) {
	a.log.Error("the boot services are off", slog.String("error", err.Error()))
	a.warnings.warn("netboot", core.Critical, "No machine is answered on "+a.config.Netboot.Interface+": "+strings.TrimSuffix(firstLine(wordsOf(err)), ".")+
		". Mend it, or change the test NIC, its network or traffic.port in the settings, and restart the appliance there.")
}

// interfaceKey is the key of the test NIC.
const interfaceKey = "netboot.interface"

// common are the components that need no test NIC.
func (a *appliance) common() []component {
	return []component{
		{"store", a.store.Run},
		{"engine", a.engine.Run},
		{"console", a.ui.Run},
		{"courier", a.courier.Run},
		{"janitor", a.janitor.Run},
		{"control", func(ctx context.Context) error { return serveControl(ctx, a.config.DataDir, smith{a.ui, a}, a.log) }},
		{"hangups", a.heedHangups},
		{"backups", a.keepBackups},
		{"certificates", a.keepCertificates},
	}
}

// serveGate answers agents once the boot services are up: only then is our
// address on the NIC.
func (a *appliance) serveGate(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-a.netboot.Ready():
	}

	// Not tied to the card, so that the card may go away and come back.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", net.JoinHostPort(a.self.Addr().String(), "443"))
	if err != nil {
		return fmt.Errorf("opening the agent API (console.listen, or another program, must leave it port 443): %w", err)
	}

	return a.answerAgents(ctx, segment{listener, a.onTestNIC})
}

// greet tells the terminal where to go: at once, since the test NIC may have no
// cable yet, and then that everything answers.
func (a *appliance) greet(ctx context.Context) error {
	fmt.Fprintf(a.out, "vetting %s, boot image %.12s, kernel %s\n", version(), a.image.ID, a.image.KernelVersion)
	fmt.Fprintf(a.out, "console: %s\n", a.ui.URL())

	if err := a.offerSetup(ctx); err != nil {
		return err
	}

	if a.netboot == nil {
		fmt.Fprintln(a.out, "ready: the console alone. No machine is answered: no test NIC is in use; choose one in the console, under Settings, First steps,\nor with --interface or netboot.interface")

		return nil
	}

	fmt.Fprintf(a.out, "listening for other DHCP servers on %s\n", a.config.Netboot.Interface)

	select {
	case <-ctx.Done():
		return nil
	case <-a.netboot.Ready():
	}

	for _, line := range a.quickLines() {
		fmt.Fprintf(a.out, "%s\n  %s\n", line.For, line.Line)
	}

	fmt.Fprintf(a.out, "ready: serving %s on %s\n", a.self.Masked(), a.config.Netboot.Interface)

	return nil
}

// offerSetup prints the one-time link while nobody can log in yet.
func (a *appliance) offerSetup(ctx context.Context) error {
	peopled, err := a.ui.Peopled(ctx)
	if err != nil || peopled {
		return nil //nolint:nilerr // the console tells it too; the appliance goes on
	}

	link, err := a.ui.SetupLink(ctx)
	if err != nil {
		return err
	}

	fmt.Fprintf(a.out, "set the admin password here (once, 30 min): %s\n", link)
	printQR(a.out, link)

	return nil
}

// smith does what is asked for at the control socket; see control.go.
type smith struct {
	*ui.UI

	appliance *appliance
}

// CreateToken makes an API token for a person at the terminal.
func (s smith) CreateToken(ctx context.Context, name, scope string, life time.Duration) (string, error) {
	return s.CreateTokenFor(ctx, name, scope, life)
}

// Backup writes a backup for a person at the terminal.
func (s smith) Backup(ctx context.Context, w io.Writer, keys bool) error {
	return s.appliance.writeBackup(ctx, w, keys, "local")
}

// Settings tells what was set in the console.
func (s smith) Settings(ctx context.Context) (string, error) { return s.appliance.settledText(ctx) }

// Reload reads the configuration again.
func (s smith) Reload(ctx context.Context) (string, error) { return s.appliance.reload(ctx) }
