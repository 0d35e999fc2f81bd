package traffic_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vetting/agent/partner"
	"vetting/agent/traffic"
	"vetting/core"
)

// rig is a partner on the loopback and a client of it, whose connections may be bad.
type rig struct {
	partner *partner.Partner
	client  *traffic.Client
	over    atomic.Bool // the run is
	cable   *cable
}

const run = core.RunID("01JD8WVZ6T0000000000000001")

func newRig(t *testing.T, change ...func(*partner.Config)) *rig {
	t.Helper()

	r := &rig{cable: &cable{}}
	config := partner.Config{
		Authorise: func(_ context.Context, id core.RunID, token string) (int, error) {
			if r.over.Load() || id != run || token != "session" {
				return 0, errors.New("over")
			}

			return 1, nil
		},
		Log: slog.New(slog.DiscardHandler),
	}

	for _, f := range change {
		f(&config)
	}

	r.partner = partner.New(config)

	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)

	go func() { served <- r.partner.Serve(ctx, ln) }()

	t.Cleanup(func() {
		cancel()

		if err := <-served; err != nil {
			t.Error(err)
		}
	})

	server, err := netip.ParseAddrPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}

	// It listens as soon as it says so.
	for {
		told, err := r.partner.Admit(run, "session")
		if err == nil {
			r.client = &traffic.Client{Ticket: traffic.Ticket{ID: told.Ticket, Key: told.Key, Server: server}, Dial: r.cable.dial, Patience: 5 * time.Second}

			return r
		}

		time.Sleep(time.Millisecond)
	}
}

// cable is what lies between both. What is not set is sound.
type cable struct {
	write, read func(n int, b []byte) []byte // the nth piece of a connection, as it goes on; nil: lost
	network     string                       // of the connections that it is about; empty: all
	plugged     func(net.Conn)
}

func (c *cable) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}

	if c.plugged != nil {
		c.plugged(conn)
	}

	if c.network != "" && c.network != network || c.write == nil && c.read == nil {
		return conn, nil
	}

	return &wire{Conn: conn, cable: c}, nil
}

// wire is a connection through a bad cable.
type wire struct {
	net.Conn

	cable *cable
	mu    sync.Mutex
	wrote int // pieces
	had   int
}

func (w *wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	n := w.wrote
	w.wrote++
	w.mu.Unlock()

	if w.cable.write == nil {
		return w.Conn.Write(b)
	}

	if out := w.cable.write(n, append([]byte(nil), b...)); out != nil {
		if _, err := w.Conn.Write(out); err != nil {
			return 0, err
		}
	}

	return len(b), nil
}

func (w *wire) Read(b []byte) (int, error) {
	for {
		n, err := w.Conn.Read(b)
		if err != nil || w.cable.read == nil {
			return n, err
		}

		w.mu.Lock()
		had := w.had
		w.had++
		w.mu.Unlock()

		if out := w.cable.read(had, append([]byte(nil), b[:n]...)); out != nil {
			return copy(b, out), nil
		}
	}
}
