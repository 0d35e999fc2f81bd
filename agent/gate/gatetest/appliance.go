package gatetest

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"vetting/agent/gate"
	"vetting/agent/wire"
	"vetting/core"
)

// RunID is the run of a new appliance's book.
const RunID core.RunID = "01JD8WVZ6T0000000000000001"

// HostMAC is the machine it waits for.
const HostMAC core.MAC = "52:54:00:12:34:56"

// Appliance is a gate with a key on a network in memory.
type Appliance struct {
	Book *Book
	Runs gate.Runs // who decides; nil: the book. It keeps log and files in any case
	Wire *Wire
	Cert tls.Certificate
	Log  *slog.Logger
	// Lose tells of a request whose answer shall be lost on the way, after it
	// was dealt with; nil: of none.
	Lose func(*http.Request) bool
	// Around is laid around the gate by Start; nil: nothing is.
	Around func(http.Handler) http.Handler
	// Partner hands out tickets for network tests; nil: there is none.
	Partner gate.Partner
	// Meetings bring machines together; nil: everyone is alone.
	Meetings gate.Meetings
	// Screen tells what the machine's screen shows; nil: nothing.
	Screen gate.Screen

	stop    context.CancelFunc
	stopped chan error
}

// New returns an appliance that waits for a machine with a plan of three stages.
// Start starts it.
func New(t *testing.T) *Appliance {
	t.Helper()

	return &Appliance{
		Book: &Book{
			Run: RunID, BootToken: "boot-token-of-the-test", Interval: 15 * time.Second,
			Stages: []core.StageName{core.InventoryCheck, core.Firmware, core.SMART},
			Config: map[string]string{"SMART.self_test": "short"},
			Disks:  []core.ExpectedDisk{{Serial: "S1", Armed: true}, {Serial: "S2", Known: true}},
		},
		Wire: &Wire{}, Cert: NewCert(t), Log: slog.New(slog.DiscardHandler),
	}
}

// NewCert returns a fresh key with its certificate.
func NewCert(t *testing.T) tls.Certificate {
	t.Helper()

	certPEM, keyPEM, err := gate.NewKey(rand.Reader, time.Now())
	if err != nil {
		t.Fatal(err)
	}

	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}

	return cert
}

// Start serves until Stop or Kill.
func (a *Appliance) Start(t *testing.T) {
	t.Helper()

	ctx, cancel := context.WithCancel(t.Context())
	a.stop, a.stopped = cancel, make(chan error, 1)
	ln := a.Wire.Listen()

	runs := a.Runs
	if runs == nil {
		runs = a.Book
	}

	handler := a.lossy(gate.New(gate.Config{Runs: runs, Logs: a.Book, Artifacts: a.Book, Log: a.Log, Partner: a, Meetings: a, Screen: a.Screen}))
	if a.Around != nil {
		handler = a.Around(handler)
	}

	server := gate.Server{Cert: a.Cert, Log: a.Log, Handler: handler}

	go func() { a.stopped <- server.Serve(ctx, ln) }()
}

// Admit implements gate.Partner by what Partner is then.
func (a *Appliance) Admit(run core.RunID, token string) (wire.TrafficReply, error) {
	if a.Partner == nil {
		return wire.TrafficReply{}, core.NewProblem(core.ErrNotFound, "agent/no-partner", "This appliance has no throughput partner.")
	}

	return a.Partner.Admit(run, token)
}

// Pair implements gate.Meetings by what Meetings is then.
func (a *Appliance) Pair(ctx context.Context, run core.RunID, ask wire.Pair) (wire.PairReply, error) {
	if a.Meetings == nil {
		return wire.PairReply{State: wire.PairAlone}, nil
	}

	return a.Meetings.Pair(ctx, run, ask)
}

func (a *Appliance) lossy(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.Lose == nil || !a.Lose(r) {
			inner.ServeHTTP(w, r)

			return
		}

		inner.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	})
}

// Kill cuts every connection at once and waits until nothing runs any more.
// Start starts it again on the same book.
func (a *Appliance) Kill(t *testing.T) {
	t.Helper()

	a.Wire.Cut()
	a.stop()
	<-a.stopped
}

// Seed is what the boot script would leave for the agent.
func (a *Appliance) Seed() wire.Seed {
	return wire.Seed{
		Version: wire.Version, Server: "https://10.77.0.1", Run: string(a.Book.Run), MAC: string(HostMAC),
		BootToken: a.Book.BootToken, SPKISHA256: gate.SPKI(a.Cert.Leaf), Expires: wire.At(time.Now().Add(10 * time.Minute)),
	}
}

// Packed is a program for installed machines as an image carries it.
func Packed(t *testing.T, program string) []byte {
	t.Helper()

	var packed bytes.Buffer

	w := gzip.NewWriter(&packed)

	if _, err := w.Write([]byte(program)); err != nil {
		t.Fatal(err)
	}

	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	return packed.Bytes()
}
