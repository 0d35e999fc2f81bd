package stage_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"vetting/agent/probe"
	"vetting/agent/stage"
	"vetting/agent/traffic"
	"vetting/agent/wire/load"
	"vetting/core"
	"vetting/core/catalogue"
	"vetting/core/problem"
	"vetting/core/profile"
)

// netBench is a machine with two ports, the second without a link, and what comes of
// testing the first.
type netBench struct {
	*bench

	files  fstest.MapFS
	port   probe.Port // what the driver of eth0 says
	second probe.Port // that of eth1; without a driver: nothing
	stats  map[string]uint64

	change  func(r *traffic.Report) // what comes of the test
	during  func()                  // what happens meanwhile
	refused error                   // why a port has no address
	dropped int                     // addresses given back
	asked   traffic.Schedule

	address func(port string, try int) error // why a port has no address, by its name and question; nil: refused
	tries   map[string]int                   // questions for an address

	steps    []traffic.Step // in meetings with another machine
	serving  int            // ports that another machine may measure
	unserved error          // why none can

	own    []probe.PortTest // what comes of the port's own tests, in turn; the last stays
	ownErr error
	owned  []bool // the tests that were done: offline
	downs  bool   // the link does not come back

	switched func() // what comes of switching ports on

	loops   *loopBench // what ports make of each other
	modules []string   // memory of the module of eth0, at each question; the last stays
}

func text(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s + "\n")} }

func newNetBench() *netBench {
	b := &netBench{bench: newBench(map[string]string{}), files: fstest.MapFS{}, change: func(*traffic.Report) {}, during: func() {}, tries: map[string]int{}, stats: map[string]uint64{}, switched: func() {}, loops: &loopBench{}}
	b.BootMAC = "52:54:00:00:00:01"
	b.Ticket = func(context.Context) (traffic.Ticket, error) { return traffic.Ticket{}, nil }
	b.Pair = func(context.Context, traffic.Step, string, traffic.Peer) (traffic.Meeting, error) {
		return traffic.Meeting{At: traffic.Alone}, nil
	}
	b.port = probe.Port{Driver: "ixgbe", SpeedMbps: 10000, MaxSpeedMbps: 10000}

	for i, link := range []string{"1", "0"} {
		dir := fmt.Sprintf("sys/class/net/eth%d/", i)
		b.files[dir+"device"] = &fstest.MapFile{Data: []byte("../../../0000:01:00.0"), Mode: 0o777 | 1<<27} // a symbolic link
		b.files[dir+"address"] = text(fmt.Sprintf("52:54:00:00:00:0%d", i+1))
		b.files[dir+"carrier"] = text(link)
		b.files[dir+"speed"] = text("10000")
		b.files[dir+"duplex"] = text("full")
		b.files[dir+"mtu"] = text("1500")
		b.files[dir+"carrier_changes"] = text("1")
		b.files[dir+"statistics/rx_bytes"] = text("0")
		b.files[dir+"statistics/tx_bytes"] = text("0")
		b.files[dir+"statistics/rx_crc_errors"] = text("7") // of the time before
		b.files[dir+"statistics/rx_missed_errors"] = text("7")
	}

	return b
}

// Port and Statistics answer for the drivers.
func (b *netBench) Port(name string) (probe.Port, error) {
	if name == "eth1" && b.second.Driver != "" {
		return b.second, nil
	}

	if name != "eth0" {
		return probe.Port{}, errors.New("no such driver")
	}

	port := b.port

	if len(b.modules) > 0 {
		port.Module = b.modules[0]
		b.modules = b.modules[min(1, len(b.modules)-1):]
	}

	return port, nil
}

// SelfTest tests as the driver would.
func (b *netBench) SelfTest(_ string, offline bool) (t probe.PortTest, err error) {
	b.owned = append(b.owned, offline)

	if b.downs {
		b.files["sys/class/net/eth0/carrier"] = text("0")
	}

	if len(b.own) > 0 {
		t = b.own[0]
		b.own = b.own[min(1, len(b.own)-1):]
	}

	return t, b.ownErr
}

func (b *netBench) Statistics(string) (map[string]uint64, error) { return b.stats, nil }

