// Package simhost is a machine under test that has no hardware: it holds the
// conversation with our own agent's code and plays a script where stages would
// look at devices. It serves tests and load; nothing of it is in the boot image.
package simhost

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"vetting/agent"
	"vetting/agent/stage"
	"vetting/agent/wire"
	"vetting/core"
)

// Play is what a stage does instead of looking at hardware, in this order: it
// says Lines, samples Samples and Curve once and then at every Every until Takes is over,
// panics if Panic is set, and returns Result.
type Play struct {
	Lines   []string
	Samples []core.Sample // their time is filled in
	// Curve gives more samples, which change as the stage goes on.
	Curve  func(gone, takes time.Duration) []core.Sample
	Steps  []string      // what the progress names, one after the other
	Every  time.Duration // 0: once
	Takes  time.Duration
	Stuck  bool // it never ends: from a third of Takes on nothing moves, as a disk whose self-test hangs
	Panic  string
	Result core.Result
	Do     stage.Func // if set, the stage does this and nothing of the above
}

// Host is a simulated machine. Seed, Identity, BootID and StateDir must be set;
// the rest has defaults. It is not to be changed once a process of it runs.
type Host struct {
	Seed     wire.Seed
	Identity core.Identity
	BootID   string
	StateDir string // of this boot; a second Run with the same one is a restarted process
	// Script holds a play for each stage; Healthy is used when it is nil.
	Script map[core.StageName]Play
	Log    *slog.Logger // the machine's console; nil: nobody looks at it
	Dial   agent.Dial   // nil: a real network
	IP     string       // its address, as the appliance sees it; empty: the loopback's

	poweredOff atomic.Bool
	door       atomic.Pointer[Door]
}

// Run holds the conversation from hello to the end of the run, as agent.Run.
func (h *Host) Run(ctx context.Context) error {
	log := h.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}

	script := h.Script
	if script == nil {
		script = Healthy(core.Inventory{})
	}

	stages := map[core.StageName]stage.Func{}
	for name, play := range script {
		stages[name] = play.Perform
	}

	ip := h.IP
	if ip == "" {
		ip = "127.0.0.1"
	}

	err := agent.Run(ctx, agent.Config{
		Seed: h.Seed, Stages: stages, Identity: h.Identity, BootID: h.BootID, Kernel: "simulated", FirmwareMode: "uefi",
		IP: ip, OpenDoor: h.openDoor, Version: "simhost", MAC: core.MAC(h.Seed.MAC), StateDir: h.StateDir, Log: log, Dial: h.Dial,
		PowerOff: func() error { h.poweredOff.Store(true); return nil },
		SetClock: func(time.Time) error { return nil },
	})
	if err != nil {
		return fmt.Errorf("simulating host %s: %w", h.Seed.MAC, err)
	}

	return nil
}

// PoweredOff reports whether the appliance had the machine switched off.
func (h *Host) PoweredOff() bool { return h.poweredOff.Load() }

// Client returns a client by which the host says what no agent of ours would.
func (h *Host) Client() (*agent.Client, error) { return agent.NewClient(h.Seed, h.Dial) }

// Perform plays the stage.
func (p Play) Perform(ctx context.Context, env stage.Env) core.Result {
	if p.Do != nil {
		return p.Do(ctx, env)
	}

	for _, text := range p.Lines {
		env.Log.Info(text)
	}

	if err := p.take(ctx, env); err != nil {
		return core.Result{Verdict: core.Error, Coverage: "stopped: " + err.Error()}
	}

	if p.Panic != "" {
		panic(p.Panic)
	}

	return p.Result
}

