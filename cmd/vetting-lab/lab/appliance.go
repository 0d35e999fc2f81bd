//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"vetting/core/route"
)

// Address is the appliance's address on the segment, with the segment's subnet.
const Address = "10.77.0.1/24"

// Appliance is the product, running at a station of its own.
type Appliance struct {
	Station *Station
	Link    string // one-time link to set the admin password; empty after the first start
	Ready   time.Duration
	forward *Forward
	binary  string
	config  string
	dir     string
	cpus    []int
	process *Process
}

// ApplianceOptions is how to set an appliance up.
type ApplianceOptions struct {
	Binary  string // build/vetting
	DataDir string // empty: a scratch directory that goes with the segment
	Address string // own address and subnet; empty: Address
	Port    int    // of the console; 0: 8443, or a free one where that is taken
	Config  string // more YAML for the configuration file
	CPUs    []int  // processors it may use; nil: all
}

// Appliance plugs a new appliance into the segment and starts it. The end of ctx
// stops it; Close unplugs it.
func (s *Segment) Appliance(ctx context.Context, options ApplianceOptions) (*Appliance, error) {
	if options.Address == "" {
		options.Address = Address
	}

	addr, err := netip.ParsePrefix(options.Address)
	if err != nil {
		return nil, fmt.Errorf("reading the appliance's address: %w", err)
	}

	station, err := s.Station("appliance", addr)
	if err != nil {
		return nil, err
	}

	a := &Appliance{Station: station, dir: options.DataDir, binary: options.Binary, cpus: options.CPUs}

	if a.dir == "" {
		a.dir = filepath.Join(s.dir, "appliance")
	}

	if options.Port == 0 {
		options.Port = 8443
	}

	// The console listens inside on the very port that is forwarded outside, so
	// that links and origins are right without further ado, and on every card, so
	// that what keeps hosts under test away from it is at work.
	if a.forward, err = OpenForward(ctx, station.Namespace, options.Port); err != nil {
		return nil, err
	}

	if err := a.configure(options); err != nil {
		return nil, errors.Join(err, a.forward.Close())
	}

	if err := a.Start(ctx); err != nil {
		return nil, errors.Join(err, a.forward.Close())
	}

	return a, nil
}

// configure writes the configuration file.
func (a *Appliance) configure(options ApplianceOptions) error {
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return fmt.Errorf("making the appliance's data directory: %w", err)
	}

	a.config = filepath.Join(a.dir, "vetting.yaml")
	text := fmt.Sprintf("version: 1\ndata_dir: %s\nconsole:\n  listen: 0.0.0.0:%d\n  url: %s\n%s", a.dir, a.forward.Port, a.Console(), options.Config)

	if !strings.Contains(options.Config, "netboot:") {
		text += fmt.Sprintf("netboot:\n  interface: %s\n  subnet: %s\n", NIC, options.Address)
	}

	if err := os.WriteFile(a.config, []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing the appliance's configuration: %w", err)
	}

	return nil
}

// setupLink is how serve prints the one-time link; readyLine is its last word
// of the start.
const (
	setupLink = `set the admin password here[^:]*: (https?://\S+)`
	readyLine = `(?m)^ready\b`
)

// Start starts the appliance, again after Kill or Stop, and returns once it serves.
func (a *Appliance) Start(ctx context.Context) error { return a.StartUntil(ctx, readyLine) }

// StartUntil is Start, and returns once the appliance says something that fits a
// regular expression.
func (a *Appliance) StartUntil(ctx context.Context, words string) error {
	process, err := a.Station.Start(ctx, Command{
		Program: a.binary, Args: []string{"serve", "--config", a.config}, CPUs: a.cpus,
		Log: filepath.Join(a.dir, "serve.log"),
	})
	if err != nil {
		return err
	}

	a.process = process

	_, at, err := process.Output.Match(ctx, regexp.MustCompile(words))
	if err != nil {
		process.Stop()

		return fmt.Errorf("starting the appliance: %w", err)
	}

	a.Ready = at.Sub(process.Started)
	a.Link = ""

	if said := regexp.MustCompile(setupLink).FindStringSubmatch(process.Output.String()); said != nil {
		a.Link = said[1]
	}

	return nil
}

// Console is the console's address as seen from outside.
func (a *Appliance) Console() string { return "https://127.0.0.1:" + strconv.Itoa(a.forward.Port) }

// Port is the console's, inside and outside.
func (a *Appliance) Port() int { return a.forward.Port }

// DataDir is where the appliance keeps everything.
func (a *Appliance) DataDir() string { return a.dir }

// Process is the appliance since its last start.
func (a *Appliance) Process() *Process { return a.process }

// Token makes an API token with a scope ("read", "operate", …).
func (a *Appliance) Token(ctx context.Context, scope route.Scope) (string, error) {
	said, err := a.run(ctx, "token", "create", "--data-dir", a.dir, "--scope", string(scope))
	if err != nil {
		return "", err
	}

	token := regexp.MustCompile(`\bvet_\S+`).FindString(said)
	if token == "" {
		return "", fmt.Errorf("making an API token: the appliance said %q", said)
	}

	return token, nil
}

// run carries out another command of the appliance's binary.
func (a *Appliance) run(ctx context.Context, args ...string) (string, error) {
	process, err := a.Station.Start(ctx, Command{Program: a.binary, Args: args})
	if err != nil {
		return "", err
	}

	if err := process.Wait(ctx); err != nil {
		return "", fmt.Errorf("running vetting %s: %w: %s", strings.Join(args, " "), err, process.Output.Tail(5))
	}

	return process.Output.String(), nil
}

// Kill ends the appliance where it stands (SIGKILL).
func (a *Appliance) Kill() { a.process.Kill() }

// Close stops the appliance and the forwarding of its console.
func (a *Appliance) Close() error {
	a.process.Stop()

	return a.forward.Close()
}