// SwitchOn, Address, Measure and Neighbour stand for the running system.
func (b *netBench) Address(_ context.Context, port string) (string, func(), error) {
	b.tries[port]++

	if b.address != nil {
		return "10.77.0.50", func() { b.dropped++ }, b.address(port, b.tries[port])
	}

	return "10.77.0.50", func() { b.dropped++ }, b.refused
}

func (b *netBench) SwitchOn(context.Context) { b.switched() }

func (b *netBench) Neighbour(context.Context, string) (string, error) {
	return "switch leaf-4 port Ethernet7", nil
}

func (b *netBench) Measure(_ context.Context, _ traffic.Ticket, _, _ string, s traffic.Schedule, o stage.Observer) *traffic.Report {
	b.asked = s

	o.Phase("sending", 0.5, time.Minute)
	o.Moved(1000)

	r := soundReport()
	b.change(r)
	b.files["sys/class/net/eth0/statistics/rx_bytes"] = text("100000000000")
	b.during()

	return r
}

// soundReport is what comes of a port of 10 Gbit/s with nothing wrong.
func soundReport() *traffic.Report {
	flow := traffic.Flow{
		Streams: 4, Frames: 536_000, Bytes: 70_500_000_000, Took: time.Minute, Segments: 48_000_000, Retransmits: 20,
		Appliance: load.Appliance{LinkMbps: 10_000, BusiestCPU: 60},
	}
	datagrams := traffic.Datagrams{Sent: 1_000_000, Came: 999_990, Bytes: 1 << 30, Took: 15 * time.Second, Jitter: 20 * time.Microsecond}
	echoes := traffic.Echoes{Sent: 500}

	for i := range 500 {
		echoes.Times = append(echoes.Times, time.Duration(60+i/10)*time.Microsecond)
	}

	return &traffic.Report{
		Proven: true, Idle: echoes, Loaded: echoes, Up: flow, Down: flow, BothUp: flow, BothDown: flow,
		PacketUp: datagrams, PacketDn: datagrams, RateUp: 1000, RateDown: 1000,
	}
}

// slower makes a flow run at a share of the line's rate.
func slower(f *traffic.Flow, percent float64) { f.Bytes = uint64(75_000_000_000 * percent / 100) }

func (b *netBench) run(t *testing.T) core.Result {
	t.Helper()

	return run(t, b.bench, stage.Network(probe.Machine{Root: b.files, Ports: b}, b))
}

// TestASoundPortPasses: nothing is found, and what was tested and what was not is told.
func TestASoundPortPasses(t *testing.T) {
	b := newNetBench()
	r := b.run(t)

	if r.Verdict != core.Pass || len(r.Findings) != 0 {
		t.Errorf("%s %+v", r.Verdict, r.Findings)
	}

	for _, words := range []string{"1 of 1 port with a link tested", "eth0 at 10000 Mbit/s", "verified", "eth0 datagrams at 1000 Mbit/s, 10 % of its line rate", "eth1 without a link NOT tested"} {
		if !strings.Contains(r.Coverage, words) {
			t.Errorf("coverage %q has no %q", r.Coverage, words)
		}
	}

	if len(r.SubSteps) != 2 || r.SubSteps[0].Verdict != core.Pass || r.SubSteps[1].Verdict != core.Skip || !strings.Contains(r.SubSteps[0].Summary, "leaf-4") {
		t.Errorf("%+v", r.SubSteps)
	}

	if b.dropped != 1 || b.asked != (traffic.Schedule{Each: time.Minute, Streams: 4, Mbps: 1000, Packet: 1472, LineMbps: 10_000}) {
		t.Errorf("%d addresses were given back, asked for %+v", b.dropped, b.asked)
	}

	for _, m := range append(r.Measurements, b.samples...) {
		if err := catalogue.Check(m.Key, m.Unit); err != nil {
			t.Error(err)
		}
	}

	if len(r.Measurements) < 10 {
		t.Errorf("%+v", r.Measurements)
	}
}

