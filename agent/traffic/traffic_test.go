package traffic_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vetting/agent/partner"
	"vetting/agent/traffic"
	"vetting/agent/wire/load"
)

// TestASoundPort: everything that is sent arrives, both ways, and is counted.
func TestASoundPort(t *testing.T) {
	r := newRig(t)

	if err := r.client.Canary(t.Context()); err != nil {
		t.Fatal(err)
	}

	var moved atomic.Int64

	r.client.Moved = func(n int) { moved.Add(int64(n)) }

	all, err := r.client.Streams(t.Context(), []traffic.Plan{{Frames: 40}, {Down: true, Frames: 40}, {For: 50 * time.Millisecond}, {Down: true, For: 50 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}

	for i, s := range all {
		if s.Bad != 0 || i < 2 && s.Frames != 40 || s.Frames == 0 || s.Bytes < s.Frames*load.FrameSize || s.Took <= 0 || s.Segments == 0 {
			t.Errorf("stream %d: %+v", i, s)
		}
	}

	if moved.Load() < 80*load.FrameSize {
		t.Errorf("%d bytes were told of", moved.Load())
	}

	for _, down := range []bool{false, true} {
		d, err := r.client.Datagrams(t.Context(), traffic.Rate{Down: down, For: 200 * time.Millisecond, Mbps: 20, Packet: 1400})
		if err != nil {
			t.Fatal(err)
		}

		if d.Sent == 0 || d.Came+d.Dropped != d.Sent || d.Lost() != 0 || d.Bad+d.Duplicates != 0 {
			t.Errorf("datagrams down %t: %+v", down, d)
		}
	}

	e, err := r.client.Echo(t.Context(), 100*time.Millisecond, 5*time.Millisecond)
	if err != nil || e.Sent == 0 || len(e.Times) != e.Sent || e.Quantile(0.5) <= 0 || e.Quantile(0.99) < e.Quantile(0.5) {
		t.Errorf("%+v %v", e, err)
	}
}

// isFrame tells the pieces that are frames from the lines before them.
func isFrame(b []byte) bool { return len(b) >= load.BodySize }

// TestADamagedStream: one flipped bit, wherever it is and whichever way it went.
func TestADamagedStream(t *testing.T) {
	for name, c := range map[string]struct {
		down bool
		hurt func(n int, b []byte) []byte
	}{
		"in a body that we sent": {false, func(n int, b []byte) []byte {
			if n == 9 && isFrame(b) {
				b[70_000] ^= 1
			}

			return b
		}},
		"in a head that we sent": {false, func(n int, b []byte) []byte {
			if n == 8 && len(b) == load.HeadSize {
				b[17] ^= 1
			}

			return b
		}},
		"in what we got": {true, func() func(n int, b []byte) []byte {
			var at int

			return func(_ int, b []byte) []byte {
				if len(b) > 1 { // the lines come byte by byte
					if at < 500_000 && at+len(b) > 500_000 {
						b[500_000-at] ^= 0x80
					}

					at += len(b)
				}

				return b
			}
		}()},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if c.down {
				r.cable.read = c.hurt
			} else {
				r.cable.write = c.hurt
			}

			s, err := r.client.Stream(t.Context(), traffic.Plan{Down: c.down, Frames: 12})
			if err != nil || s.Bad != 1 || s.Frames != 12 {
				t.Errorf("%+v %v", s, err)
			}
		})
	}
}

// TestWhatNoFrameHas: pieces that are lost, doubled or in each other's place are bad
// frames, though each is whole.
func TestWhatNoFrameHas(t *testing.T) {
	noise := load.NewNoise(5, load.BodySize)
	frame := func(of *load.Noise, number uint64) []byte {
		head := make([]byte, load.HeadSize)
		body := of.Put(head, load.Data, number, 0)

		return slices.Concat(head, body)
	}
	row := func(numbers ...uint64) (all []byte) {
		for _, n := range numbers {
			all = append(all, frame(noise, n)...)
		}

		return all
	}

	foreign := frame(load.NewNoise(6, load.BodySize), 1)

	for name, c := range map[string]struct {
		bytes []byte
		bad   uint64
	}{
		"nothing wrong": {row(0, 1, 2, 3), 0}, "one is missing": {row(0, 2, 3), 2}, "one came twice": {row(0, 1, 1, 2), 2},
		"two have changed places": {row(0, 2, 1, 3), 2}, "one of another row": {slices.Concat(row(0), foreign, row(2)), 1},
		"one of another row of the same noise": {slices.Concat(row(0), frame(load.NewNoise(13, load.BodySize), 1), row(2)), 1},
		"zeros":                                {make([]byte, 2*load.FrameSize), 2},
	} {
		for _, piece := range []int{len(c.bytes), 1000, 1<<17 + 7} {
			check := load.NewChecker(noise)
			for part := range slices.Chunk(c.bytes, piece) {
				check.Feed(part)
			}

			if check.Bad != c.bad || check.Frames != uint64(len(c.bytes)/load.FrameSize) {
				t.Errorf("%s, by %d bytes: %d of %d bad, want %d", name, piece, check.Bad, check.Frames, c.bad)
			}
		}
	}
}

