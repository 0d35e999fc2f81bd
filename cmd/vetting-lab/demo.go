//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"vetting/cmd/vetting-lab/lab"
	"vetting/core"
	"vetting/core/route"
)

// demo is the product as a user meets it: an appliance, machines that are woken,
// boot from it and are vetted, reports.
type demo struct {
	hosts   int
	keep    bool
	binary  string
	reports string
	profile string
	scale   float64
	port    int
	out     io.Writer
}

// patience is how long one machine may take from the magic packet to the end.
const patience = 20 * time.Minute

func demoCommand() *cobra.Command {
	var d demo

	command := &cobra.Command{
		Use:   "demo",
		Short: "Vet virtual machines for real and write the reports",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.out = cmd.OutOrStdout()

			return d.run(cmd.Context())
		},
	}

	flags := command.Flags()
	flags.IntVar(&d.hosts, "hosts", 2, "machines to vet, BIOS and UEFI by turns")
	flags.BoolVar(&d.keep, "keep", false, "stay up afterwards, until Ctrl-C")
	flags.StringVar(&d.binary, "binary", "build/vetting", "the appliance")
	flags.StringVar(&d.reports, "report-dir", "build/demo", "where the reports go")
	flags.StringVar(&d.profile, "profile", "quick", "profile to vet with")
	flags.Float64Var(&d.scale, "scale", 0.05, "shortens the durations, for virtual machines")
	flags.IntVar(&d.port, "port", 8443, "port of the console on 127.0.0.1 (another when it is taken)")

	return command
}

func (d demo) run(ctx context.Context) (err error) {
	if d.hosts < 1 || d.hosts > 100 {
		return fmt.Errorf("--hosts: %d is not between 1 and 100", d.hosts)
	}

	if err := os.MkdirAll(d.reports, 0o750); err != nil {
		return fmt.Errorf("making the directory for the reports: %w", err)
	}

	d.say("starting the appliance on a network of its own (it first listens for other DHCP servers)\n")

	rack, err := lab.OpenRack(ctx, lab.ApplianceOptions{Binary: d.binary, Port: d.port})
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, rack.Close()) }()

	d.say("\n  console       %s/\n  set password  %s\n\n", rack.Appliance.Console(), rack.Appliance.Link)

	return errors.Join(d.vet(ctx, rack), d.stay(ctx, rack))
}

// stay keeps the rack up for clicking, if that was asked for.
func (d demo) stay(ctx context.Context, rack *lab.Rack) error {
	if !d.keep || ctx.Err() != nil {
		return nil //nolint:nilerr // Ctrl-C is how a rack that stays up ends
	}

	d.say("\nstaying up at %s/ until Ctrl-C\n", rack.Appliance.Console())

	select {
	case <-ctx.Done():
		return nil
	case <-rack.Appliance.Process().Done():
		return errors.New("the appliance has ended")
	}
}

// vet vets all machines at once and tells how it went.
func (d demo) vet(ctx context.Context, rack *lab.Rack) error {
	guests, err := rack.Add(d.machines()...)
	if err != nil {
		return err
	}

	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := rack.ListenForMagic(ctx, rack.Appliance.Station, log, guests...); err != nil {
		return err
	}

	board := newBoard(d.out, guests)
	defer board.close()

	var group sync.WaitGroup

	endings, faults := make([]string, len(guests)), make([]error, len(guests))

	for i, guest := range guests {
		group.Go(func() { endings[i], faults[i] = d.vetOne(ctx, rack, guest, board) })
	}

	group.Wait()
	board.close()

	passed := 0

	for i, ending := range endings {
		d.say("%s", ending)

		if faults[i] == nil {
			passed++
		}
	}

	d.say("\nverdict: %d of %d machines passed\n", passed, len(guests))

	return errors.Join(faults...)
}

// machines are the hosts of the demo, BIOS and UEFI by turns.
func (d demo) machines() []lab.Machine {
	var all []lab.Machine

	for i := range d.hosts {
		firmware := lab.BIOS
		if i%2 == 1 {
			firmware = lab.UEFI
		}

		all = append(all, lab.Sample(firmware, byte(i+1)))
	}

	return all
}

// errNotPassed makes the exit code say what the reports say.
var errNotPassed = errors.New("not every machine passed") //nolint:gochecknoglobals // a sentinel error

// vetOne registers a machine, has it vetted and returns what to say at the end.
func (d demo) vetOne(ctx context.Context, rack *lab.Rack, guest *lab.Guest, board *board) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	if _, err := rack.API.Register(ctx, guest.Name, guest.MAC, core.PowerWoL); err != nil {
		return "", err
	}

	if err := rack.API.SetSpec(ctx, guest.MAC, guest.Spec()); err != nil {
		return "", err
	}

	run, err := rack.API.Vet(ctx, guest.MAC, d.profile, d.scale)
	if err != nil {
		return "", err
	}

	run, err = rack.API.Await(ctx, run.ID, func(run route.Run) bool {
		board.show(guest.Name, run)

		return run.Over || run.State == core.StateFailedHolding
	})
	if err != nil {
		return "", fmt.Errorf("%w\nlast words of %s:\n%s", err, guest.Name, lastWords(guest))
	}

	ending, err := d.ending(ctx, rack, guest, run)
	if err == nil && run.Verdict != core.Pass {
		err = fmt.Errorf("%w: %s ended in %s with verdict %s", errNotPassed, guest.Name, run.State, run.Verdict)
	}

	return ending, err
}

func lastWords(guest *lab.Guest) string {
	if process := guest.Process(); process != nil {
		return process.Output.Tail(20)
	}

	return "(it was never switched on)"
}

// ending fetches the report, awaits the machine's own power-off and compares its
// disks with what they were.
func (d demo) ending(ctx context.Context, rack *lab.Rack, guest *lab.Guest, run route.Run) (string, error) {
	report, err := rack.API.Report(ctx, run.ID)
	if err != nil {
		return "", err
	}

	base := filepath.Join(d.reports, guest.Name)
	if err := errors.Join(os.WriteFile(base+".html", report.Page, 0o600), os.WriteFile(base+".json", report.Text, 0o600)); err != nil {
		return "", fmt.Errorf("writing the report of %s: %w", guest.Name, err)
	}

	ending := fmt.Sprintf("%s: %s\n  report  %s.html, .json\n", guest.Name, run.Words, base)

	if run.State != core.StateCompleted {
		return ending, nil
	}

	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()

	if err := guest.Process().Wait(ctx); err != nil {
		return ending, fmt.Errorf("%s did not switch itself off: %w; its last words:\n%s", guest.Name, err, lastWords(guest))
	}

	if err := guest.Untouched(); err != nil {
		return ending, err
	}

	return ending + "  disks   the same as before, byte for byte\n", nil
}

func (d demo) say(format string, args ...any) { fmt.Fprintf(d.out, format, args...) }