// A port whose datagrams were sent at 80 % of its line rate needs no word of that.
func TestDatagramsAtASmallShareOfTheLineRateAreTold(t *testing.T) {
	for mbps, want := range map[string]string{
		"8000": "", "7999": "; eth0 datagrams at 1000 Mbit/s, 10 % of its line rate", "50": "; eth0 datagrams at", "0": "; datagrams NOT tested",
	} {
		b := newNetBench()
		b.Config = map[string]string{profile.NetworkUDP: mbps}

		if r := b.run(t); strings.Contains(r.Coverage, "datagrams") != (want != "") || !strings.Contains(r.Coverage, want) {
			t.Errorf("%s: coverage %q, want %q", mbps, r.Coverage, want)
		}
	}
}

// TestTheProfileSaysHow: durations are shortened, and what makes no sense is an error.
func TestTheProfileSaysHow(t *testing.T) {
	b := newNetBench()
	b.Config = map[string]string{profile.NetworkDuration: "10m", profile.NetworkStreams: "2", profile.NetworkUDP: "0"}
	b.Scale = 0.01

	if r := b.run(t); b.asked.Each != 6*time.Second || b.asked.Streams != 2 || b.asked.Mbps != 0 || !strings.Contains(r.Coverage, "datagrams NOT tested") {
		t.Errorf("%+v, %s", b.asked, r.Coverage)
	}

	b = newNetBench()
	b.Config = map[string]string{profile.NetworkStreams: "many"}

	if r := b.run(t); r.Verdict != core.Error || len(find(r, "network/nothing-tested")) != 1 {
		t.Errorf("%+v", r)
	}
}

type netCase struct {
	change   func(b *netBench, r *traffic.Report) // r is what comes of the test
	during   func(b *netBench)
	setup    func(b *netBench)
	verdict  core.Verdict
	code     string
	severity core.Severity // empty: that of the code
	virtual  core.Severity // on a virtual machine; empty: the same
}