// take lets the time of the stage pass, with samples.
func (p Play) take(ctx context.Context, env stage.Env) error {
	begin := time.Now()
	every := p.Every

	if every <= 0 {
		every = max(p.Takes, time.Nanosecond)
	}

	for {
		gone := time.Since(begin)
		if p.Stuck {
			gone = min(gone, p.Takes/3)
		}

		p.measure(env, gone)

		left := p.Takes - gone
		if left <= 0 {
			return nil
		}

		env.Progress(p.step(gone), float64(gone)/float64(p.Takes), left)

		timer := time.NewTimer(min(every, left))

		select {
		case <-ctx.Done():
			timer.Stop()

			return ctx.Err()
		case <-timer.C:
		}
	}
}

// measure hands over what the sensors say that long after the stage began.
func (p Play) measure(env stage.Env, gone time.Duration) {
	samples := slices.Clone(p.Samples)
	if p.Curve != nil {
		samples = append(samples, p.Curve(gone, p.Takes)...)
	}

	for i := range samples {
		samples[i].Time = time.Now()
	}

	env.Sensor(samples...)
}

// step is what the stage is at that long after it began.
func (p Play) step(gone time.Duration) string {
	if len(p.Steps) == 0 {
		return "simulated"
	}

	return p.Steps[min(len(p.Steps)-1, int(gone*time.Duration(len(p.Steps))/p.Takes))]
}

// Healthy returns the script of a machine with nothing wrong and the given
// inventory; one disk is in it in any case.
func Healthy(inventory core.Inventory) map[core.StageName]Play {
	if len(inventory.Disks) == 0 {
		inventory.Disks = []core.Disk{{Name: "sda", Transport: "sata", Model: "SIMULATED", Serial: "SIM1", SizeBytes: 1 << 40, SMART: true}}
	}

	disk := inventory.Disks[0]
	part := core.Part{Kind: "disk", Slot: disk.Name, Model: disk.Model, Serial: disk.Serial}

	return map[core.StageName]Play{
		core.InventoryCheck: {
			Lines:  []string{"reading what the machine is made of"},
			Result: core.Result{Verdict: core.Pass, Coverage: "1 of 1 disks", Inventory: &inventory},
		},
		core.Firmware: {
			Result: core.Result{
				Verdict: core.Pass, Coverage: "1 of 1 parts",
				Firmware: []core.FirmwareItem{{Part: part, Name: "disk", Version: "1.0"}},
			},
		},
		core.SMART: {
			Lines:   []string{"short self-test of " + disk.Name},
			Samples: []core.Sample{{Key: "disk/" + disk.Name + "/temperature_celsius", Value: 31, Unit: "celsius"}},
			Every:   time.Second, Takes: 2 * time.Minute,
			Result: core.Result{
				Verdict: core.Pass, Coverage: "1 of 1 disks",
				SubSteps: []core.SubStep{{Name: disk.Name, Part: part, Verdict: core.Pass, Progress: 1}},
			},
		},
		core.CPUStress: {Result: core.Result{Verdict: core.Pass, Coverage: "16 of 16 CPUs"}},
		core.Storage:   {Result: core.Result{Verdict: core.Pass, Coverage: "1 of 1 disks; 1 read (20.0 GiB, 2.0 %), write NOT tested; no disk was armed"}},
		core.Burn:      {Result: core.Result{Verdict: core.Pass, Coverage: "everything at once for 10m0s"}},
		core.GPU:       {Result: core.Result{Verdict: core.Skip, SkipReason: "no GPU", Coverage: "no GPU"}},
		core.PSU:       {Result: core.Result{Verdict: core.Pass, Coverage: "3m0s of idle, full load and pulses, 2 of 2 power supplies observed"}},
		core.Memory:    {Result: core.Result{Verdict: core.Pass, Coverage: "31.5 of 32 GiB"}},
		core.Network:   {Result: core.Result{Verdict: core.Pass, Coverage: "1 of 1 port with a link tested"}},
	}
}

// With returns the script with another play for one stage.
func With(script map[core.StageName]Play, name core.StageName, play Play) map[core.StageName]Play {
	changed := maps.Clone(script)
	changed[name] = play

	return changed
}