// TestACanaryThatIsMissed: a cable that mends what was broken on purpose stands for a
// detector that sees nothing.
func TestACanaryThatIsMissed(t *testing.T) {
	noiseless := func(_ int, b []byte) []byte {
		if isFrame(b) {
			b[load.BodySize/3] ^= 0 // as it is
		}

		return b
	}

	r := newRig(t)
	r.cable.write = noiseless

	if err := r.client.Canary(t.Context()); err != nil {
		t.Errorf("a canary that was found: %v", err)
	}

	r.cable.write = func(n int, b []byte) []byte {
		if isFrame(b) && n == 7 { // greeting, ask, then head and body in turn
			b[load.BodySize/3] ^= 0x10
		}

		return b
	}

	var missed *traffic.CanaryError
	if err := r.client.Canary(t.Context()); !errors.As(err, &missed) || missed.Down || missed.Bad != 0 {
		t.Errorf("a canary that was not found: %v", err)
	}
}

// TestDatagramsOverABadCable: each fault of a network has its own count.
func TestDatagramsOverABadCable(t *testing.T) {
	type result = traffic.Datagrams

	var late []byte

	for name, c := range map[string]struct {
		hurt  func(n int, b []byte) []byte
		right func(*result) bool
	}{
		"every tenth is lost": {func(n int, b []byte) []byte {
			if n%10 == 9 {
				return nil
			}

			return b
		}, func(d *result) bool {
			return d.Lost() > 0 && d.Lost() >= d.Sent/10-2 && d.Lost() <= d.Sent/10+2 && d.Bad == 0
		}},
		"every tenth is damaged": {func(n int, b []byte) []byte {
			if n%10 == 9 {
				b[len(b)-5] ^= 4
			}

			return b
		}, func(d *result) bool { return d.Bad > 0 && d.Lost() == 0 && d.Came+d.Bad+d.Dropped == d.Sent }},
		"two change their places": {func(n int, b []byte) []byte {
			if n == 4 {
				late = b

				return nil
			}

			if n == 5 { // a datagram of its own follows below
				return b
			}

			if n == 6 {
				return late
			}

			return b
		}, func(d *result) bool { return d.Reordered == 1 && d.Lost() == 1 }},
	} {
		for _, down := range []bool{false, true} {
			r := newRig(t)
			r.cable.network = "udp"

			if down {
				r.cable.read = c.hurt
			} else {
				r.cable.write = c.hurt
			}

			d, err := r.client.Datagrams(t.Context(), traffic.Rate{Down: down, For: 300 * time.Millisecond, Mbps: 5, Packet: 1000})
			if err != nil || !c.right(&d) {
				t.Errorf("%s, down %t: %+v %v", name, down, d, err)
			}
		}
	}
}

// TestADeadPort: a connection on which nothing moves ends the test, and says so.
func TestADeadPort(t *testing.T) {
	r := newRig(t)
	r.client.Patience = 100 * time.Millisecond
	r.cable.read = func(n int, b []byte) []byte {
		if n > 200 {
			return nil
		}

		return b
	}

	if s, err := r.client.Stream(t.Context(), traffic.Plan{Down: true, Frames: 1 << 30}); !errors.Is(err, traffic.ErrStalled) {
		t.Errorf("%+v %v", s, err)
	}

	r.cable.read, r.cable.network = func(int, []byte) []byte { return nil }, "udp"

	if d, err := r.client.Datagrams(t.Context(), traffic.Rate{Down: true, For: time.Second, Mbps: 1, Packet: 1000}); !errors.Is(err, traffic.ErrStalled) {
		t.Errorf("%+v %v", d, err)
	}
}