// netCases has something for each row of the criteria that breaks it.
func netCases() map[string]netCase {
	dark := make([]byte, 512)
	dark[0], dark[92] = 3, 0x60

	// Receive power: alarm at 2 and 0.01 mW, warning at 1.8 and 0.02 mW (SFF-8472).
	copy(dark[256+32:], []byte{0x4e, 0x20, 0, 100, 0x46, 0x50, 0, 200})

	dim := slices.Clone(dark)
	copy(dark[256+104:], []byte{0, 50})
	copy(dim[256+104:], []byte{0, 150})

	put := func(name, value string) func(*netBench) {
		return func(b *netBench) { b.files["sys/class/net/eth0/"+name] = text(value) }
	}
	ends := func(err error, proven bool) func(*netBench, *traffic.Report) {
		return func(_ *netBench, r *traffic.Report) { *r = traffic.Report{Proven: proven, Phase: "sending", Err: err} }
	}

	return map[string]netCase{
		"a port of another network": {
			setup: func(b *netBench) { b.refused = errors.New("it was offered 192.168.1.7") }, verdict: core.Error, code: "network/port-untested",
		},
		"an appliance without a partner": {
			setup: func(b *netBench) {
				b.Ticket = func(context.Context) (traffic.Ticket, error) {
					return traffic.Ticket{}, errors.New("traffic refused with 404")
				}
			}, verdict: core.Error, code: "network/partner-away",
		},
		"no link at all": {setup: put("carrier", "0"), verdict: core.Error, code: "network/nothing-tested"},
		"a canary that is missed": {
			change: ends(&traffic.CanaryError{Frames: 8}, false), verdict: core.Error, code: "network/canary-missed",
		},
		"a partner that stalls": {
			change: ends(fmt.Errorf("receiving: %w", traffic.ErrStalled), true), verdict: core.Error, code: "network/stalled",
		},
		"a partner that is away": {change: ends(errors.New("connection refused"), false), verdict: core.Error, code: "network/partner-away"},
		"a connection that breaks": {
			change: ends(errors.New("connection reset by peer"), true), verdict: core.Error, code: "network/broken-off",
		},
		"a frame that was altered":    {change: func(_ *netBench, r *traffic.Report) { r.BothDown.Bad = 1 }, verdict: core.Fail, code: "network/corruption"},
		"a datagram that was altered": {change: func(_ *netBench, r *traffic.Report) { r.PacketUp.Bad = 1 }, verdict: core.Fail, code: "network/corruption"},
		"a stall after a damaged frame": {
			change: func(_ *netBench, r *traffic.Report) { r.Up.Bad, r.Phase, r.Err = 1, "receiving", traffic.ErrStalled }, verdict: core.Fail, code: "network/corruption",
		},
		"a speed that is not the expected one": {
			setup: func(b *netBench) {
				b.Config[profile.NetworkExpect] = "25000"
			}, verdict: core.Fail, code: "network/speed",
		},
		"a link that got slower":                    {during: put("speed", "1000"), verdict: core.Fail, code: "network/speed-fell"},
		"a port that can do more":                   {setup: func(b *netBench) { b.port.MaxSpeedMbps = 25_000 }, verdict: core.Pass, code: "network/below-capability", virtual: core.Info},
		"a link of half duplex":                     {setup: put("duplex", "half"), verdict: core.Fail, code: "network/half-duplex", virtual: core.Info},
		"a link that flaps":                         {during: put("carrier_changes", "3"), verdict: core.Fail, code: "network/flap"},
		"a damaged frame":                           {during: put("statistics/rx_crc_errors", "8"), verdict: core.Pass, code: "network/errors"},
		"more damaged frames than there may be":     {during: put("statistics/rx_crc_errors", "10"), verdict: core.Fail, code: "network/errors", severity: core.Critical},
		"damaged frames that the driver alone sees": {during: func(b *netBench) { b.stats["rx_symbol_err_phy"] = 50 }, verdict: core.Fail, code: "network/errors", severity: core.Critical},
		"frames there was no room for":              {during: put("statistics/rx_missed_errors", "9000"), verdict: core.Pass, code: "network/no-room"},
		"a transceiver in the dark":                 {setup: func(b *netBench) { b.port.Module = hex.EncodeToString(dark) }, verdict: core.Fail, code: "network/optics-alarm"},
		"a port that fails its own tests": {
			setup: func(b *netBench) {
				b.Config[profile.NetworkSelfTest] = "online"
				b.own = []probe.PortTest{{Tests: 3, Failed: true, Wrong: []string{"Register test (offline)"}}}
			}, verdict: core.Fail, code: "network/self-test-failed", virtual: core.Info,
		},
		"a port whose own test of the link fails": {
			setup: func(b *netBench) {
				b.Config[profile.NetworkSelfTest] = "online"
				b.own = []probe.PortTest{{Tests: 3, Failed: true, Wrong: []string{"Link test (on/offline)"}}}
			}, verdict: core.Pass, code: "network/self-test-failed", severity: core.Warning, virtual: core.Info,
		},
		"a transceiver that gets little": {setup: func(b *netBench) { b.port.Module = hex.EncodeToString(dim) }, verdict: core.Pass, code: "network/optics-warning"},
		"a direction that is slow": {
			change: func(_ *netBench, r *traffic.Report) { slower(&r.Down, 89) }, verdict: core.Pass, code: "network/slow", virtual: core.Info,
		},
		"a direction that is much slower": {
			change: func(_ *netBench, r *traffic.Report) { slower(&r.Up, 69) }, verdict: core.Fail, code: "network/slow", severity: core.Critical, virtual: core.Info,
		},
		"a direction that is much slower, on a machine that has no CPU left": {
			change: func(_ *netBench, r *traffic.Report) {
				slower(&r.Up, 50)
				r.Up.BusiestCPU = 100
			}, verdict: core.Pass, code: "network/slow", virtual: core.Info,
		},
		"both directions at once are slow": {
			change: func(_ *netBench, r *traffic.Report) { slower(&r.BothUp, 59) }, verdict: core.Fail, code: "network/slow", severity: core.Critical, virtual: core.Info,
		},
		"a slower appliance that is not even used up": {
			change: func(_ *netBench, r *traffic.Report) {
				for _, f := range r.Flows() {
					f.Appliance.LinkMbps = 1000
					slower(f, 5)
				}
			}, verdict: core.Fail, code: "network/slow", severity: core.Critical, virtual: core.Info,
		},
		"a slower appliance": {
			change: func(_ *netBench, r *traffic.Report) {
				for _, f := range r.Flows() {
					f.Appliance.LinkMbps = 1000
					slower(f, 9.4)
				}
			}, verdict: core.Pass, code: "network/limited-by-appliance",
		},
		"others at the same time": {
			change: func(_ *netBench, r *traffic.Report) {
				slower(&r.Up, 40)
				r.Up.Appliance.OthersMbps = 5000
			}, verdict: core.Pass, code: "network/limited-by-appliance",
		},
		"others at the same time, beside whom there was more than enough left": {
			change: func(_ *netBench, r *traffic.Report) {
				slower(&r.Up, 40)
				r.Up.Appliance.LinkMbps, r.Up.Appliance.OthersMbps = 100_000, 20_000
			}, verdict: core.Fail, code: "network/slow", severity: core.Critical, virtual: core.Info,
		},
		"others at the same time, who left more than was used": {
			change: func(_ *netBench, r *traffic.Report) {
				slower(&r.Up, 20)
				r.Up.Appliance.OthersMbps = 5000
			}, verdict: core.Pass, code: "network/slow", severity: core.Warning, virtual: core.Info,
		},
		"an appliance that has much to do": {
			change: func(_ *netBench, r *traffic.Report) {
				slower(&r.Up, 40)
				r.Up.Appliance.BusiestCPU = 99
			}, verdict: core.Pass, code: "network/limited-by-appliance",
		},
		"lost datagrams":  {change: func(_ *netBench, r *traffic.Report) { r.PacketUp.Came -= 200 }, verdict: core.Pass, code: "network/udp-loss", virtual: core.Info},
		"segments resent": {change: func(_ *netBench, r *traffic.Report) { r.Up.Retransmits = 1_000_000 }, verdict: core.Pass, code: "network/retransmits", virtual: core.Info},
		"slow datagrams": {change: func(_ *netBench, r *traffic.Report) {
			for i := range 10 {
				r.Idle.Times[490+i] = 2 * time.Millisecond
			}
		}, verdict: core.Pass, code: "network/latency", virtual: core.Info},
	}
}

