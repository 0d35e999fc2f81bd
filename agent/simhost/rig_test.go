package simhost_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vetting/agent/gate"
	"vetting/agent/gate/gatetest"
	"vetting/agent/simhost"
	"vetting/agent/wire"
	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/engine"
	"vetting/core/profile"
	"vetting/core/report"
	"vetting/core/signal"
	"vetting/core/spec"
)

// site is the real engine behind the real gate, with simulated hosts, in a
// bubble of time.
type site struct {
	*gatetest.Appliance
	t      *testing.T
	ledger *disk
	clock  *wall
	engine *engine.Engine
	tick   *time.Ticker
	stop   context.CancelFunc
	ended  chan error
}

// disk is a ledger whose disk may be full.
type disk struct {
	core.Ledger

	full    atomic.Bool
	refused atomic.Int32
}

func (d *disk) Update(ctx context.Context, change func(core.Txn) error) (uint64, error) {
	return d.Ledger.Update(ctx, func(tx core.Txn) error {
		if err := change(tx); err != nil || !d.full.Load() {
			return err
		}

		d.refused.Add(1)

		return core.ErrFull
	})
}

// wall is a clock that somebody may set.
type wall struct{ off atomic.Int64 }

func (w *wall) Now() time.Time { return time.Now().Add(time.Duration(w.off.Load())) }

type noPower struct{}

func (noPower) Do(_ context.Context, order core.PowerOrder) core.PowerAnswer {
	return core.PowerAnswer{Attempts: []core.PowerAttempt{{Way: order.Way}}}
}

