package stage

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"vetting/agent/probe"
	"vetting/agent/traffic"
	"vetting/core"
	"vetting/core/problem"
)

// Limits of stages.md §3.8.
const (
	fastLine     = 25_000 // Mbit/s; up to there 90 % of the line's rate are demanded, above 80 %
	ownShare     = 90.0   // percent
	fastShare    = 80.0
	leastShare   = 70.0
	togetherLess = 10.0 // percent less are demanded where both directions are busy: acknowledgements take their part
	othersShare  = 5.0  // percent of the appliance's link that others may use without taking the measure away
	busyCPU      = 95.0 // percent; a CPU of the appliance that is busier is what limits
	errorRate    = 1e-12
	fewErrors    = 2    // may be chance, whatever the rate
	udpLossShare = 0.01 // percent
	resentShare  = 0.1  // percent
	slowEcho     = time.Millisecond
	fewEchoes    = 50 // are no measure of one in a hundred
)

// untestedRule tells of ports that were not tested, those of BMCs among them, of which
// there is nothing else to say.
const untestedRule = "network-untested"

// nothingWired is the code of a stage that tested no port.
const nothingWired = "network/nothing-tested"

// netRule is a row of the criteria. It judges one port that has a link.
type netRule struct {
	id    string
	whole bool // only of a port whose test came to its end
	judge func(x *netExam, p *netPort) []core.Finding
}

func netRules() []netRule {
	return []netRule{
		{untestedRule, false, (*netExam).untestedPort},
		{"network-broken", false, (*netExam).brokenOff},
		{"network-corruption", false, (*netExam).corrupted},
		{"network-speed", false, (*netExam).speed},
		{"network-capability", false, (*netExam).capability},
		{"network-duplex", false, (*netExam).duplex},
		{"network-flap", false, (*netExam).flapped},
		{"network-errors", false, (*netExam).errored},
		{"network-no-room", false, (*netExam).noRoom},
		{"network-optics", false, (*netExam).optics},
		{"network-optics-fault", false, (*netExam).opticsFault},
		{"network-optics-signal", false, (*netExam).opticsSignal},
		{"network-self-test", false, (*netExam).selfTested},
		{"network-goodput", true, (*netExam).goodput},
		{"network-appliance", true, (*netExam).limited},
		{"network-udp-loss", true, (*netExam).datagramLoss},
		{"network-pair-corruption", false, (*netExam).pairCorrupted},
		{"network-pair", true, (*netExam).pairSlow},
		{"network-loop-untested", false, (*netExam).loopUntested},
		{"network-loop-broken", false, (*netExam).loopBroken},
		{"network-loop-corruption", false, (*netExam).loopCorrupted},
		{"network-loop", false, (*netExam).loopSlow},
		{"network-retransmits", true, (*netExam).retransmits},
		{"network-latency", true, (*netExam).latency},
	}
}

// findings applies the rules; ended: the stage was not stopped.
func (x *netExam) findings(ended bool) (all []core.Finding) {
	tested := 0

	for _, p := range x.ports {
		if p.tested() || x.looped(p) {
			tested++
		}

		for _, rule := range netRules() {
			if p.before.Link && (!rule.whole || p.tested()) && (!p.managing() || rule.id == untestedRule) {
				all = append(all, rule.judge(x, p)...)
			}
		}
	}

	if ended && tested == 0 && netVerdict(all) == core.Pass {
		all = append(all, wired(nothingWired, "", core.Part{Kind: "nic"}, "%d network ports, %s", len(x.ports), x.coverage()))
	}

	return all
}

func wired(code string, severity core.Severity, part core.Part, format string, args ...any) core.Finding {
	return problem.Finding(code, severity, core.Network, part, fmt.Sprintf(format, args...))
}

// soft is the severity of what a virtual machine says nothing about: its network is its
// host's memory.
func (x *netExam) soft(severity core.Severity) core.Severity {
	if x.virtual {
		return core.Info
	}

	return severity
}

