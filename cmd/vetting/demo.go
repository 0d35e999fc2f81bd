package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"vetting/agent/simhost"
	"vetting/agent/wire"
	"vetting/core"
	"vetting/initramfs"
)

func (c *cli) demoCommand() *cobra.Command {
	var (
		simulated, keep bool
		hosts           int
		speed           float64
		faults          []string
	)

	cmd := &cobra.Command{
		Use: "demo --simulated", Short: "Run the console with pretend hosts; touches no network and no disk", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !simulated {
				return &usageError{errors.New("say --simulated; a demo that boots virtual hosts for real is `make demo` in the source tree")}
			}

			if hosts < 1 || hosts > 1000 {
				return &usageError{fmt.Errorf("--hosts %d: between 1 and 1000", hosts)}
			}

			if speed < 1 || speed > 1000 {
				return &usageError{fmt.Errorf("--speed %g: between 1 and 1000", speed)}
			}

			cast, err := simhost.CastOf(hosts, faults)
			if err != nil {
				return &usageError{err}
			}

			config, source, err := c.load(cmd)
			if err != nil {
				return err
			}

			given := cmd.Flags().Changed("data-dir")

			return c.demo(cmd.Context(), config, source, fast(cast, speed), given, keep || given)
		},
	}
	settingFlags(cmd)
	cmd.Flags().BoolVar(&simulated, "simulated", false, "with simulated hosts")
	cmd.Flags().IntVar(&hosts, "hosts", 8, "how many")
	cmd.Flags().StringSliceVar(&faults, "fault", nil, "only these, beside healthy hosts: "+strings.Join(simhost.Faults(), ", ")+" (default: of every kind)")
	cmd.Flags().BoolVar(&keep, "keep", false, "leave what it wrote when it ends, to look at or to begin from again with --data-dir")
	cmd.Flags().Float64Var(&speed, "speed", 1, "how many times faster than at a pace that people can follow")

	return cmd
}

// demo runs the appliance without a test NIC: the same ledger, engine, gate and
// console, and hosts that are played by simhost, in the data directory that was given or
// one of its own. Unless keep is set, all that it wrote goes when it ends.
func (c *cli) demo(ctx context.Context, config Config, source *source, cast []*simhost.Character, given, keep bool) (err error) {
	ctx, stop := whileRead(ctx, c.out, c.errs)
	defer stop()

	if !given {
		if config.DataDir, err = os.MkdirTemp("", "vetting-demo-"); err != nil {
			return fmt.Errorf("making a place for the demo: %w", err)
		}
	}

	if !keep {
		defer func() { err = errors.Join(err, os.RemoveAll(config.DataDir)) }()
	}

	// What the hosts do is seen in the console; its address stays in sight here.
	if source == nil || source.origin["log.level"] == "default" {
		config.Log.Level = "warn"
	}

	config.Dispatcher.MaxConcurrentRuns = max(config.Dispatcher.MaxConcurrentRuns, len(cast))

	a, err := newAppliance(config, source, &initramfs.Image{}, c.out, c.errs)
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, a.close()) }()

	if err := a.open(ctx, a.openStore, a.openIdentity, a.pretend, a.openEngine, a.openUpkeep, a.openConsole); err != nil {
		return err
	}

	s, err := a.newStage(ctx, cast)
	if err != nil {
		return err
	}

	return a.together(ctx, append(a.common(), component{"gate", s.serveGate}, component{"greeting", s.greet}, component{"hosts", s.play}))
}

// pretend has every report say that no machine was tested.
func (a *appliance) pretend(context.Context) error {
	a.about.TransportNote = "This is a demo: the host is simulated, nothing was booted and no hardware was tested."

	return nil
}

// stage is where the simulated hosts play.
type stage struct {
	*appliance

	gate net.Listener
	cast []*simhost.Character
}

func (a *appliance) newStage(ctx context.Context, cast []*simhost.Character) (*stage, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening the agent API: %w", err)
	}

	return &stage{appliance: a, gate: listener, cast: cast}, nil
}

// whileRead returns a context that ends when whoever reads one of the outputs has gone
// (vetting demo | head): the next line would end the process where it stands, and what it
// wrote would stay. SIGPIPE itself says nothing of that kind, since each connection that a
// browser breaks off raises it too, so it is ignored until the process ends.
func whileRead(ctx context.Context, outputs ...io.Writer) (context.Context, context.CancelFunc) {
	signal.Ignore(unix.SIGPIPE)

	ctx, cancel := context.WithCancel(ctx)

	for _, output := range outputs {
		if file, ok := output.(*os.File); ok {
			go func() {
				for ctx.Err() == nil {
					if readerGone(file, time.Second) {
						cancel()
					}
				}
			}()
		}
	}

	return ctx, cancel
}