// safeBuffer is a buffer for many writers.
type safeBuffer struct {
	mu sync.Mutex
	b  strings.Builder
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

func onSite(t *testing.T, scenario func(t *testing.T, s *site)) {
	t.Helper()

	synctest.Test(t, func(t *testing.T) {
		s := &site{Appliance: gatetest.New(t), t: t, ledger: &disk{Ledger: coretest.NewLedger()}, clock: &wall{}}
		s.up()
		scenario(t, s)
		s.down()
	})
}

// writing is a profile with a stage that writes.
func writing() core.Profile {
	return core.Profile{Name: "writing", Scale: 1, Stages: []core.StageName{core.InventoryCheck, core.Storage, core.Reporting}}
}

// up starts an engine on the ledger and the gate before it.
func (s *site) up() {
	s.t.Helper()
	s.tick = time.NewTicker(time.Second)
	start := time.Now()

	e, err := engine.New(engine.Config{
		Ledger: s.ledger, Clock: s.clock, Uptime: func() time.Duration { return time.Since(start) }, Tick: s.tick.C, Rand: rand.Reader, Bell: signal.New(),
		Profiles: append(profile.Defaults(), writing()), Stages: core.Pipeline(),
		ParseSpec: func(string) (spec.Spec, error) { return spec.Spec{}, nil },
		SeedFile: func(seed core.Seed) ([]byte, error) {
			return json.Marshal(wire.Seed{
				Version: wire.Version, Server: "https://10.77.0.1", Run: string(seed.Run), MAC: string(seed.MAC),
				BootToken: seed.BootToken, SPKISHA256: gate.SPKI(s.Cert.Leaf), Expires: wire.At(seed.Expires),
			})
		},
		TokenSecret: []byte("what only the appliance knows, 32 bytes"),
		Power:       noPower{}, Appliance: report.Appliance{ID: "test"}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		s.t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(s.t.Context())
	s.engine, s.Runs, s.stop, s.ended = e, e, cancel, make(chan error, 1)

	go func() { s.ended <- e.Run(ctx) }()

	synctest.Wait()
	s.Start(s.t)
}

// down ends both at once; up starts others on the same ledger.
func (s *site) down() {
	s.t.Helper()
	s.Kill(s.t)
	s.stop()
	s.tick.Stop()

	if err := <-s.ended; err != nil {
		s.t.Errorf("the engine ended with %v", err)
	}
}

// start registers the n-th host and starts a run on it.
func (s *site) start(n int) core.RunID {
	s.t.Helper()

	if _, err := s.engine.RegisterHost(s.t.Context(), "op", coretest.Host(n)); err != nil {
		s.t.Fatal(err)
	}

	run, err := s.engine.StartRun(s.t.Context(), coretest.MAC(n), core.StartRun{Profile: "quick", Who: "op"})
	if err != nil {
		s.t.Fatal(err)
	}

	synctest.Wait()

	return run.ID
}

// boot lets the n-th host fetch its script and seed, and be a fresh boot.
func (s *site) boot(n int, bootID string) *simhost.Host {
	s.t.Helper()

	addr := netip.AddrFrom4([4]byte{10, 77, 0, byte(n)})

	nonce, err := s.engine.Arm(s.t.Context(), coretest.MAC(n), addr)
	if err != nil {
		s.t.Fatal(err)
	}

	raw, err := s.engine.Seed(s.t.Context(), nonce, addr, false)
	if err != nil {
		s.t.Fatal(err)
	}

	h := &simhost.Host{
		Identity: coretest.Identity(n), BootID: bootID, StateDir: s.t.TempDir(), Script: simhost.Healthy(coretest.Inventory(n)),
		Dial: s.Wire.Dial, Log: slog.New(slog.NewTextHandler(s.t.Output(), nil)),
	}

	if err := json.Unmarshal(raw, &h.Seed); err != nil {
		s.t.Fatal(err)
	}

	return h
}

// process is a running agent.
type process struct {
	stop  context.CancelFunc
	ended chan error
}

func (s *site) run(h *simhost.Host) process {
	ctx, cancel := context.WithCancel(s.t.Context())
	p := process{cancel, make(chan error, 1)}

	go func() { p.ended <- h.Run(ctx) }()

	return p
}

// kill ends the process as a power cut does, and waits until it is gone.
func (p process) kill() {
	p.stop()
	<-p.ended
}

// end waits for the process to end by itself.
func (s *site) end(p process) error {
	s.t.Helper()

	select {
	case err := <-p.ended:
		return err
	case <-time.After(6 * time.Hour):
		s.t.Error("the agent still runs after six hours")
		p.stop()

		return <-p.ended
	}
}

func record[T any](s *site, table core.Table, key string) (v T) {
	s.t.Helper()

	if err := s.ledger.View(s.t.Context(), func(r core.Reader) error { return r.Get(table, key, &v) }); err != nil {
		s.t.Fatalf("%s %s: %v", table, key, err)
	}

	return v
}

func (s *site) wantState(id core.RunID, want core.State) core.Run {
	s.t.Helper()

	run := record[core.Run](s, core.TableRun, string(id))
	if run.State != want {
		s.t.Fatalf("the run is in %s, want %s; stages %+v findings %+v", run.State, want, run.Stages, run.Findings)
	}

	return run
}

// samples returns all that was measured, in the order of epochs and numbers.
func (s *site) samples(id core.RunID) (all []core.Sample) {
	s.t.Helper()

	err := s.ledger.View(s.t.Context(), func(r core.Reader) error {
		return r.Scan(core.TableSamples, core.Query{Prefix: string(id) + "/"}, func(_ string, decode func(any) error) error {
			var batch core.SampleBatch

			err := decode(&batch)
			all = append(all, batch.Samples...)

			return err
		})
	})
	if err != nil {
		s.t.Fatal(err)
	}

	return all
}

// noticed counts the notices with a code.
func (s *site) noticed(code string) (n int) {
	s.t.Helper()

	err := s.ledger.View(s.t.Context(), func(r core.Reader) error {
		events, err := r.Events(0, 0)
		for _, e := range events {
			if e.Kind == core.EventNotice && strings.Contains(string(e.Data), `"`+code+`"`) {
				n++
			}
		}

		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}

	return n
}