func (x *netExam) untestedPort(p *netPort) []core.Finding {
	if p.untested == "" {
		return nil
	}

	if p.managing() {
		return []core.Finding{wired("network/port-untested", core.Info, p.part, "%s is a USB device of the driver %s, as BMCs are that have a network to their machine; %s",
			p.nic.Name, p.nic.Driver, p.untested)}
	}

	severity := core.Severity("")
	if x.looped(p) { // it is known to work
		severity = core.Info
	}

	return []core.Finding{wired("network/port-untested", severity, p.part, "%s has a link; %s", p.nic.Name, p.untested)}
}

// partnerless says that the appliance did not take part in a test that was to begin.
func partnerless(err error) string {
	return "the appliance's throughput partner does not take part: " + err.Error()
}

// brokenOff says why a test did not come to its end, or not even began: a port that could
// not be tested since the appliance was away is no port that is cabled to elsewhere.
func (x *netExam) brokenOff(p *netPort) []core.Finding {
	if p.away != nil {
		return []core.Finding{wired("network/partner-away", "", p.part, "%s has a link and was NOT tested; %s", p.nic.Name, partnerless(p.away))}
	}

	if p.report == nil || p.report.Err == nil {
		return nil
	}

	var missed *traffic.CanaryError

	code := "network/broken-off"

	switch err := p.report.Err; {
	case errors.As(err, &missed):
		code = "network/canary-missed"
	case errors.Is(err, traffic.ErrStalled):
		code = "network/stalled"
	case errors.Is(err, traffic.ErrRefused) || p.report.Bytes() == 0 && !p.report.Proven:
		code = "network/partner-away"
	}

	return []core.Finding{wired(code, "", p.part, "%s, while %s: %s", p.nic.Name, p.report.Phase, p.report.Err)}
}

func (x *netExam) corrupted(p *netPort) []core.Finding {
	if p.report == nil {
		return nil
	}

	if n := p.spoilt; n > 0 {
		return []core.Finding{wired("network/corruption", "", p.part, "%d frames were not what was sent, in a test that broke off then; after that %d of %d", n, p.report.Bad(), p.report.Frames())}
	}

	if n := p.report.Bad(); n > 0 {
		return []core.Finding{wired("network/corruption", "", p.part, "%d frames of %d were not what was sent: %s", n, p.report.Frames(), p.report.BadWays())}
	}

	return nil
}

// speed holds a link to what was expected, and to what it was when the test began.
func (x *netExam) speed(p *netPort) (found []core.Finding) {
	if x.expected > 0 && p.line() < x.expected && (p.line() > 0 || !x.virtual) {
		found = append(found, wired("network/speed", "", p.part, "%s runs at %d Mbit/s; %d are expected (Network.expect_mbps)", p.nic.Name, p.line(), x.expected))
	}

	if p.after.Link && p.after.SpeedMbps > 0 && p.after.SpeedMbps < p.line() {
		found = append(found, wired("network/speed-fell", "", p.part, "%s ran at %d Mbit/s before the test, and at %d after it", p.nic.Name, p.line(), p.after.SpeedMbps))
	}

	return found
}

// capability compares with the fastest mode of the port; the other end may be slower by
// right, so that it is for people to say, unless that end advertises more as well.
func (x *netExam) capability(p *netPort) []core.Finding {
	if p.line() == 0 || p.before.MaxSpeedMbps <= p.line() || x.expected > 0 && p.line() >= x.expected {
		return nil
	}

	partner := ""

	switch told := p.before.PartnerMbps; {
	case told > p.line():
		partner = fmt.Sprintf("; the other end advertises %d: look at the cable", told)
	case told > 0:
		partner = fmt.Sprintf("; the other end advertises no more than %d", told)
	}

	return []core.Finding{wired("network/below-capability", x.soft(""), p.part, "%s runs at %d Mbit/s and can do %d%s", p.nic.Name, p.line(), p.before.MaxSpeedMbps, partner)}
}

