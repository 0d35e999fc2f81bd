package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"vetting/agent/probe"
	"vetting/agent/traffic"
	"vetting/core"
	"vetting/core/profile"
)

const (
	// usualNetwork is how long each direction is tested where the profile does not say,
	// usualStreams by how many streams at once, and usualUDP how many Mbit/s of datagrams
	// are sent at most.
	usualNetwork = time.Minute
	usualStreams = 4
	usualUDP     = 1000
	// leastNetwork is how short a direction may be made.
	leastNetwork = 300 * time.Millisecond
	// udpHeads are the bytes of a datagram's IPv4 and UDP heads.
	udpHeads = 28
	// usualMTU is that of Ethernet.
	usualMTU = 1500
)

// Wires is what the stage needs of the running system.
type Wires interface {
	// SwitchOn switches on the ports that are off and waits for their links.
	SwitchOn(ctx context.Context)
	// Address gives a port an address on the test network, until drop is called; the port
	// that the machine booted from has one and keeps it. The error says why there is none;
	// it is ErrElsewhere where the port is known to be cabled to another network.
	Address(ctx context.Context, port string) (addr string, drop func(), err error)
	// Measure tests a port that has an address, with the appliance's partner.
	Measure(ctx context.Context, t traffic.Ticket, port, addr string, s traffic.Schedule, o Observer) *traffic.Report
	// Serve lets another machine measure a port as the appliance would, until stop is
	// called. What it returns admits it, and nobody else.
	Serve(ctx context.Context, port, addr string) (mine traffic.Peer, stop func(), err error)
	// Neighbour waits until the switch behind a port announces itself, or ctx ends.
	Neighbour(ctx context.Context, port string) (string, error)
	// Hear has ports of the machine call each other, and tells whether what a sends comes
	// to b, by their cables.
	Hear(ctx context.Context, ports []string, patience time.Duration) (hears func(a, b string) bool, err error)
	// Loop moves a port to where it reaches another one of the machine by the cables alone.
	// The port that the machine booted from is never moved. The caller ends the loop.
	Loop(ctx context.Context, moves, stays string) (*Loop, error)
}

// ErrElsewhere says that a port is cabled to another network than the test network.
var ErrElsewhere = errors.New("another network")

// Observer hears how a test goes; both are called from several goroutines.
type Observer struct {
	Phase func(phase string, done float64, left time.Duration)
	Moved func(bytes int)
}

// Network tests each port that has a link, one after the other, with the appliance's
// throughput partner: stages.md §3.8. Network.duration says how long each direction
// takes, Network.streams how many streams go at once, Network.udp_mbps how many Mbit/s of
// datagrams are sent at most, Network.expect_mbps what speed each link must have,
// Network.pair when a port is measured with another machine as well, Network.self_loop
// whether the machine's ports are measured with each other.
func Network(m probe.Machine, wires Wires) Func {
	return func(ctx context.Context, env Env) core.Result {
		x := &netExam{env: env, machine: m, wires: wires, virtual: m.Virtual()}

		wires.SwitchOn(ctx) // a port may have been plugged in, or come home from an agent that died

		if err := x.configure(); err != nil {
			return core.Result{
				Verdict: core.Error, Coverage: nothingTested,
				Findings: []core.Finding{wired(nothingWired, "", core.Part{Kind: "nic"}, "%s", err)},
			}
		}

		for i := range x.ports {
			x.test(ctx, i)
			x.selfTest(ctx, x.ports[i])

			if cause := context.Cause(ctx); cause != nil {
				return x.interrupted(cause)
			}
		}

		x.selfLoop(ctx)

		if cause := context.Cause(ctx); cause != nil {
			return x.interrupted(cause)
		}

		env.Progress("", 1, 0)

		return x.result()
	}
}

// netExam is one run of the stage.
type netExam struct {
	env      Env
	machine  probe.Machine
	wires    Wires
	virtual  bool
	each     time.Duration
	streams  int
	udp      int
	expected int    // Mbit/s that each link must have; 0: whatever it is
	pair     string // when ports are measured with other machines
	own      string // which of its own tests a port does
	loop     bool   // ports are measured with each other
	loops    []*netLoop
	unlooped string // why none was measured with another one
	ports    []*netPort
	away     bool // the appliance's partner, for long
}

