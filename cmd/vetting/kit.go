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
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"vetting/agent/wire"
	"vetting/core"
	"vetting/core/report"
	"vetting/initramfs"
	"vetting/store"
	"vetting/ui/lookup"
)

// kitWho is who acts for a person in front of a machine that was started from the
// field kit.
const kitWho = "kit"

// kitSubnet is where appliance and agent of one machine meet.
const kitSubnet = "127.0.0.1/8"

// kitCommand is what the agent starts on a machine that was booted from the field kit.
// People do not call it.
func (c *cli) kitCommand() *cobra.Command {
	cmd := group("kit", "What the field kit's menu starts", c.kitVetCommand(), c.kitServeCommand())
	cmd.Hidden = true

	return cmd
}

// kitJob is the vetting of the machine that the appliance runs on.
type kitJob struct {
	wire.KitJob

	data string
}

func (c *cli) kitVetCommand() *cobra.Command {
	return kitPart("vet", "Vet this machine: appliance and agent in one; reads its job from standard input and says on standard output what comes of it", c.vetHere)
}

// kitPart is a command that reads a job and orders from standard input, and ends with it:
// whoever started it is gone then, or has no use for it any more.
func kitPart(use, short string, do func(context.Context, kitJob, <-chan wire.KitOrder) error) *cobra.Command {
	job := kitJob{}

	cmd := &cobra.Command{
		Use: use, Short: short, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			input := json.NewDecoder(os.Stdin)
			if err := input.Decode(&job.KitJob); err != nil {
				return fmt.Errorf("reading the job: %w", err)
			}

			ctx, end := context.WithCancel(cmd.Context())
			defer end()

			orders := make(chan wire.KitOrder)

			go func() {
				defer end()

				for {
					var order wire.KitOrder
					if err := input.Decode(&order); err != nil {
						return
					}

					select {
					case orders <- order:
					case <-ctx.Done():
						return
					}
				}
			}()

			return do(ctx, job, orders)
		},
	}
	cmd.Flags().StringVar(&job.data, "data-dir", "", "the folder for what is kept")

	return cmd
}

// kit is the appliance of the field kit, vetting the machine that it runs on.
type kit struct {
	*appliance

	job kitJob
	out *json.Encoder
}

// vetHere runs until ctx ends: after the verdict, too, since the agent may have more to
// say. It takes no orders.
func (c *cli) vetHere(ctx context.Context, job kitJob, _ <-chan wire.KitOrder) (err error) {
	image, err := initramfs.Open()
	if err != nil {
		return err
	}

	config := Defaults()
	config.DataDir, config.Netboot.Subnet = job.data, kitSubnet
	config.Run.Heartbeat.Interval = Duration(5 * time.Second)

	// The image is not served, and reading it all would keep a person waiting: what it is
	// made of is told by the sum of the program that carries it.
	carried := &initramfs.Image{ID: image.ID, KernelVersion: image.KernelVersion}

	a, err := newAppliance(config, nil, carried, io.Discard, c.errs)
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, a.close()) }()

	if a.tight, err = kitStore(job.data); err != nil {
		return err
	}

	k := &kit{appliance: a, job: job, out: json.NewEncoder(c.out)}

	if err := a.open(ctx, a.openStore, a.openIdentity, k.confess, a.openEngine, a.openUpkeep); err != nil {
		return k.complain(err)
	}

	thrifty()

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", net.JoinHostPort(a.self.Addr().String(), "443"))
	if err != nil {
		return fmt.Errorf("opening the agent API: %w", err)
	}

	return a.together(ctx, []component{
		{"store", a.store.Run},
		{"engine", a.engine.Run},
		{"courier", a.courier.Run},
		{"janitor", a.janitor.Run},
		{"gate", func(ctx context.Context) error { return a.answerAgents(ctx, listener) }},
		{"kit", k.run},
	})
}

// kitStore bounds the ledger by the stick that it is on: on a small one it keeps a
// quarter of the room free, and the tables are small where memory is.
func kitStore(dir string) (store.Config, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return store.Config{}, fmt.Errorf("making the data directory: %w", err)
	}

	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return store.Config{}, fmt.Errorf("reading the free space of %s: %w", dir, err)
	}

	config := store.Config{Small: true}

	if room := int64(st.Blocks) * st.Bsize; room < 2<<30 {
		config.Reserve, config.Ballast = room/8, -1
	}

	return config, nil
}

// confess has the report say how the machine was booted.
func (k *kit) confess(context.Context) error {
	k.about.KernelSHA256, k.about.InitrdSHA256 = "", "" // see vetHere
	k.about.TransportNote = "The machine was booted from the field kit and vetted itself: appliance and agent ran on it side by side, and nothing came over a network."

	return nil
}

// complain tells a person what keeps the kit from working.
func (k *kit) complain(err error) error {
	return errors.Join(err, k.out.Encode(wire.KitWord{Trouble: wordsOf(err)}))
}

func (k *kit) run(ctx context.Context) error {
	run, err := k.begin(ctx)
	if err != nil {
		return k.complain(err)
	}

	run, err = k.follow(ctx, run)
	if err != nil {
		return err
	}

	return k.tell(ctx, run)
}