func (x *netExam) duplex(p *netPort) []core.Finding {
	if p.before.Duplex != "half" && p.after.Duplex != "half" {
		return nil
	}

	return []core.Finding{wired("network/half-duplex", x.soft(""), p.part, "%s sends and receives by turns, at %d Mbit/s", p.nic.Name, p.line())}
}

// portSpan is a port before and after something, which words tell; empty: its test with the
// appliance.
type portSpan struct {
	before, after *probe.PortState
	words         string
}

// spans are what a port went through.
func (x *netExam) spans(p *netPort) []portSpan {
	return append([]portSpan{{&p.before, &p.after, ""}}, x.loopStates(p)...)
}

// during is the words behind others.
func (s *portSpan) during() string {
	if s.words == "" {
		return ""
	}

	return ", " + s.words
}

// flapped judges ports that were tested: what others do at the far end of a cable that
// leads elsewhere is nobody's fault.
func (x *netExam) flapped(p *netPort) (found []core.Finding) {
	for _, s := range x.spans(p) {
		if s.words == "" && !p.addressed || s.after.Changes <= s.before.Changes {
			continue
		}

		found = append(found, wired("network/flap", "", p.part, "the link of %s went up or down %d times during its test%s", p.nic.Name, s.after.Changes-s.before.Changes, s.during()))
	}

	return found
}

// grown lists counters that grew, and the greatest growth: kernel and driver count the
// same frames each in their own way.
func grown(before, after map[string]uint64) (words []string, most uint64) {
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if n := after[name]; n > before[name] {
			words = append(words, fmt.Sprintf("%s %d", name, n-before[name]))
			most = max(most, n-before[name])
		}
	}

	return words, most
}

// errored holds damaged frames to the bit error rate that Ethernet may have.
func (x *netExam) errored(p *netPort) (found []core.Finding) {
	for _, s := range x.spans(p) {
		words, n := grown(s.before.Errors, s.after.Errors)
		if n == 0 {
			continue
		}

		bits := float64(s.after.Bits - min(s.after.Bits, s.before.Bits))
		severity := core.Severity("")

		if n > fewErrors && float64(n) > bits*errorRate {
			severity = core.Critical
		}

		found = append(found, wired("network/errors", severity, p.part, "%s, in %.3g bits%s", strings.Join(words, ", "), bits, s.during()))
	}

	return found
}

func (x *netExam) noRoom(p *netPort) []core.Finding {
	words, n := grown(p.before.NoRoom, p.after.NoRoom)
	if n == 0 {
		return nil
	}

	return []core.Finding{wired("network/no-room", "", p.part, "%s", strings.Join(words, ", "))}
}

// optics holds a transceiver to the limits of its maker.
func (x *netExam) optics(p *netPort) (found []core.Finding) {
	for i := range p.after.Readings {
		switch r := &p.after.Readings[i]; {
		case r.Alarm():
			found = append(found, wired("network/optics-alarm", "", p.part, "%s", r))
		case r.Warns():
			found = append(found, wired("network/optics-warning", "", p.part, "%s", r))
		}
	}

	return found
}

// flagWords says of a flag of a transceiver when it was there: judged is what came under
// load or stays, since what was latched before may be from when the cable was plugged in.
func (p *netPort) flagWords(f probe.Flag) (words string, judged bool) {
	stood := slices.Contains(p.standing, f)

	switch {
	case !stood && (slices.Contains(p.meanwhile, f) || slices.Contains(p.after.Flags, f)):
		return "while it was tested", true
	case stood && slices.Contains(p.staying, f):
		return "before, during and after its test", true
	default:
		return "before its test, and not since", false
	}
}

// flagged makes findings of flags of a transceiver, those of itself or those of signals.
func (x *netExam) flagged(p *netPort, code string, fault bool) (found []core.Finding) {
	if !p.addressed { // nothing was under load
		return nil
	}

	var seen []probe.Flag

	for _, f := range slices.Concat(p.before.Flags, p.standing, p.meanwhile, p.after.Flags) {
		if f.Fault != fault || slices.Contains(seen, f) {
			continue
		}

		seen = append(seen, f)

		words, judged := p.flagWords(f)

		severity := core.Severity("")
		if !judged {
			severity = core.Info
		}

		lane := ""
		if f.Lane > 0 {
			lane = fmt.Sprintf(" in lane %d", f.Lane)
		}

		found = append(found, wired(code, severity, p.part, "%s: the transceiver told of %s%s, %s", p.nic.Name, f.What, lane, words))
	}

	return found
}

