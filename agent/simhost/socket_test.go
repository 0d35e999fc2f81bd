package simhost_test

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"vetting/agent/gate"
	"vetting/agent/gate/gatetest"
	"vetting/agent/simhost"
	"vetting/core"
	"vetting/core/coretest"
)

// The other tests are in a bubble of time on a network in memory; this one shows
// that the same holds over real sockets and real time.
func TestAHostIsVettedOverRealSockets(t *testing.T) {
	appliance := gatetest.New(t)
	appliance.Book.Interval = 50 * time.Millisecond

	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	server := gate.Server{
		Cert: appliance.Cert, Log: log,
		Handler: gate.New(gate.Config{Runs: appliance.Book, Logs: appliance.Book, Artifacts: appliance.Book, Log: log}),
	}

	go func() { ended <- server.Serve(ctx, ln) }()

	h := &simhost.Host{
		Seed: appliance.Seed(), Identity: coretest.Identity(1), BootID: "boot-1", StateDir: t.TempDir(), Log: log,
		Script: simhost.Healthy(coretest.Inventory(1)),
	}
	h.Seed.Server = "https://" + ln.Addr().String()

	smart := h.Script[core.SMART]
	smart.Takes, smart.Every = 20*time.Millisecond, time.Millisecond
	h.Script = simhost.With(h.Script, core.SMART, smart)

	if err := h.Run(t.Context()); err != nil || !h.PoweredOff() {
		t.Errorf("Run() = %v, powered off %v", err, h.PoweredOff())
	}

	if got := len(appliance.Book.Results()); got != 3 {
		t.Errorf("%d results, want 3", got)
	}

	if len(appliance.Book.Samples()) == 0 || len(appliance.Book.Lines()) == 0 {
		t.Error("samples or lines did not arrive")
	}

	cancel()

	if err := <-ended; err != nil {
		t.Errorf("Serve() = %v", err)
	}
}