// TestEveryRowOfTheNetworkCriteria breaks each row, on a machine and on a virtual one.
func TestEveryRowOfTheNetworkCriteria(t *testing.T) {
	for name, c := range netCases() {
		for _, virtual := range []bool{false, true} {
			b := newNetBench()

			if virtual {
				b.files["sys/hypervisor/type"] = text("xen")
			}

			if c.setup != nil {
				c.setup(b)
			}

			if c.change != nil {
				b.change = func(r *traffic.Report) {
					c.change(b, r)
					slices.Sort(r.Idle.Times)
				}
			}

			if c.during != nil {
				b.during = func() { c.during(b) }
			}

			r := b.run(t)
			verdict, severity := c.verdict, c.severity

			if entry, known := problem.Lookup(c.code); severity == "" && known {
				severity = entry.Severity
			}

			if virtual && c.virtual != "" {
				verdict, severity = core.Pass, c.virtual
			}

			found := find(r, c.code)
			if r.Verdict != verdict || len(found) == 0 || found[0].Severity != severity {
				t.Errorf("%s, virtual %t: %s with %+v, want %s with %s %s", name, virtual, r.Verdict, r.Findings, verdict, severity, c.code)
			}

			for _, f := range r.Findings {
				if f.Next == "" || f.Evidence == "" || f.Part.Kind != "nic" || f.Stage != core.Network {
					t.Errorf("%s: %+v", name, f)
				}
			}
		}
	}
}