func (x *netExam) opticsFault(p *netPort) []core.Finding {
	return x.flagged(p, "network/optics-fault", true)
}

func (x *netExam) opticsSignal(p *netPort) []core.Finding {
	return x.flagged(p, "network/optics-signal", false)
}

// netWay is a direction as it was measured.
type netWay struct {
	name     string
	flow     *traffic.Flow
	together bool
}

func (p *netPort) ways() []netWay {
	r := p.report

	return []netWay{{"sending", &r.Up, false}, {"receiving", &r.Down, false}, {"sending while receiving", &r.BothUp, true}, {"receiving while sending", &r.BothDown, true}}
}

// hold says how a port is held to a rate.
type hold int

const (
	notHeld   hold = iota
	looseHeld      // what falls short may be due to those who share the appliance's link
	held
)

// left is what the appliance's side left of a port's rate, in Mbit/s, why it was less than
// the whole, and how the port is held to it.
func (p *netPort) left(f *traffic.Flow) (mbps float64, why string, by hold) {
	a := f.Appliance
	mbps = float64(p.line())
	free := float64(a.LinkMbps) - a.OthersMbps

	switch {
	case a.BusiestCPU >= busyCPU:
		return mbps, fmt.Sprintf("a CPU of the appliance was busy for %.0f %% of the time", a.BusiestCPU), notHeld
	case a.LinkMbps == 0:
		return mbps, "the speed of the appliance's test NIC is not known", notHeld
	case a.OthersMbps > float64(a.LinkMbps)*othersShare/100 && free < mbps:
		return max(free, 0), fmt.Sprintf("%.0f of the appliance's %d Mbit/s went to others", a.OthersMbps, a.LinkMbps), looseHeld
	case a.LinkMbps < p.line():
		return float64(a.LinkMbps), fmt.Sprintf("the appliance's test NIC runs at %d Mbit/s", a.LinkMbps), held
	default:
		return mbps, "", held
	}
}

// unjudged says of which ports' speeds nothing is known, since they did not reach what is
// enough and it is not for them to answer for.
func (x *netExam) unjudged() (words []string) {
	for _, p := range x.ports {
		if !p.tested() || p.line() == 0 || p.shown() {
			continue
		}

		var names []string

		reason := ""

		for _, way := range p.ways() {
			most, why, by := p.left(way.flow)
			if enough, _ := demanded(most, way.together); by == notHeld && 100*way.flow.Mbps() < enough*most {
				names, reason = append(names, way.name), why
			}
		}

		if len(names) > 0 {
			words = append(words, fmt.Sprintf("%s speed NOT judged: %s: %s", p.nic.Name, strings.Join(names, ", "), reason))
		}
	}

	return words
}

// demanded is which share of a rate is enough, and below which it is a defect.
func demanded(mbps float64, together bool) (enough, least float64) {
	enough, least = ownShare, leastShare
	if mbps > fastLine {
		enough = fastShare
	}

	if together {
		enough, least = enough-togetherLess, least-togetherLess
	}

	return enough, least
}

