package stage_test

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"vetting/agent/partner"
	"vetting/agent/probe"
	"vetting/agent/stage"
	"vetting/agent/traffic"
	"vetting/agent/wire/load"
	"vetting/core"
	"vetting/core/problem"
	"vetting/core/profile"
)

// cabled is the machine of netBench with the real partner at the other end of a cable,
// which does to what goes over it what a test wants.
type cabled struct {
	*netBench

	partner *partner.Partner
	server  netip.AddrPort
	phase   atomic.Value // of the test, a string
	count   atomic.Int64 // pieces that a fault has seen
	seen    atomic.Int64
	sends   func(network string, b []byte) []byte // what becomes of a piece; nil: lost
	takes   func(network string, b []byte) []byte // nil in a stream: it stalls
}

// in reports whether a phase is under way.
func (c *cabled) in(phase string) bool { return c.phase.Load() == phase }

func newCabled(t *testing.T) *cabled {
	t.Helper()

	c := &cabled{netBench: newNetBench()}
	c.Config[profile.NetworkDuration] = "300ms"
	c.Config[profile.NetworkStreams] = "1"
	c.Config[profile.NetworkUDP] = "0"
	c.partner = partner.New(partner.Config{
		Authorise: func(context.Context, core.RunID, string) (int, error) { return 1, nil }, Log: slog.New(slog.DiscardHandler),
	})

	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	c.server = netip.MustParseAddrPort(ln.Addr().String())
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)

	go func() { served <- c.partner.Serve(ctx, ln) }()

	t.Cleanup(func() {
		cancel()

		if err := <-served; err != nil {
			t.Error(err)
		}
	})

	c.Ticket = func(ctx context.Context) (traffic.Ticket, error) {
		for {
			told, err := c.partner.Admit("01JD8WVZ6T0000000000000001", "session")
			if err == nil || ctx.Err() != nil {
				return traffic.Ticket{ID: told.Ticket, Key: told.Key, Server: c.server}, err
			}

			time.Sleep(time.Millisecond) // it listens in a moment
		}
	}

	return c
}

// Measure tests over the cable for real.
func (c *cabled) Measure(ctx context.Context, ticket traffic.Ticket, _, _ string, s traffic.Schedule, o stage.Observer) *traffic.Report {
	client := &traffic.Client{Ticket: ticket, Moved: o.Moved, Patience: time.Minute, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)

		return &plugged{Conn: conn, cable: c, network: network}, err
	}}

	r := client.Measure(ctx, s, func(phase string, done float64, left time.Duration) {
		c.phase.Store(phase)
		o.Phase(phase, done, left)
	})
	c.during()

	return r
}

func (c *cabled) run(t *testing.T) core.Result {
	t.Helper()

	return stage.Network(probe.Machine{Root: c.files, Ports: c}, c)(t.Context(), c.Env)
}

// plugged is a connection over the cable.
type plugged struct {
	net.Conn

	cable   *cabled
	network string
}

func (p *plugged) Write(b []byte) (int, error) {
	if p.cable.sends == nil {
		return p.Conn.Write(b)
	}

	out := p.cable.sends(p.network, slices.Clone(b))
	if out == nil && p.network == "tcp" { // nothing can be missing in a stream: it breaks
		_ = p.Close()

		return 0, net.ErrClosed
	}

	if out == nil {
		return len(b), nil
	}

	_, err := p.Conn.Write(out)

	return len(b), err
}

func (p *plugged) Read(b []byte) (int, error) {
	for {
		n, err := p.Conn.Read(b)
		if err != nil || p.cable.takes == nil {
			return n, err
		}

		if out := p.cable.takes(p.network, b[:n]); out != nil {
			return n, nil
		}

		if p.network == "tcp" { // nothing can be missing in a stream: it stands still, until nobody waits any longer
			return 0, os.ErrDeadlineExceeded
		}
	}
}

// TestASoundCablePasses with nothing but what the loopback is too slow for, since it has
// no speed of its own.
func TestASoundCablePasses(t *testing.T) {
	c := newCabled(t)
	c.files["sys/class/net/eth0/speed"] = text("-1")
	c.port.SpeedMbps, c.port.MaxSpeedMbps = 0, 0

	r := c.run(t)
	for _, f := range r.Findings {
		if f.Severity == core.Critical {
			t.Errorf("%+v", f)
		}
	}

	if r.Verdict != core.Pass {
		t.Errorf("%s: %s", r.Verdict, r.Coverage)
	}
}