// begin finds the run that is going on, or starts one and hands out its seed.
func (k *kit) begin(ctx context.Context) (core.RunID, error) {
	mac := core.MAC(k.job.MAC)
	host := core.Host{MAC: mac, Name: k.job.Name, Notes: "Vetted by the field kit.", Power: core.Power{Method: core.PowerManual}}

	if _, err := k.engine.RegisterHost(ctx, kitWho, host); err != nil && !errors.Is(err, core.ErrConflict) {
		return "", err
	}

	var known core.Host
	if err := k.store.View(ctx, func(r core.Reader) (err error) {
		known, err = lookup.Host(r, mac)

		return err
	}); err != nil {
		return "", err
	}

	switch {
	case known.CurrentRun != "" && string(known.CurrentRun) == k.job.Run:
		return known.CurrentRun, nil // this process is not the first one of this boot
	case k.job.Run != "":
		return core.RunID(k.job.Run), nil // it is over
	case known.CurrentRun != "":
		if err := k.cutShort(ctx, known.CurrentRun); err != nil {
			return "", err
		}
	}

	run, err := k.engine.StartRun(ctx, mac, core.StartRun{
		Profile: k.job.Profile, Scale: k.job.Scale, Who: kitWho,
		Overrides: core.Override{Skip: map[core.StageName]string{core.Network: "vetted by the field kit, which has no partner on a network"}},
	})
	if err != nil {
		return "", err
	}

	seed, err := k.seed(ctx, mac)
	if err != nil {
		return "", err
	}

	return run.ID, k.out.Encode(wire.KitWord{Seed: seed})
}

// cutShort ends a run that a power cut or a reset has left behind. What its stages had
// found is kept, and its report is written.
func (k *kit) cutShort(ctx context.Context, id core.RunID) error {
	k.log.Warn("the last run was cut short", slog.String("run", string(id)))

	run, err := k.look(ctx, id)
	if err != nil {
		return err
	}

	if run.State == core.StateFailedHolding {
		if _, err = k.engine.ReleaseRun(ctx, kitWho, id); err != nil {
			return err
		}
	} else if _, err = k.engine.CancelRun(ctx, kitWho, id); err != nil {
		return err
	}

	_, err = k.keep(ctx, id)

	return err
}

// seed waits until the run may boot, which takes no time, and arms it.
func (k *kit) seed(ctx context.Context, mac core.MAC) (*wire.Seed, error) {
	every := time.NewTicker(bootEvery)
	defer every.Stop()

	addr := netip.MustParsePrefix(kitSubnet).Addr()

	for k.engine.Decide(core.BootClient{MAC: mac, Kind: core.ClientAgent, Addr: addr}).Action != core.BootVet {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-every.C:
		}
	}

	nonce, err := k.engine.Arm(ctx, mac, addr)
	if err != nil {
		return nil, err
	}

	raw, err := k.engine.Seed(ctx, nonce, addr, false)
	if err != nil {
		return nil, err
	}

	var seed wire.Seed
	if err := json.Unmarshal(raw, &seed); err != nil {
		return nil, fmt.Errorf("reading the seed: %w", err)
	}

	return &seed, nil
}

func (k *kit) look(ctx context.Context, id core.RunID) (run core.Run, err error) {
	err = k.store.View(ctx, func(r core.Reader) (err error) {
		run, err = lookup.Run(r, id)

		return err
	})

	return run, err
}

// follow waits until the run is decided, and lets go of a machine that is held: who
// wants to look inside stands in front of it.
func (k *kit) follow(ctx context.Context, id core.RunID) (core.RunID, error) {
	every := time.NewTicker(time.Second)
	defer every.Stop()

	for {
		run, err := k.look(ctx, id)
		if err != nil {
			return id, err
		}

		switch {
		case run.State.Over():
			return id, nil
		case run.State == core.StateFailedHolding:
			if _, err := k.engine.ReleaseRun(ctx, kitWho, id); err != nil && !errors.Is(err, core.ErrConflict) {
				return id, err
			}
		}

		select {
		case <-ctx.Done():
			return id, ctx.Err()
		case <-every.C:
		}
	}
}

// tell keeps the report and says what came of the run.
func (k *kit) tell(ctx context.Context, id core.RunID) error {
	found, err := k.keep(ctx, id)
	if err != nil {
		return k.complain(fmt.Errorf("keeping the report: %w", err))
	}

	over := wire.KitVerdict{Run: string(id), Verdict: string(found.Verdict.Kind), Summary: found.Summary, Folder: filepath.Base(k.folder(&found))}
	over.Signer = core.KeyFingerprint(k.reportKeys.Key().Public())

	for _, gap := range found.NotTested {
		over.NotTested = append(over.NotTested, gap.What)
	}

	for i := range found.Findings {
		f := &found.Findings[i]
		if f.Severity != core.Info {
			over.Findings = append(over.Findings, fmt.Sprintf("%s: %s (%s) %s", f.Severity, f.Title, f.Code, f.Evidence))
		}
	}

	return k.out.Encode(wire.KitWord{Over: &over})
}

func (k *kit) folder(r *report.Report) string {
	return filepath.Join(filepath.Dir(k.config.DataDir), "reports", string(r.Run.ID)+"-"+string(r.Verdict.Kind))
}