// TestPortsThatAreNearTheLimits breaks none.
func TestPortsThatAreNearTheLimits(t *testing.T) {
	for name, change := range map[string]func(b *netBench, r *traffic.Report){
		"just fast enough":               func(_ *netBench, r *traffic.Report) { slower(&r.Up, 90.1) },
		"both at once, just fast enough": func(_ *netBench, r *traffic.Report) { slower(&r.BothUp, 80.1) },
		"a few lost datagrams":           func(_ *netBench, r *traffic.Report) { r.PacketUp.Came -= 85 },
		"a few segments resent":          func(_ *netBench, r *traffic.Report) { r.Up.Retransmits = 40_000 },
		"one slow datagram":              func(_ *netBench, r *traffic.Report) { r.Idle.Times[499] = time.Second },
		"more errors before than after": func(b *netBench, _ *traffic.Report) {
			b.files["sys/class/net/eth0/statistics/rx_crc_errors"] = text("0")
		},
		"others that hardly count":   func(_ *netBench, r *traffic.Report) { r.Up.Appliance.OthersMbps = 100 },
		"the speed that is expected": func(b *netBench, _ *traffic.Report) { b.Config[profile.NetworkExpect] = "10000" },
	} {
		b := newNetBench()
		b.change = func(r *traffic.Report) { change(b, r) }

		if r := b.run(t); r.Verdict != core.Pass || len(r.Findings) != 0 {
			t.Errorf("%s: %s %+v", name, r.Verdict, r.Findings)
		}
	}
}

// TestSpeedThatIsNotJudged is told, unless the port was fast enough all the same.
func TestSpeedThatIsNotJudged(t *testing.T) {
	for percent, told := range map[float64]bool{40: true, 95: false} {
		for reason, change := range map[string]func(f *traffic.Flow){
			"a CPU of the appliance": func(f *traffic.Flow) { f.Appliance.BusiestCPU = 99 },
			"is not known":           func(f *traffic.Flow) { f.Appliance.LinkMbps = 0 },
		} {
			b := newNetBench()
			b.change = func(r *traffic.Report) {
				slower(&r.Down, percent)
				change(&r.Down)
			}

			r := b.run(t)
			if r.Verdict != core.Pass || len(find(r, "network/slow")) != 0 || strings.Contains(r.Coverage, "eth0 speed NOT judged: receiving: ") != told || told && !strings.Contains(r.Coverage, reason) {
				t.Errorf("%s, %v %%: %s %q", reason, percent, r.Verdict, r.Coverage)
			}
		}
	}
}

// TestThePortOfABMC is told and not judged by what its BMC makes of it; one of the same
// kind that is on the test network is a port like any other.
func TestThePortOfABMC(t *testing.T) {
	for _, on := range []bool{false, true} {
		b := newNetBench()
		b.Config[profile.NetworkExpect] = "1000"
		b.files["sys/class/net/eth1/carrier"], b.files["sys/class/net/eth1/duplex"] = text("1"), text("half")
		b.files["sys/class/net/eth1/speed"] = text("10")
		b.second = probe.Port{Driver: "rndis_host"}
		b.address = func(port string, _ int) error {
			if port == "eth1" {
				b.files["sys/class/net/eth1/carrier_changes"] = text("9")

				if !on {
					return errors.New("no answer")
				}
			}

			return nil
		}

		r := b.run(t)
		if on {
			if r.Verdict != core.Fail || len(find(r, "network/flap")) != 1 || len(find(r, "network/half-duplex")) != 1 {
				t.Errorf("on the test network: %+v", r)
			}

			continue
		}

		if r.Verdict != core.Pass || len(r.Findings) != 1 || r.Findings[0].Code != "network/port-untested" || r.Findings[0].Severity != core.Info || !strings.Contains(r.Coverage, "eth1 NOT tested") {
			t.Errorf("%+v", r)
		}
	}
}

// TestAPortOfElsewhereMayFlap: what others do with it is nobody's fault.
func TestAPortOfElsewhereMayFlap(t *testing.T) {
	b := newNetBench()
	b.files["sys/class/net/eth1/carrier"] = text("1")
	b.address = func(port string, _ int) error {
		if port == "eth1" {
			b.files["sys/class/net/eth1/carrier_changes"] = text("9")

			return stage.ErrElsewhere
		}

		return nil
	}

	if r := b.run(t); r.Verdict != core.Pass || len(find(r, "network/flap")) != 0 {
		t.Errorf("%+v", r)
	}
}

