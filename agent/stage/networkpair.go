package stage

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"vetting/agent/traffic"
	"vetting/core"
	"vetting/core/profile"
)

const (
	// pairEach is how long a direction is measured with another machine at most: it is
	// about the rate, and the other one waits meanwhile.
	pairEach = 2 * time.Minute
	// pairWait is how long another machine is waited for, while there are any that may come.
	pairWait = 2 * time.Minute
	// pairPause is what the next question waits where one failed.
	pairPause = 2 * time.Second
)

// When a port is measured with another machine (Network.pair).
const (
	pairAuto   = "auto" // when the appliance was in the way
	pairAlways = "always"
	pairNever  = "never"
)

// netMeeting is what came of measuring a port with another machine's.
type netMeeting struct {
	peer   traffic.Peer
	report *traffic.Report // nil: it was not measured
	why    string          // it was not measured, or not to the end
}

// met reports whether a port was measured with another machine to the end.
func (p *netPort) met() bool {
	return p.meeting != nil && p.meeting.report != nil && p.meeting.report.Err == nil
}

// pairs reports whether a port is to be measured with another machine: the appliance was
// too slow for it.
func (x *netExam) pairs(p *netPort) bool {
	switch {
	case x.pair == pairNever || !p.tested():
		return false
	case x.pair == pairAlways:
		return true
	}

	return !x.virtual && len(x.limited(p)) > 0
}

// meet has a port measured with that of another machine that waits likewise, each by the
// other, one after the other. Each judges what it has measured itself, so that nobody has
// to be believed.
func (x *netExam) meet(ctx context.Context, i int, addr string) {
	p := x.ports[i]

	mine, stop, err := x.wires.Serve(ctx, p.nic.Name, addr)
	if err != nil {
		p.meeting = &netMeeting{why: "its port could not be offered: " + err.Error()}

		return
	}
	defer stop()

	mine.Mbps = p.line()
	p.meeting = &netMeeting{}
	m := &encounter{exam: x, i: i, addr: addr, mine: mine, meeting: p.meeting, patience: time.Now().Add(pairWait)}

	if x.pair == pairAlways {
		m.step = traffic.Expect
	}

	for m.next(ctx) { //nolint:revive // all of it is done there
	}

	_, _ = x.env.Pair(ctx, traffic.Leave, m.id, mine) // the other one finds out by itself as well

	if p.meeting.report != nil {
		x.env.Log.Info("port was measured with another machine", slog.String("port", p.nic.Name), slog.String("peer", p.meeting.peer.Host))
	}
}

// encounter is a meeting under way.
type encounter struct {
	exam     *netExam
	i        int
	addr     string
	mine     traffic.Peer
	meeting  *netMeeting
	id       string
	step     traffic.Step
	patience time.Time // until when it is waited for what comes next
	failed   bool      // the last question
}

// next takes a step, and returns false at the end.
func (m *encounter) next(ctx context.Context) bool {
	x, p := m.exam, m.exam.ports[m.i]

	met, err := x.env.Pair(ctx, m.step, m.id, m.mine)
	if err != nil {
		return m.unheard(ctx, err)
	}

	m.failed = false
	late := time.Now().After(m.patience)

	switch met.At {
	case traffic.Alone:
		return m.end("no other machine was there")
	case traffic.Turn:
		m.begin(met)
		m.measure(ctx)

		m.step, m.patience = traffic.Done, time.Now().Add(x.turnTime())

		return ctx.Err() == nil
	case traffic.Over:
		return false
	case traffic.Gone:
		return m.end("the other machine left")
	case traffic.Serve:
		if m.id == "" {
			m.patience = time.Now().Add(x.turnTime())
		}

		m.begin(met)
		m.step = traffic.Wait
		x.env.Progress(p.nic.Name+" measured by "+m.meeting.peer.Host, (float64(m.i)+1)/float64(len(x.ports)), 0)
	case traffic.Waiting:
		x.env.Progress(p.nic.Name+" waits for another machine", (float64(m.i)+1)/float64(len(x.ports)), 0)
	}

	if late {
		return m.end("the other machine took too long")
	}

	return true
}

// end says why the port was not measured, unless it was.
func (m *encounter) end(why string) bool {
	if m.meeting.report == nil {
		m.meeting.why = why
	}

	return false
}

// unheard is for an appliance that does not answer; one that was started again has
// forgotten who meets whom, and says so.
func (m *encounter) unheard(ctx context.Context, err error) bool {
	if m.failed || time.Now().After(m.patience) {
		return m.end("the appliance does not bring machines together: " + err.Error())
	}

	m.failed = true

	select {
	case <-ctx.Done():
		return m.end(ctx.Err().Error())
	case <-time.After(pairPause):
		return true
	}
}

func (m *encounter) begin(met traffic.Meeting) {
	m.id, m.meeting.peer = met.ID, met.Peer
}