// netPort is what came of one port.
type netPort struct {
	nic           core.NIC
	part          core.Part
	before, after probe.PortState
	report        *traffic.Report // nil: it was not tested
	untested      string          // why not
	away          error           // of the appliance, before the test had begun
	addressed     bool            // it is on the test network
	elsewhere     bool            // it is on another one
	physical      string          // the port of the card that it shares with other functions; empty: not told
	neighbour     string          // the switch and its port, where it told
	standing      []probe.Flag    // that the transceiver showed before the test, however often they were read
	meanwhile     []probe.Flag    // while traffic went over it
	staying       []probe.Flag    // and after that, as standing
	spoilt        uint64          // frames that were altered in tests that broke off
	meeting       *netMeeting     // nil: it was not to be measured with another machine
	own           ownTest         // of its driver
}

// tested reports whether the port came to the end of its test.
func (p *netPort) tested() bool { return p.report != nil && p.report.Err == nil }

// managing reports whether the port leads to the machine's own BMC, as far as is known:
// BMCs are USB devices of a standard class (CDC, RNDIS), whose drivers hardly any adapter
// for cables uses, and what is behind them has no address of the test network. They come
// and go with what the BMC does.
func (p *netPort) managing() bool {
	return !p.addressed && slices.Contains([]string{"cdc_eem", "cdc_ether", "cdc_ncm", "cdc_subset", "rndis_host"}, p.nic.Driver)
}

// line is the speed that the port is measured against, in Mbit/s; 0: it has none.
func (p *netPort) line() int { return p.before.SpeedMbps }

func (x *netExam) configure() (err error) {
	m := memoryExam{env: x.env}

	if x.each, err = m.duration(profile.NetworkDuration, usualNetwork); err != nil {
		return err
	}

	x.each = max(x.each, leastNetwork)

	for _, setting := range []struct {
		key     string
		missing int
		into    *int
	}{{profile.NetworkStreams, usualStreams, &x.streams}, {profile.NetworkUDP, usualUDP, &x.udp}, {profile.NetworkExpect, 0, &x.expected}} {
		if *setting.into, err = number(x.env.Config, setting.key, setting.missing); err != nil {
			return err
		}
	}

	if err = x.pairing(); err != nil {
		return err
	}

	x.own = x.env.Config[profile.NetworkSelfTest]

	if err = x.looping(); err != nil {
		return err
	}

	for _, nic := range x.machine.NICs(x.env.BootMAC) {
		x.ports = append(x.ports, &netPort{nic: nic, physical: x.machine.PhysicalPort(nic.Name), part: core.Part{Kind: "nic", Slot: nic.Name, Model: nic.Model, Serial: string(nic.MAC)}})
	}

	if len(x.ports) == 0 {
		return errors.New("the machine has no network port that is hardware")
	}

	return nil
}

// test tests one port.
func (x *netExam) test(ctx context.Context, i int) {
	p := x.ports[i]
	p.before = x.machine.PortState(p.nic.Name)
	p.standing = x.flags(p)

	defer func() {
		p.after = x.machine.PortState(p.nic.Name)
		p.staying = x.flags(p)
	}()

	if !p.before.Link {
		return
	}

	addr, drop, err := x.address(ctx, p)
	if err != nil {
		return
	}
	defer drop()

	p.addressed = true

	for try := 1; ; try++ {
		ticket, err := x.ticket(ctx)
		if err != nil && p.report == nil {
			p.away = err
		}

		if err != nil {
			return
		}

		x.env.Log.Info("port is tested", slog.String("port", p.nic.Name), slog.String("address", addr), slog.Int("mbps", p.line()), slog.Int("try", try))
		x.measure(ctx, i, ticket, addr)

		if !p.again() || try == maxTests || ctx.Err() != nil {
			break
		}

		x.env.Log.Warn("the test of a port is begun again", slog.String("port", p.nic.Name), slog.String("phase", p.report.Phase), slog.String("error", p.report.Err.Error()))

		p.spoilt += p.report.Bad()
	}

	if x.pairs(p) && ctx.Err() == nil {
		x.meet(ctx, i, addr)
	}
}

// address gets the port an address. That there is none may be the port's affair or the
// appliance's, so that the appliance is waited for and asked again. Where there is none,
// the port has the reason.
func (x *netExam) address(ctx context.Context, p *netPort) (addr string, drop func(), err error) {
	addr, drop, err = x.wires.Address(ctx, p.nic.Name)
	if err == nil || ctx.Err() != nil {
		return addr, drop, err
	}

	if !errors.Is(err, ErrElsewhere) {
		if _, away := x.ticket(ctx); away != nil {
			p.away = away

			return "", nil, away
		}

		if addr, drop, err = x.wires.Address(ctx, p.nic.Name); err == nil {
			return addr, drop, nil
		}
	}

	p.elsewhere = errors.Is(err, ErrElsewhere)
	p.untested = "it has no address on the test network: " + err.Error()

	return "", nil, err
}