// TestFaultsOfACable plants each fault between the machine and the partner, both of
// which are the real ones: each has its own code and verdict. A fault comes with a phase
// and not after so much traffic, of which a machine with much to do has little.
func TestFaultsOfACable(t *testing.T) {
	t.Parallel()

	data := func(network string, b []byte) bool { // frames, and no lines
		return network == "tcp" && len(b) >= load.HeadSize && b[0] != '{' && string(b) != load.Greeting
	}
	body := func(network string, b []byte) bool { return data(network, b) && len(b) == load.BodySize } // no ending
	large := func(network string, b []byte) bool { return network == "udp" && len(b) > 500 }

	for name, f := range map[string]struct {
		plant   func(c *cabled)
		code    string
		verdict core.Verdict
	}{
		"bits that flip in what is sent": {func(c *cabled) {
			c.sends = func(network string, b []byte) []byte {
				if body(network, b) && (c.in("sending") || c.in("both ways")) {
					b[1000] ^= 2
				}

				return b
			}
		}, "network/corruption", core.Fail},
		"a bit that flips in a datagram that comes": {func(c *cabled) {
			c.Config[profile.NetworkUDP] = "20"
			c.takes = func(network string, b []byte) []byte {
				if large(network, b) && c.count.Add(1) == 1 {
					b[400] ^= 2
				}

				return b
			}
		}, "network/corruption", core.Fail},
		"a planted fault that is mended": {func(c *cabled) {
			c.sends = func(network string, b []byte) []byte {
				if body(network, b) && c.count.Add(1) == 3 {
					b[load.BodySize/3] ^= 0x10
				}

				return b
			}
		}, "network/canary-missed", core.Error},
		"datagrams that are lost": {func(c *cabled) {
			c.Config[profile.NetworkUDP] = "20"
			c.sends = func(network string, b []byte) []byte {
				if large(network, b) && c.count.Add(1) == 1 {
					return nil
				}

				return b
			}
		}, "network/udp-loss", core.Pass},
		"a partner that stalls": {func(c *cabled) {
			c.takes = func(network string, b []byte) []byte {
				if network == "tcp" && len(b) > 1 && c.in("receiving") { // the lines come byte by byte
					return nil
				}

				return b
			}
		}, "network/stalled", core.Error},
		"a connection that breaks": {func(c *cabled) {
			c.sends = func(network string, b []byte) []byte {
				if data(network, b) && c.in("sending") {
					return nil
				}

				return b
			}
		}, "network/broken-off", core.Error},
		"an appliance that is started again": {func(c *cabled) {
			c.sends = func(network string, b []byte) []byte {
				if data(network, b) && c.in("sending") && c.count.Add(1) == 1 {
					return nil
				}

				return b
			}
		}, "", core.Pass},
		"a damaged frame before the connection breaks": {func(c *cabled) {
			c.sends = func(network string, b []byte) []byte {
				if body(network, b) && c.in("sending") && c.count.Add(1) == 1 {
					b[77] ^= 1
				}

				return b
			}
			c.takes = func(network string, b []byte) []byte {
				if network == "tcp" && len(b) > 1 && c.in("receiving") && c.seen.Add(1) == 1 {
					return nil
				}

				return b
			}
		}, "network/corruption", core.Fail},
		"a link that flaps": {func(c *cabled) {
			c.during = func() { c.files["sys/class/net/eth0/carrier_changes"] = text("3") }
		}, "network/flap", core.Fail},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c := newCabled(t)
			f.plant(c)

			r := c.run(t)
			if r.Verdict != f.verdict || f.code != "" && len(find(r, f.code)) == 0 || f.code == "" && slices.ContainsFunc(r.Findings, func(f core.Finding) bool { return f.Severity == core.Critical }) {
				t.Errorf("%s with %+v, want %s with %s", r.Verdict, r.Findings, f.verdict, f.code)
			}

			for _, found := range r.Findings {
				if _, known := problem.Lookup(found.Code); !known || found.Part.Slot != "eth0" {
					t.Errorf("%+v", found)
				}
			}
		})
	}
}
