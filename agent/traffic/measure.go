package traffic

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"vetting/agent/wire/load"
)

// Schedule is how a port is tested.
type Schedule struct {
	Each    time.Duration // for each direction, and for both together
	Streams int           // at once, for each direction
	// Mbps is the rate of datagrams that may be sent at most; 0: none are.
	Mbps   int
	Packet int // bytes of a datagram
	// LineMbps is the port's speed; 0: unknown.
	LineMbps int
}

// Flow is what came of the streams of one direction.
type Flow struct {
	Streams               int
	Frames, Bad           uint64
	Bytes                 uint64
	Took                  time.Duration
	Segments, Retransmits uint64
	Appliance             load.Appliance
	// BusiestCPU is how busy the machine's own busiest CPU was, in percent; 0: not known.
	BusiestCPU float64
}

// Mbps is how fast it went.
func (f *Flow) Mbps() float64 { return float64(f.Bytes) * 8 / 1e6 / max(f.Took.Seconds(), 1e-9) }

func (f *Flow) add(s *Stream) {
	f.Streams++
	f.Frames += s.Frames
	f.Bad += s.Bad
	f.Bytes += s.Bytes
	f.Took = max(f.Took, s.Took)
	f.Segments += s.Segments
	f.Retransmits += s.Retransmits
	f.Appliance.LinkMbps = s.Appliance.LinkMbps
	f.Appliance.OthersMbps = max(f.Appliance.OthersMbps, s.Appliance.OthersMbps)
	f.Appliance.BusiestCPU = max(f.Appliance.BusiestCPU, s.Appliance.BusiestCPU)
}

// Report is what came of a port.
type Report struct {
	Proven             bool // the planted faults were found
	Idle, Loaded       Echoes
	Up, Down           Flow
	BothUp, BothDown   Flow
	PacketUp, PacketDn Datagrams
	// Rates are those of the datagrams, in Mbit/s.
	RateUp, RateDown int
	// Phase is what was under way when Err ended the test; Err is nil where it came to
	// its end.
	Phase string
	Err   error
}

// Flows are all streams.
func (r *Report) Flows() []*Flow { return []*Flow{&r.Up, &r.Down, &r.BothUp, &r.BothDown} }

// Bytes is how much was verified.
func (r *Report) Bytes() (n uint64) {
	for _, f := range r.Flows() {
		n += f.Bytes
	}

	return n + r.PacketUp.Bytes + r.PacketDn.Bytes
}

// Frames is how many frames and datagrams came.
func (r *Report) Frames() (n uint64) {
	for _, f := range r.Flows() {
		n += f.Frames
	}

	return n + r.PacketUp.Came + r.PacketUp.Bad + r.PacketDn.Came + r.PacketDn.Bad
}

// Bad is how many frames and datagrams were not what was sent.
func (r *Report) Bad() (n uint64) {
	for _, f := range r.Flows() {
		n += f.Bad
	}

	return n + r.PacketUp.Bad + r.PacketDn.Bad
}

// BadWays says in which directions they were.
func (r *Report) BadWays() string {
	var words []string

	for _, way := range []struct {
		name string
		bad  uint64
	}{
		{"sent", r.Up.Bad + r.BothUp.Bad},
		{"received", r.Down.Bad + r.BothDown.Bad},
		{"datagrams sent", r.PacketUp.Bad},
		{"datagrams received", r.PacketDn.Bad},
	} {
		if way.bad > 0 {
			words = append(words, fmt.Sprintf("%d %s", way.bad, way.name))
		}
	}

	return strings.Join(words, ", ")
}

// Resent is how many segments of TCP were sent, both ways, and how many again.
func (r *Report) Resent() (segments, again uint64) {
	for _, f := range r.Flows() {
		segments += f.Segments
		again += f.Retransmits
	}

	return segments, again
}

// phase is a part of a test.
type phase struct {
	name  string
	takes time.Duration
	run   func(ctx context.Context) error
}

// UDPLoad is the part of what there is that datagrams are sent at.
const UDPLoad = 0.8

const (
	idleTime  = 5 * time.Second // of a schedule of a minute or more
	echoEvery = 10 * time.Millisecond
	udpShare  = 4 // of a direction's time is the part that datagrams get
)