// readerGone waits for the reading end of a pipe to be closed, which poll(2) says
// of every pipe unasked.
func readerGone(pipe *os.File, wait time.Duration) bool {
	fds := []unix.PollFd{{Fd: int32(pipe.Fd())}} //nolint:gosec // a descriptor is small

	n, err := unix.Poll(fds, int(wait.Milliseconds()))

	return err == nil && n == 1 && fds[0].Revents&unix.POLLERR != 0
}

// fast has simulated machines do everything so many times faster.
func fast(cast []*simhost.Character, speed float64) []*simhost.Character {
	for _, c := range cast {
		c.Hurry(speed)
	}

	return cast
}

func (s *stage) serveGate(ctx context.Context) error { return s.answerAgents(ctx, s.gate) }

// greet registers the hosts, starts their runs and says where to look.
func (s *stage) greet(ctx context.Context) error {
	for _, c := range s.cast {
		switch err := s.register(ctx, c); {
		case errors.Is(err, core.ErrConflict):
			continue // of an earlier demo in the same directory
		case err != nil:
			return err
		}

		if _, err := s.engine.StartRun(ctx, c.MAC, core.StartRun{Profile: "quick", Who: "demo"}); err != nil {
			return err
		}
	}

	fmt.Fprintf(s.out, "%d simulated hosts; nothing here touches a network or a disk\nconsole: %s\n", len(s.cast), s.ui.URL())
	fmt.Fprintf(s.out, "for the command line: export VETTING_SERVER=%s VETTING_DATA_DIR=%s; export VETTING_TOKEN=$(vetting token create --scope operate)\n",
		s.ui.URL(), s.config.DataDir)

	if err := s.offerSetup(ctx); err != nil {
		return err
	}

	fmt.Fprintln(s.out, "Ctrl-C ends the demo.")

	return nil
}

// register makes a machine known, with its expected spec.
func (s *stage) register(ctx context.Context, c *simhost.Character) error {
	host := core.Host{MAC: c.MAC, Name: c.Name, Notes: "Simulated: " + c.About + ".", Power: core.Power{Method: core.PowerManual}}
	if _, err := s.engine.RegisterHost(ctx, "demo", host); err != nil || c.Spec == "" {
		return err
	}

	_, err := s.engine.SetSpec(ctx, "demo", c.MAC, c.Spec)

	return err
}

// play lets every host live until ctx ends.
func (s *stage) play(ctx context.Context) error {
	var parts []component

	for i, c := range s.cast {
		addr := netip.AddrFrom4([4]byte{10, 77, byte(i >> 8), byte(i)}) //nolint:gosec // at most 1000
		dir := filepath.Join(s.config.DataDir, "hosts", c.Name)

		parts = append(parts, component{c.Name, func(ctx context.Context) error {
			err := c.Live(ctx, dir, func(ctx context.Context, done core.RunID) (wire.Seed, error) { return s.boot(ctx, c.MAC, addr, done) })
			if ctx.Err() == nil {
				return err
			}

			return nil
		}})
	}

	return s.together(ctx, parts)
}

// bootEvery is how often a machine that is off looks whether it is to boot.
const bootEvery = 250 * time.Millisecond

// boot waits for a run other than done and returns its seed, as a boot loader
// gets it.
func (s *stage) boot(ctx context.Context, mac core.MAC, addr netip.Addr, done core.RunID) (seed wire.Seed, err error) {
	every := time.NewTicker(bootEvery)
	defer every.Stop()

	for {
		select {
		case <-ctx.Done():
			return seed, ctx.Err()
		case <-every.C:
		}

		d := s.engine.Decide(core.BootClient{MAC: mac, Kind: core.ClientIPXE, Addr: addr})
		if d.Action != core.BootVet || d.Run == done {
			continue
		}

		nonce, err := s.engine.Arm(ctx, mac, addr)
		if errors.Is(err, core.ErrConflict) {
			continue // it was cancelled meanwhile
		}

		if err != nil {
			return seed, err
		}

		raw, err := s.engine.Seed(ctx, nonce, addr, false)
		if err != nil {
			s.log.Debug("seed not given", slog.String("host", string(mac)), slog.String("error", err.Error()))

			continue
		}

		if err := json.Unmarshal(raw, &seed); err != nil {
			return seed, fmt.Errorf("reading the seed: %w", err)
		}

		seed.Server = "https://" + s.gate.Addr().String()

		return seed, nil
	}
}