const (
	// maxTests is how often a port's test is begun at most: the appliance may be started
	// again in the midst of one.
	maxTests = 3
	// ticketWait is how long the appliance may be away, and ticketPause how often it is
	// asked meanwhile.
	ticketWait  = 2 * time.Minute
	ticketPause = 2 * time.Second
)

// ticket asks for a ticket until there is one, or the appliance was away for too long;
// it is not waited for again then.
func (x *netExam) ticket(ctx context.Context) (traffic.Ticket, error) {
	ctx, cancel := context.WithTimeout(ctx, ticketWait)
	defer cancel()

	for {
		ticket, err := x.env.Ticket(ctx)
		if err == nil {
			x.away = false
		}

		if err == nil || x.away {
			return ticket, err
		}

		select {
		case <-ctx.Done():
			x.away = true

			return ticket, err
		case <-time.After(ticketPause):
		}
	}
}

// again reports whether a test that broke off may come to its end next time.
func (p *netPort) again() bool {
	var missed *traffic.CanaryError

	return p.report.Err != nil && !errors.As(p.report.Err, &missed)
}

// measure has the traffic flow, and listens for the switch meanwhile.
func (x *netExam) measure(ctx context.Context, i int, ticket traffic.Ticket, addr string) {
	p := x.ports[i]
	inner, stop := context.WithCancel(ctx)

	defer stop()

	neighbour := make(chan string, 1)

	go func() {
		name, err := x.wires.Neighbour(inner, p.nic.Name)
		if err != nil {
			name = ""
		}

		neighbour <- name
	}()

	var moved atomic.Int64

	over := make(chan struct{})
	watched := make(chan struct{})

	go func() {
		defer close(watched)

		x.sample(p, &moved, over)
	}()

	p.report = x.wires.Measure(ctx, ticket, p.nic.Name, addr, x.schedule(p), Observer{
		Phase: func(phase string, done float64, left time.Duration) {
			share := 1 / float64(len(x.ports))
			x.env.Progress(p.nic.Name+" "+phase, (float64(i)+done)*share, left)
		},
		Moved: func(bytes int) { moved.Add(int64(bytes)) },
	})

	close(over)
	<-watched
	stop()

	p.neighbour = <-neighbour
}

// schedule is how a port is tested.
func (x *netExam) schedule(p *netPort) traffic.Schedule {
	mtu := p.before.MTU
	if mtu <= 0 {
		mtu = usualMTU
	}

	return traffic.Schedule{Each: x.each, Streams: x.streams, Mbps: x.udp, Packet: min(max(mtu, 576), 9000) - udpHeads, LineMbps: p.line()}
}

// flags reads what a transceiver says of its signals once more: what it had latched was
// read, so that what is still there is so now.
func (x *netExam) flags(p *netPort) []probe.Flag {
	if !p.before.Module || !p.before.Link {
		return nil
	}

	return x.machine.Flags(p.nic.Name)
}

// flagEvery is how often a transceiver is asked while traffic goes over it: some show only
// what is at the moment.
const flagEvery = 15 * time.Second

// sample tells each second how much moves.
func (x *netExam) sample(p *netPort, moved *atomic.Int64, over <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()

	last, asked := time.Now(), time.Now()

	for {
		select {
		case <-over:
			return
		case now := <-tick.C:
			if now.Sub(asked) >= flagEvery {
				p.meanwhile, asked = append(p.meanwhile, x.flags(p)...), now
			}

			if took := now.Sub(last).Seconds(); took > 0 {
				x.env.Sensor(netSample(p, "partner_mbps", float64(moved.Swap(0))*8/1e6/took, now))
			}

			last = now
		}
	}
}

// netSample is a sample of a port; the keys are lower case.
func netSample(p *netPort, quantity string, value float64, now time.Time) core.Sample {
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789._:-", r) {
			return r
		}

		return '-'
	}, strings.ToLower(p.nic.Name))

	return core.Sample{Time: now, Key: "nic/" + name + "/" + quantity, Value: value, Stage: core.Network}
}

// interrupted is the result of a stage that was stopped: what was damaged until then
// counts.
func (x *netExam) interrupted(cause error) core.Result {
	r := stopped(cause)
	r.Coverage = x.coverage()

	for _, f := range x.findings(false) {
		if f.Severity == core.Critical && !slices.Contains(netFaults(), f.Code) {
			r.Findings, r.Verdict = append(r.Findings, f), core.Fail
		}
	}

	return r
}