// TestWhoMayNot: who has no ticket gets nothing, nor who has one of a run that is over.
func TestWhoMayNot(t *testing.T) {
	short := func(c *partner.Config) { c.Recheck = time.Millisecond }
	plan := traffic.Plan{Frames: 1}

	refused := func(r *rig, what, word string) {
		t.Helper()

		if _, err := r.client.Stream(t.Context(), plan); !errors.Is(err, traffic.ErrRefused) || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", what, err)
		}
	}

	r := newRig(t, short)
	good := r.client.Ticket

	r.client.Ticket.Key = strings.Repeat("0", 64)
	refused(r, "a wrong key", "void")

	r.client.Ticket = good
	r.client.Ticket.ID = strings.Repeat("0", 32)
	refused(r, "no such ticket", "void")

	if _, err := r.partner.Admit(run, "session"); err != nil {
		t.Fatal(err)
	}

	r.client.Ticket = good
	refused(r, "a ticket that another took the place of", "void")

	r = newRig(t, short)
	r.over.Store(true)
	refused(r, "a run that is over", "over")

	// What is under way when the run ends is hung up on.
	for _, down := range []bool{false, true} {
		r = newRig(t, short)
		moves := make(chan struct{}, 1)
		r.client.Moved = func(int) {
			select {
			case moves <- struct{}{}:
			default:
			}
		}

		ended := make(chan error, 1)

		go func() {
			_, err := r.client.Stream(t.Context(), traffic.Plan{Down: down, Frames: 1 << 39})
			ended <- err
		}()

		<-moves
		r.over.Store(true)

		if err := <-ended; err == nil || errors.Is(err, traffic.ErrStalled) {
			t.Errorf("down %t: %v", down, err)
		}
	}
}

// TestStrangersAreHungUpOn: whoever is not on the test network, or speaks otherwise.
func TestStrangersAreHungUpOn(t *testing.T) {
	r := newRig(t, func(c *partner.Config) { c.Has = func(net.Addr) bool { return false } })
	if _, err := r.client.Stream(t.Context(), traffic.Plan{Frames: 1}); err == nil {
		t.Error("somebody else was served")
	}

	r = newRig(t)

	for _, words := range []string{"GET / HTTP/1.1\r\n\r\n", "abcdefghijklmnopqrstuvwxyz0123456789\x00", load.Greeting + "{]\n", load.Greeting + `{"kind":"format"}` + "\n"} {
		conn, err := r.cable.dial(t.Context(), "tcp", r.client.Ticket.Server.String())
		if err != nil {
			t.Fatal(err)
		}

		var heard bytes.Buffer

		_, _ = conn.Write([]byte(words))
		_, _ = heard.ReadFrom(conn)
		_ = conn.Close()

		if strings.Contains(heard.String(), `{"port"`) || strings.Contains(heard.String(), "{}\n") {
			t.Errorf("%q was answered %q", words, heard.String())
		}
	}
}

// TestManyAtOnce: nobody is turned away, and every one is verified.
func TestManyAtOnce(t *testing.T) {
	r := newRig(t)

	plans := make([]traffic.Plan, 24)
	for i := range plans {
		plans[i] = traffic.Plan{Down: i%2 == 0, Frames: 5}
	}

	all, err := r.client.Streams(t.Context(), plans)
	if err != nil {
		t.Fatal(err)
	}

	for i, s := range all {
		if s.Frames != 5 || s.Bad != 0 {
			t.Errorf("%d: %+v", i, s)
		}
	}
}

// TestWhoeverIsInTheQueue waits for as long as the partner says so, and gets a place then;
// with a run that ends meanwhile there is nothing to wait for.
func TestWhoeverIsInTheQueue(t *testing.T) {
	for _, ends := range []bool{false, true} {
		r := newRig(t, func(c *partner.Config) { c.Places, c.Recheck = 1, time.Millisecond })
		r.client.Patience = time.Minute

		ctx, free := context.WithCancel(t.Context())
		begun := make(chan struct{})
		first := *r.client
		first.Moved = func(int) {
			select {
			case <-begun:
			default:
				close(begun)
			}
		}

		over := make(chan struct{})

		go func() {
			defer close(over)

			_, _ = first.Stream(ctx, traffic.Plan{Down: true, Frames: 1 << 39}) // until it is called off
		}()

		<-begun

		waits := &waiting{told: make(chan struct{}), enough: 5}
		r.client.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := r.cable.dial(ctx, network, addr)
			waits.Conn = conn

			return waits, err
		}

		go func() {
			<-waits.told

			if ends {
				r.over.Store(true)
			} else {
				free()
			}
		}()

		s, err := r.client.Stream(t.Context(), traffic.Plan{Frames: 3})
		if !ends && (err != nil || s.Frames != 3 || s.Bad != 0) || ends && err == nil {
			t.Errorf("the run ends %t: %+v %v", ends, s, err)
		}

		free()
		<-over
	}
}

// waiting counts how often somebody goes on waiting.
type waiting struct {
	net.Conn

	enough int
	told   chan struct{} // closed after enough times
}