// Measure tests a port: planted faults first, then all that there is to measure, in
// phases. tell says how far it is.
func (c *Client) Measure(ctx context.Context, s Schedule, tell func(phase string, done float64, left time.Duration)) *Report {
	r := &Report{}
	phases := c.phases(s, r)

	var whole, gone time.Duration
	for _, p := range phases {
		whole += p.takes
	}

	for _, p := range phases {
		tell(p.name, gone.Seconds()/max(whole.Seconds(), 1e-9), whole-gone)

		if err := p.run(ctx); err != nil {
			r.Phase, r.Err = p.name, err

			return r
		}

		gone += p.takes
	}

	return r
}

func (c *Client) phases(s Schedule, r *Report) []phase {
	several := func(down bool) (plans []Plan) {
		for range s.Streams {
			plans = append(plans, Plan{Down: down, For: s.Each})
		}

		return plans
	}
	idle := min(idleTime, s.Each/4)

	phases := []phase{
		{"planted faults", 0, func(ctx context.Context) error {
			err := c.Canary(ctx)
			r.Proven = err == nil

			return err
		}},
		{"idle", idle, func(ctx context.Context) (err error) {
			r.Idle, err = c.Echo(ctx, idle, echoEvery)

			return err
		}},
		{"sending", s.Each, func(ctx context.Context) error { return c.flows(ctx, several(false), &r.Up, nil) }},
		{"receiving", s.Each, func(ctx context.Context) error { return c.flows(ctx, several(true), nil, &r.Down) }},
		{"both ways", s.Each, func(ctx context.Context) error { return c.both(ctx, s, append(several(false), several(true)...), r) }},
	}

	if s.Mbps == 0 {
		return phases
	}

	return append(phases,
		phase{"sending datagrams", s.Each / udpShare, func(ctx context.Context) (err error) {
			r.RateUp = s.rate(&r.Up)
			r.PacketUp, err = c.Datagrams(ctx, Rate{For: s.Each / udpShare, Mbps: r.RateUp, Packet: s.Packet})

			return err
		}},
		phase{"receiving datagrams", s.Each / udpShare, func(ctx context.Context) (err error) {
			r.RateDown = s.rate(&r.Down)
			r.PacketDn, err = c.Datagrams(ctx, Rate{Down: true, For: s.Each / udpShare, Mbps: r.RateDown, Packet: s.Packet})

			return err
		}},
	)
}

// rate is how fast datagrams are sent: at 80 % of what there is, so that what is lost is
// lost by a fault and not for want of room.
func (s *Schedule) rate(f *Flow) int {
	room := float64(s.Mbps) / UDPLoad
	free := f.Mbps()

	if s.LineMbps > 0 {
		free = min(free, float64(s.LineMbps))
	}

	if link := f.Appliance.LinkMbps; link > 0 {
		free = min(free, float64(link)-f.Appliance.OthersMbps)
	}

	return max(1, int(UDPLoad*min(room, free)))
}

// flows moves streams and adds them up by their directions.
func (c *Client) flows(ctx context.Context, plans []Plan, up, down *Flow) error {
	before := c.cpus()
	all, err := c.Streams(ctx, plans)
	busiest := load.Busiest(before, c.cpus())

	for _, f := range []*Flow{up, down} {
		if f != nil {
			f.BusiestCPU = busiest
		}
	}

	for i := range all {
		if plans[i].Down {
			down.add(&all[i])
		} else {
			up.add(&all[i])
		}
	}

	return err
}

// cpus reads how busy the machine's CPUs were.
func (c *Client) cpus() []load.Ticks {
	if c.Stat == nil {
		return nil
	}

	text, err := c.Stat()
	if err != nil {
		return nil
	}

	return load.ParseStat(text)
}

// both moves streams both ways while datagrams measure how long they take.
func (c *Client) both(ctx context.Context, s Schedule, plans []Plan, r *Report) error {
	inner, stop := context.WithCancel(ctx)
	defer stop()

	heard := make(chan error, 1)

	go func() {
		var err error

		r.Loaded, err = c.Echo(inner, s.Each, echoEvery)
		heard <- err
	}()

	err := c.flows(ctx, plans, &r.BothUp, &r.BothDown)
	if err != nil {
		stop()
	}

	echoed := <-heard
	if err == nil && echoed != nil && !errors.Is(echoed, context.Canceled) {
		return fmt.Errorf("measuring times under load: %w", echoed)
	}

	return err
}