// goodput holds each direction to what the appliance left of the line's rate.
func (x *netExam) goodput(p *netPort) (found []core.Finding) {
	if p.line() == 0 {
		return nil // there is no rate to hold it to, and the coverage says so
	}

	for _, way := range p.ways() {
		most, _, by := p.left(way.flow)
		enough, least := demanded(most, way.together)
		share := 100 * way.flow.Mbps() / max(most, 1)

		if by == notHeld || share >= enough {
			continue
		}

		severity, busy := core.Warning, ""
		if way.flow.BusiestCPU >= busyCPU { // what is slow then may be the machine, and not its port
			busy = fmt.Sprintf("; a CPU of the machine was busy for %.0f %% of the time", way.flow.BusiestCPU)
		} else if share < least && by == held {
			severity = core.Critical
		}

		found = append(found, wired("network/slow", x.soft(severity), p.part, "%s %s: %.0f Mbit/s by %s, %.0f %% of %.0f; %.0f %% are enough%s",
			p.nic.Name, way.name, way.flow.Mbps(), plural(way.flow.Streams, "stream", "streams"), share, most, enough, busy))
	}

	return found
}

// limited says where a port could not show what it can, since the appliance's side was
// in its way.
func (x *netExam) limited(p *netPort) []core.Finding {
	var reasons []string

	if p.line() == 0 {
		return nil // as above
	}

	for _, way := range p.ways() {
		_, why, _ := p.left(way.flow)
		enough, _ := demanded(float64(p.line()), way.together)

		if why != "" && way.flow.Mbps() < float64(p.line())*enough/100 {
			reasons = append(reasons, fmt.Sprintf("%s %.0f Mbit/s: %s", way.name, way.flow.Mbps(), why))
		}
	}

	if len(reasons) == 0 {
		return nil
	}

	return []core.Finding{wired("network/limited-by-appliance", "", p.part, "%s", strings.Join(reasons, "; "))}
}

// datagramLoss judges what the network lost. What the receiver had no room for is told
// with it and not judged.
func (x *netExam) datagramLoss(p *netPort) (found []core.Finding) {
	for _, way := range []struct {
		name string
		d    *traffic.Datagrams
		rate int
		flow *traffic.Flow
	}{{"sent", &p.report.PacketUp, p.report.RateUp, &p.report.Up}, {"received", &p.report.PacketDn, p.report.RateDown, &p.report.Down}} {
		lost := way.d.Lost()
		if lost == 0 || 100*float64(lost) <= udpLossShare*float64(way.d.Sent) {
			continue
		}

		severity := x.soft("")
		if _, _, by := p.left(way.flow); by != held && p.line() > 0 || way.d.Dropped > 0 {
			severity = core.Info
		}

		found = append(found, wired("network/udp-loss", severity, p.part, "%s: of %d datagrams %s at %d Mbit/s %d were lost (%.3f %%), %d had no room at their receiver, %d came out of their order",
			p.nic.Name, way.d.Sent, way.name, way.rate, lost, 100*float64(lost)/float64(way.d.Sent), way.d.Dropped, way.d.Reordered))
	}

	return found
}

// retransmits judges what TCP had to send again. Where the appliance's link is the
// slower one, its switch drops what does not fit, by design.
func (x *netExam) retransmits(p *netPort) []core.Finding {
	segments, again := p.report.Resent()
	if segments == 0 || 100*float64(again) <= resentShare*float64(segments) {
		return nil
	}

	severity := x.soft("")

	for _, way := range p.ways() {
		if _, why, _ := p.left(way.flow); why != "" {
			severity = core.Info
		}
	}

	return []core.Finding{wired("network/retransmits", severity, p.part, "%s: of %d segments %d were sent again (%.2f %%)",
		p.nic.Name, segments, again, 100*float64(again)/float64(segments))}
}

// latency judges how long a datagram takes there and back while nothing else goes on.
func (x *netExam) latency(p *netPort) []core.Finding {
	idle := &p.report.Idle
	slow := idle.Quantile(0.99)

	if slow <= slowEcho || len(idle.Times) < fewEchoes {
		return nil
	}

	severity := x.soft("")
	if p.report.Up.Appliance.BusiestCPU >= busyCPU {
		severity = core.Info
	}

	return []core.Finding{wired("network/latency", severity, p.part, "%s: half of %d datagrams came back within %v, one in a hundred took %v or more; under load %v",
		p.nic.Name, len(idle.Times), brief(idle.Quantile(0.5)), brief(slow), brief(p.report.Loaded.Quantile(0.99)))}
}