func (w *waiting) SetDeadline(t time.Time) error {
	if w.enough--; w.enough == 0 {
		close(w.told)
	}

	return w.Conn.SetDeadline(t)
}

// TestTheAppliancesSide: what went over the card for others is told, what went for
// this test is not.
func TestTheAppliancesSide(t *testing.T) {
	var rx atomic.Uint64

	r := newRig(t, func(c *partner.Config) {
		c.Link = func() partner.Link { return partner.Link{Mbps: 1000, Rx: rx.Add(100 << 20), Tx: 0} }
		c.Stat = func() ([]byte, error) { return []byte("cpu 1 1 1 1 1\ncpu0 10 0 10 80 0 0 0 0\n"), nil }
	})

	s, err := r.client.Stream(t.Context(), traffic.Plan{Frames: 4})
	if err != nil || s.Appliance.LinkMbps != 1000 || s.Appliance.OthersMbps <= 0 {
		t.Errorf("%+v %v", s.Appliance, err)
	}

	if s, err = r.client.Stream(t.Context(), traffic.Plan{Down: true, Frames: 4}); err != nil || s.Appliance.OthersMbps != 0 {
		t.Errorf("%+v %v", s.Appliance, err)
	}
}

// TestATestThatIsCalledOff ends at once.
func TestATestThatIsCalledOff(t *testing.T) {
	r := newRig(t)

	for _, down := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		r.client.Moved = func(int) { cancel() }

		if _, err := r.client.Stream(ctx, traffic.Plan{Down: down, Frames: 1 << 39}); !errors.Is(err, context.Canceled) {
			t.Errorf("down %t: %v", down, err)
		}
	}
}

// TestMeasure goes through all phases of a port, in their order.
func TestMeasure(t *testing.T) {
	r := newRig(t, func(c *partner.Config) { c.Link = func() partner.Link { return partner.Link{Mbps: 1000} } })

	var phases []string

	schedule := traffic.Schedule{Each: 200 * time.Millisecond, Streams: 2, Mbps: 20, Packet: 1000, LineMbps: 10_000}
	report := r.client.Measure(t.Context(), schedule, func(phase string, _ float64, _ time.Duration) { phases = append(phases, phase) })

	if report.Err != nil || !report.Proven {
		t.Fatalf("%s: %v", report.Phase, report.Err)
	}

	want := []string{"planted faults", "idle", "sending", "receiving", "both ways", "sending datagrams", "receiving datagrams"}
	if !slices.Equal(phases, want) {
		t.Errorf("phases %v", phases)
	}

	for i, f := range report.Flows() {
		if f.Streams != 2 || f.Frames == 0 || f.Bad != 0 || f.Mbps() <= 0 || f.Segments == 0 || f.Appliance.LinkMbps != 1000 {
			t.Errorf("flow %d: %+v", i, f)
		}
	}

	if len(report.Idle.Times) == 0 || len(report.Loaded.Times) == 0 || report.PacketUp.Came == 0 || report.PacketDn.Came == 0 || report.Bytes() == 0 {
		t.Errorf("%+v", report)
	}

	if report.RateUp < 1 || report.RateUp > 20 || report.RateDown < 1 || report.RateDown > 20 {
		t.Errorf("rates %d and %d", report.RateUp, report.RateDown)
	}
}

// TestMeasureOverABadCable: what breaks a phase is told with it, and nothing is tested
// by a detector that does not see.
func TestMeasureOverABadCable(t *testing.T) {
	schedule := traffic.Schedule{Each: 50 * time.Millisecond, Streams: 1, Mbps: 5, Packet: 1000}
	quiet := func(string, float64, time.Duration) {}

	r := newRig(t)
	r.cable.write = func(n int, b []byte) []byte {
		if isFrame(b) && n == 7 {
			b[load.BodySize/3] ^= 0x10
		}

		return b
	}

	var missed *traffic.CanaryError
	if report := r.client.Measure(t.Context(), schedule, quiet); report.Proven || !errors.As(report.Err, &missed) || report.Up.Bytes != 0 {
		t.Errorf("%+v", report)
	}

	r = newRig(t)
	r.client.Patience = time.Minute
	r.cable.network = "udp"
	r.cable.read = func(int, []byte) []byte { return nil }

	short := func(phase string, _ float64, _ time.Duration) {
		if phase == "receiving datagrams" { // the one that has to wait for nothing
			r.client.Patience = 100 * time.Millisecond
		}
	}

	if report := r.client.Measure(t.Context(), schedule, short); report.Phase != "receiving datagrams" || !errors.Is(report.Err, traffic.ErrStalled) || len(report.Idle.Times) != 0 {
		t.Errorf("%s: %v", report.Phase, report.Err)
	}
}