// result adds up.
func (x *netExam) result() core.Result {
	findings := x.findings(true)

	return core.Result{
		Verdict: netVerdict(findings), Findings: findings, Coverage: x.coverage(), SubSteps: x.subSteps(findings), Measurements: x.measurements(time.Now()),
	}
}

// netVerdict is fail where something is said against the hardware, error where the test
// was not done.
func netVerdict(findings []core.Finding) core.Verdict {
	verdict := core.Pass

	for _, f := range findings {
		switch {
		case f.Severity != core.Critical:
		case slices.Contains(netFaults(), f.Code):
			verdict = core.Error
		default:
			return core.Fail
		}
	}

	return verdict
}

// netFaults are codes that say that the test was not done, not that a port is bad.
func netFaults() []string {
	return []string{nothingWired, "network/canary-missed", "network/stalled", "network/partner-away", "network/broken-off", "network/pair-corruption", "network/loop-broken", "network/loop-not-restored"}
}

// coverage says which ports were tested, and what was not.
func (x *netExam) coverage() string {
	var (
		tested, untested, unplugged []string
		bytes                       uint64
	)

	for _, p := range x.ports {
		switch {
		case p.tested():
			speed := "of unknown speed, which is NOT judged"
			if p.line() > 0 {
				speed = fmt.Sprintf("at %d Mbit/s", p.line())
			}

			tested = append(tested, p.nic.Name+" "+speed)
			bytes += p.report.Bytes()
		case x.looped(p):
			tested = append(tested, p.nic.Name+" with another port alone")
		case p.before.Link:
			untested = append(untested, p.nic.Name)
		default:
			unplugged = append(unplugged, p.nic.Name)
		}
	}

	parts := []string{fmt.Sprintf("%d of %s tested", len(tested), plural(len(tested)+len(untested), "port with a link", "ports with a link"))}
	if len(tested) > 0 {
		parts = append(parts, strings.Join(tested, ", "), size(bytes)+" verified")
	}

	if len(untested) > 0 {
		parts = append(parts, strings.Join(untested, ", ")+" NOT tested")
	}

	if len(unplugged) > 0 {
		parts = append(parts, strings.Join(unplugged, ", ")+" without a link NOT tested")
	}

	parts = append(parts, x.datagramCoverage()...)

	if x.virtual {
		parts = append(parts, "speed NOT judged on a virtual host")
	} else {
		parts = append(parts, x.unjudged()...)
	}

	parts = append(parts, x.loopCoverage()...)

	for _, p := range x.ports {
		if p.shown() {
			parts = append(parts, fmt.Sprintf("%s speed measured with %s", p.nic.Name, p.meeting.peer.Host))
		}
	}

	return strings.Join(parts, "; ")
}

// datagramCoverage says at what share of a port's line rate datagrams were lost or not, where
// Network.udp_mbps is less than the port can take.
func (x *netExam) datagramCoverage() (parts []string) {
	if x.udp == 0 {
		return []string{"datagrams NOT tested"}
	}

	for _, p := range x.ports {
		if !p.tested() || traffic.UDPLoad*float64(p.line()) <= float64(x.udp) {
			continue
		}

		if rate := min(p.report.RateUp, p.report.RateDown); rate > 0 {
			parts = append(parts, fmt.Sprintf("%s datagrams at %d Mbit/s, %.2g %% of its line rate", p.nic.Name, rate, 100*float64(rate)/float64(p.line())))
		}
	}

	return parts
}

// subSteps tells of each port.
func (x *netExam) subSteps(findings []core.Finding) (steps []core.SubStep) {
	for _, p := range x.ports {
		step := core.SubStep{Name: p.nic.Name, Part: p.part, Progress: 1}

		var own []core.Finding

		for _, f := range findings {
			if f.Part == p.part {
				own = append(own, f)
			}
		}

		switch {
		case !p.before.Link:
			step.Verdict, step.Summary = core.Skip, "no link: no cable, or nothing at its other end"
		case p.away != nil:
			step.Verdict, step.Summary = core.Error, "NOT tested: "+partnerless(p.away)
		case p.untested != "" && x.looped(p):
			step.Verdict, step.Summary = netVerdict(own), "NOT tested with the appliance: "+p.untested
		case p.untested != "":
			step.Verdict, step.Summary = core.Unmeasurable, "NOT tested: "+p.untested
		default:
			step.Verdict, step.Summary = netVerdict(own), p.summary()+p.metWords()+p.own.words()
		}

		step.Summary += x.loopWords(p)

		if p.neighbour != "" {
			step.Summary += "; at " + p.neighbour
		}

		steps = append(steps, step)
	}

	return steps
}

