package agent_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vetting/agent"
	"vetting/agent/gate/gatetest"
	"vetting/agent/stage"
	"vetting/core"
)

// rig is a machine in front of an appliance in memory. It is used inside
// synctest, so that minutes pass at once.
type rig struct {
	t         *testing.T
	appliance *gatetest.Appliance
	config    agent.Config
	console   *safeBuffer
	clock     []time.Time // times the clock was set to
	off       int         // times the power was switched off
	stop      context.CancelFunc
	done      chan error
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.b.String()
}

var errFromTest = errors.New("from the test")

// passes is a stage that takes a while and passes.
func passes(took time.Duration) stage.Func {
	return func(ctx context.Context, env stage.Env) core.Result {
		env.Progress("half", 0.5, took/2)

		select {
		case <-ctx.Done():
			return core.Result{Verdict: core.Error, Coverage: "stopped"}
		case <-time.After(took):
			return core.Result{Verdict: core.Pass, Coverage: "all of it"}
		}
	}
}

func newRig(t *testing.T) *rig {
	t.Helper()

	r := &rig{t: t, appliance: gatetest.New(t), console: &safeBuffer{}}
	r.config = agent.Config{
		Seed: r.appliance.Seed(),
		Stages: map[core.StageName]stage.Func{
			core.InventoryCheck: passes(time.Second), core.Firmware: passes(time.Second), core.SMART: passes(2 * time.Minute),
		},
		Identity: core.Identity{SMBIOSUUID: "4c4c4544-0042-3510-8052-b4c04f4e3232", BoardSerial: "B1", MACs: []core.MAC{gatetest.HostMAC}},
		BootID:   "8f1c2d7e-boot", Kernel: "6.12.0", FirmwareMode: "uefi", Version: "test", IP: "10.77.0.9", MAC: gatetest.HostMAC,
		StateDir: t.TempDir(),
		PowerOff: func() error { r.off++; return nil },
		SetClock: func(at time.Time) error { r.clock = append(r.clock, at); return nil },
		Log:      slog.New(slog.NewTextHandler(io.MultiWriter(r.console, t.Output()), nil)),
		Dial:     r.appliance.Wire.Dial,
	}

	return r
}

// start starts the agent's process.
func (r *rig) start() {
	ctx, cancel := context.WithCancel(r.t.Context())
	r.stop, r.done = cancel, make(chan error, 1)

	go func() { r.done <- agent.Run(ctx, r.config) }()
}

// end waits for the process to end by itself.
func (r *rig) end() error {
	r.t.Helper()

	select {
	case err := <-r.done:
		return err
	case <-time.After(24 * time.Hour):
		r.t.Error("the agent still runs after a day")
		r.stop()

		return <-r.done
	}
}

// kill ends the process.
func (r *rig) kill() {
	r.stop()

	if err := <-r.done; !errors.Is(err, context.Canceled) {
		r.t.Errorf("Run() = %v, want that of the context", err)
	}
}

// within runs a scenario in a bubble with the appliance up.
func within(t *testing.T, scenario func(t *testing.T, r *rig)) {
	t.Helper()

	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.appliance.Start(t)
		scenario(t, r)
		r.appliance.Kill(t)
	})
}