func (m *encounter) measure(ctx context.Context) {
	x, p := m.exam, m.exam.ports[m.i]

	if m.meeting.report != nil {
		return // our turn again: the word that it was over was lost
	}

	m.meeting.report = x.wires.Measure(ctx, m.meeting.peer.Ticket, p.nic.Name, m.addr, x.pairSchedule(p, m.meeting.peer), Observer{
		Phase: func(phase string, _ float64, left time.Duration) {
			x.env.Progress(p.nic.Name+" with "+m.meeting.peer.Host+" "+phase, (float64(m.i)+1)/float64(len(x.ports)), left)
		},
		Moved: func(int) {},
	})

	if err := m.meeting.report.Err; err != nil {
		m.meeting.why = fmt.Sprintf("it broke off while %s: %s", m.meeting.report.Phase, err)
	}
}

// pairSchedule is how a port is measured with another machine: without datagrams, which
// the appliance's side has shown already.
func (x *netExam) pairSchedule(p *netPort, peer traffic.Peer) traffic.Schedule {
	s := x.schedule(p)
	s.Each, s.Mbps, s.LineMbps = min(s.Each, pairEach), 0, p.rate(peer)

	return s
}

// turnTime is how long the other machine may take for its turn: several times what it
// takes when all goes well.
func (x *netExam) turnTime() time.Duration {
	return 8*min(x.each, pairEach) + 2*time.Minute
}

// rate is what a port is held to with another machine: the slower one of both links.
func (p *netPort) rate(peer traffic.Peer) int {
	if peer.Mbps > 0 && peer.Mbps < p.line() {
		return peer.Mbps
	}

	return p.line()
}

// pairWays are the directions as they were measured with another machine.
func (p *netPort) pairWays() []netWay {
	r := p.meeting.report

	return []netWay{{"sending", &r.Up, false}, {"receiving", &r.Down, false}, {"sending while receiving", &r.BothUp, true}, {"receiving while sending", &r.BothDown, true}}
}

// shown reports whether a port has shown with another machine what its link can do.
func (p *netPort) shown() bool {
	if !p.met() || p.line() == 0 || p.rate(p.meeting.peer) < p.line() {
		return false
	}

	return len(p.pairShort()) == 0
}

// pairShort lists the directions that were slower than they should with another machine.
func (p *netPort) pairShort() (short []string) {
	most := float64(p.rate(p.meeting.peer))

	for _, way := range p.pairWays() {
		enough, _ := demanded(most, way.together)
		if share := 100 * way.flow.Mbps() / max(most, 1); share < enough {
			short = append(short, fmt.Sprintf("%s %.0f Mbit/s, %.0f %% of %.0f", way.name, way.flow.Mbps(), share, most))
		}
	}

	return short
}

// pairSlow tells that two machines did not reach the rate of their links together. Whose
// fault it is, nobody can say, so that it fails neither.
func (x *netExam) pairSlow(p *netPort) []core.Finding {
	if !p.met() || p.line() == 0 {
		return nil
	}

	short := p.pairShort()
	if len(short) == 0 {
		return nil
	}

	severity, busy := x.soft(""), ""

	for _, way := range p.pairWays() {
		if way.flow.BusiestCPU >= busyCPU || way.flow.Appliance.BusiestCPU >= busyCPU {
			severity, busy = core.Info, "; a CPU of one of both was busy all the time"
		}
	}

	return []core.Finding{wired("network/pair-slow", severity, p.part, "%s with %s (%s): %s%s",
		p.nic.Name, p.meeting.peer.Host, p.meeting.peer.Server.Addr(), strings.Join(short, "; "), busy)}
}

// pairCorrupted tells that data was altered between two machines. One of both did it, or
// what lies between them; a machine that is not known to be good does not pass.
func (x *netExam) pairCorrupted(p *netPort) []core.Finding {
	if p.meeting == nil || p.meeting.report == nil || p.meeting.report.Bad() == 0 {
		return nil
	}

	r := p.meeting.report

	return []core.Finding{wired("network/pair-corruption", "", p.part, "%s with %s (%s): %d frames of %d were not what was sent: %s",
		p.nic.Name, p.meeting.peer.Host, p.meeting.peer.Server.Addr(), r.Bad(), r.Frames(), r.BadWays())}
}

// metWords tell of the meeting in a port's summary.
func (p *netPort) metWords() string {
	m := p.meeting

	switch {
	case m == nil:
		return ""
	case p.met():
		return fmt.Sprintf("; with %s sent %.0f Mbit/s, received %.0f, both at once %.0f and %.0f",
			m.peer.Host, m.report.Up.Mbps(), m.report.Down.Mbps(), m.report.BothUp.Mbps(), m.report.BothDown.Mbps())
	default:
		return "; not measured with another machine: " + m.why
	}
}

// pairing reads Network.pair.
func (x *netExam) pairing() error {
	x.pair = x.env.Config[profile.NetworkPair]

	switch x.pair {
	case "":
		x.pair = pairAuto
	case pairAuto, pairAlways, pairNever:
	default:
		return fmt.Errorf("%s is %.40q; it may be %s, %s or %s", profile.NetworkPair, x.pair, pairAuto, pairAlways, pairNever)
	}

	return nil
}