func (p *netPort) summary() string {
	r := p.report
	if r.Err != nil {
		return fmt.Sprintf("broke off while %s: %s", r.Phase, r.Err)
	}

	text := fmt.Sprintf("sent %.0f Mbit/s, received %.0f, both at once %.0f and %.0f; there and back in %v, at most %v for 99 %%, %v under load",
		r.Up.Mbps(), r.Down.Mbps(), r.BothUp.Mbps(), r.BothDown.Mbps(), brief(r.Idle.Quantile(0.5)), brief(r.Idle.Quantile(0.99)), brief(r.Loaded.Quantile(0.99)))

	if p.after.FEC.Active != "" {
		text += "; FEC " + p.after.FEC.Active
	}

	if p.after.FEC.Counts {
		text += fmt.Sprintf(", %d blocks corrected", p.corrected())
	}

	if r.PacketUp.Sent > 0 {
		text += fmt.Sprintf("; %d of %d datagrams lost", r.PacketUp.Lost()+r.PacketDn.Lost(), r.PacketUp.Sent+r.PacketDn.Sent)
	}

	return text
}

// corrected is how many blocks the port's error correction mended during its test.
func (p *netPort) corrected() uint64 {
	return p.after.FEC.Corrected - min(p.after.FEC.Corrected, p.before.FEC.Corrected)
}

func brief(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

func (x *netExam) measurements(now time.Time) (samples []core.Sample) {
	for _, p := range x.ports {
		if p.before.Link && p.line() > 0 {
			samples = append(samples, netSample(p, "speed_mbps", float64(p.line()), now))
		}

		if light := p.light(); p.before.Link {
			for _, quantity := range slices.Sorted(maps.Keys(light)) {
				samples = append(samples, netSample(p, quantity, light[quantity], now))
			}
		}

		if !p.tested() {
			continue
		}

		r := p.report
		values := map[string]float64{
			"sent_mbps": r.Up.Mbps(), "received_mbps": r.Down.Mbps(), "sent_together_mbps": r.BothUp.Mbps(), "received_together_mbps": r.BothDown.Mbps(),
			"rtt_p50_us": micro(r.Idle.Quantile(0.5)), "rtt_p99_us": micro(r.Idle.Quantile(0.99)), "rtt_loaded_p99_us": micro(r.Loaded.Quantile(0.99)),
			"bad_frames_count": float64(r.Bad()),
		}

		if p.after.FEC.Counts {
			values["fec_corrected_count"] = float64(p.corrected())
			values["fec_uncorrectable_count"] = float64(p.after.FEC.Uncorrectable - min(p.after.FEC.Uncorrectable, p.before.FEC.Uncorrectable))
		}

		if p.met() {
			values["pair_sent_mbps"], values["pair_received_mbps"] = p.meeting.report.Up.Mbps(), p.meeting.report.Down.Mbps()
		}

		if segments, again := r.Resent(); segments > 0 {
			values["retransmitted_percent"] = 100 * float64(again) / float64(segments)
		}

		if sent := r.PacketUp.Sent + r.PacketDn.Sent; sent > 0 {
			values["udp_lost_percent"] = 100 * float64(r.PacketUp.Lost()+r.PacketDn.Lost()) / float64(sent)
			values["udp_jitter_us"] = micro(max(r.PacketUp.Jitter, r.PacketDn.Jitter))
		}

		for _, quantity := range slices.Sorted(maps.Keys(values)) {
			samples = append(samples, netSample(p, quantity, values[quantity], now))
		}
	}

	return append(samples, x.loopMeasurements(now)...)
}

// light is what a port's transceiver measured of itself after the test, of its worst lanes.
func (p *netPort) light() map[string]float64 {
	values := map[string]float64{}

	for i := range p.after.Readings {
		r := &p.after.Readings[i]
		name, _, _ := strings.Cut(r.Name, " of lane ")

		worst := func(a, b float64) float64 { return min(a, b) }

		var quantity string

		switch name {
		case "temperature":
			quantity = "module_celsius"
		case "supply voltage":
			quantity = "module_volts"
		case "receive power":
			quantity = "received_light_milliwatts"
		case "transmit power":
			quantity = "sent_light_milliwatts"
		case "laser bias":
			quantity, worst = "laser_milliamperes", func(a, b float64) float64 { return max(a, b) }
		default:
			continue
		}

		value := r.Value
		if was, known := values[quantity]; known {
			value = worst(was, value)
		}

		values[quantity] = value
	}

	return values
}

func micro(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