// TestAnUntestedPortBesideATestedOne is told and does not pass for a good one.
func TestAnUntestedPortBesideATestedOne(t *testing.T) {
	for reason, err := range map[string]error{"another network": fmt.Errorf("%w: it was offered 192.168.1.7", stage.ErrElsewhere), "no answer": errors.New("no answer")} {
		b := newNetBench()
		b.files["sys/class/net/eth1/carrier"] = text("1")
		b.address = func(port string, _ int) error {
			if port == "eth1" {
				return err
			}

			return nil
		}

		r := b.run(t)
		if found := find(r, "network/port-untested"); r.Verdict != core.Pass || len(found) != 1 || !strings.Contains(found[0].Evidence, reason) || r.SubSteps[1].Verdict != core.Unmeasurable ||
			!strings.Contains(r.Coverage, "1 of 2 ports with a link tested") || !strings.Contains(r.Coverage, "eth1 NOT tested") {
			t.Errorf("%s: %+v", reason, r)
		}
	}
}

// TestAnApplianceThatIsLostOnTheWay makes an error, and no pass with what was tested
// until then, whether the port had an address by then or not.
func TestAnApplianceThatIsLostOnTheWay(t *testing.T) {
	for name, silent := range map[string]bool{"no ticket": false, "no address": true} {
		b := newNetBench()
		b.files["sys/class/net/eth1/carrier"] = text("1")
		given := 0
		b.Ticket = func(context.Context) (traffic.Ticket, error) {
			if given++; given > 1 {
				return traffic.Ticket{}, errors.New("nobody is there")
			}

			return traffic.Ticket{}, nil
		}
		b.address = func(port string, _ int) error {
			if silent && port == "eth1" {
				return errors.New("no answer")
			}

			return nil
		}

		r := b.run(t)
		found := find(r, "network/partner-away")

		if r.Verdict != core.Error || len(found) != 1 || found[0].Part.Slot != "eth1" || len(find(r, "network/port-untested")) != 0 || r.SubSteps[0].Verdict != core.Pass ||
			r.SubSteps[1].Verdict != core.Error || !strings.Contains(r.Coverage, "eth1 NOT tested") {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestAPortThatWasOff is switched on and tested like any other.
func TestAPortThatWasOff(t *testing.T) {
	b := newNetBench()
	b.switched = func() { b.files["sys/class/net/eth1/carrier"] = text("1") }

	if r := b.run(t); r.Verdict != core.Pass || !strings.Contains(r.Coverage, "2 of 2 ports with a link tested") {
		t.Errorf("%s %s", r.Verdict, r.Coverage)
	}
}

// TestAnApplianceThatComesBack is waited for, and asked for an address again.
func TestAnApplianceThatComesBack(t *testing.T) {
	b := newNetBench()
	asked := 0
	b.Ticket = func(context.Context) (traffic.Ticket, error) {
		if asked++; asked < 5 {
			return traffic.Ticket{}, errors.New("nobody is there")
		}

		return traffic.Ticket{}, nil
	}
	b.address = func(_ string, try int) error {
		if try == 1 {
			return errors.New("no answer")
		}

		return nil
	}

	if r := b.run(t); r.Verdict != core.Pass || len(r.Findings) != 0 || b.tries["eth0"] != 2 {
		t.Errorf("%v %+v", b.tries, r)
	}
}

// TestANetworkTestThatIsStopped proves nothing, unless something was damaged by then.
func TestANetworkTestThatIsStopped(t *testing.T) {
	for damaged, want := range map[uint64]core.Verdict{0: core.Error, 3: core.Fail} {
		b := newNetBench()
		ctx, cancel := context.WithCancel(t.Context())
		b.during = cancel
		b.change = func(r *traffic.Report) { r.Up.Bad, r.Err, r.Phase = damaged, context.Canceled, "sending" }

		r := stage.Network(probe.Machine{Root: b.files, Ports: b}, b)(ctx, b.Env)
		if r.Verdict != want || len(find(r, "stage/interrupted")) != 1 || len(find(r, "network/broken-off")) != 0 {
			t.Errorf("%d damaged: %+v", damaged, r)
		}
	}
}
