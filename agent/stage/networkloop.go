package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"vetting/agent/probe"
	"vetting/agent/traffic"
	"vetting/core"
	"vetting/core/profile"
)

// When ports of the machine are measured with each other (Network.self_loop).
const (
	loopNever  = "never"
	loopAlways = "always"
)

// hearTime is how long ports call each other, to find out which of them may be measured
// with each other.
const hearTime = 3 * time.Second

// Loop is two ports of the machine that reach each other by their cables alone.
type Loop struct {
	// Inside runs a function where the moved port is, so that it is found in /sys. The
	// error says that it was not run to its end.
	Inside func(f func()) error
	// Measure has the moved port measure the other one, as it would the appliance.
	Measure func(ctx context.Context, s traffic.Schedule, o Observer) *traffic.Report
	// End brings all back to where it was.
	End func() error
}

// netLoop is what came of measuring two ports with each other.
type netLoop struct {
	moved, stays  *netPort
	before, after [2]probe.PortState // of both, with their links up
	watched       bool               // both are known
	report        *traffic.Report    // nil: nothing was measured
	why           string             // it was not measured
	unrestored    error              // not all is where it was
	dark          []*netPort         // whose links did not come back
}

// done reports whether both ports were measured with each other to the end.
func (l *netLoop) done() bool { return l.report != nil && l.report.Err == nil }

// ports are both, in the order of before and after.
func (l *netLoop) ports() [2]*netPort { return [2]*netPort{l.moved, l.stays} }

// other is who is at the other end of a port's loop.
func (l *netLoop) other(p *netPort) *netPort {
	if l.moved == p {
		return l.stays
	}

	return l.moved
}

// line is the speed that both are held to, in Mbit/s: that of the slower link.
func (l *netLoop) line() int {
	if a, b := l.before[0].SpeedMbps, l.before[1].SpeedMbps; a > 0 && b > 0 {
		return min(a, b)
	}

	return 0
}

// looped reports whether a port was measured with another one to the end.
func (x *netExam) looped(p *netPort) bool {
	return slices.ContainsFunc(x.loops, func(l *netLoop) bool { return l.done() && (l.moved == p || l.stays == p) })
}

// looping reads Network.self_loop.
func (x *netExam) looping() error {
	switch loop := x.env.Config[profile.NetworkSelfLoop]; loop {
	case "", loopNever:
	case loopAlways:
		x.loop = true
	default:
		return fmt.Errorf("%s is %.40q; it may be %s or %s", profile.NetworkSelfLoop, loop, loopNever, loopAlways)
	}

	return nil
}

// selfLoop measures ports of the machine with each other: stages.md §3.8. It comes last,
// since it takes links down.
func (x *netExam) selfLoop(ctx context.Context) {
	if !x.loop || ctx.Err() != nil {
		return
	}

	able := x.loopable()
	if x.unlooped != "" {
		return
	}

	names := make([]string, 0, len(able))
	for _, p := range able {
		names = append(names, p.nic.Name)
	}

	x.env.Progress("which ports hear each other", 1, hearTime)

	hears, err := x.wires.Hear(ctx, names, hearTime)
	if err != nil {
		x.unlooped = "which ports hear each other is not known: " + err.Error()

		return
	}

	x.loops = pairUp(able, hears)

	lost := false // it is not known any more where the ports are

	for _, l := range x.loops {
		switch {
		case l.why != "" || ctx.Err() != nil:
		case lost:
			l.why = "another port was not brought back before"
		default:
			x.measureLoop(ctx, l)

			lost = l.unrestored != nil
		}
	}
}

// loopable are the ports that may be measured with each other. What leads to another
// network is nobody's to load, and functions that share a port with others do not need a
// cable to reach them.
func (x *netExam) loopable() (able []*netPort) {
	boot := false

	for _, p := range x.ports {
		if !p.before.Link || p.managing() || p.elsewhere || x.machine.VirtualPort(p.nic.Name) {
			continue
		}

		boot = boot || p.nic.BootNIC
		able = append(able, p)
	}

	switch known := slices.ContainsFunc(x.ports, func(p *netPort) bool { return p.nic.BootNIC }); {
	case !known: // any may be the one that must not be moved
		x.unlooped = "which port the machine booted from is not known"
	case len(able) < 2:
		x.unlooped = "fewer than two ports have links that lead to each other or to the test network"
	}

	return able
}

// pairUp says which ports are measured with each other: each with one that it hears and
// that hears it, of its own speed rather than another, that is not in a pair yet rather
// than one that is; and of the rest, why they are in none. The port that the machine
// booted from is never the one that moves.
func pairUp(able []*netPort, hears func(a, b string) bool) (loops []*netLoop) {
	paired := map[*netPort]bool{}
	order := slices.Clone(able)

	slices.SortStableFunc(order, func(a, b *netPort) int { // the boot port has shown already that it works
		switch {
		case a.nic.BootNIC == b.nic.BootNIC:
			return 0
		case b.nic.BootNIC:
			return -1
		default:
			return 1
		}
	})

	for _, p := range order {
		if paired[p] {
			continue
		}

		best, why := p.mate(order, paired, hears)
		if best == nil {
			loops = append(loops, &netLoop{moved: p, why: why})

			continue
		}

		paired[p], paired[best] = true, true

		moved, stays := p, best
		if p.nic.BootNIC {
			moved, stays = best, p
		}

		loops = append(loops, &netLoop{moved: moved, stays: stays})
	}

	return loops
}

// mate is the port that a port is best measured with; nil: none, and why.
func (p *netPort) mate(all []*netPort, paired map[*netPort]bool, hears func(a, b string) bool) (best *netPort, why string) {
	most := -1
	why = "it hears no other port of the machine: their cables lead to different networks, or VLANs"

	for _, q := range all {
		there, back := hears(p.nic.Name, q.nic.Name), hears(q.nic.Name, p.nic.Name)

		switch {
		case q == p || q.physical != "" && q.physical == p.physical || !there && !back:
			continue
		case there != back:
			why = fmt.Sprintf("frames pass between %s and %s one way only", p.nic.Name, q.nic.Name)

			continue
		}

		worth := 0
		if !paired[q] {
			worth += 4
		}

		if q.line() == p.line() {
			worth += 2
		}

		if !q.nic.BootNIC {
			worth++
		}

		if worth > most {
			best, most = q, worth
		}
	}

	return best, why
}

// measureLoop has two ports measure each other, and brings all back whatever happens.
func (x *netExam) measureLoop(ctx context.Context, l *netLoop) {
	name := l.moved.nic.Name + " with " + l.stays.nic.Name
	x.env.Progress(name, 1, 0)
	x.env.Log.Info("ports are measured with each other", slog.String("moved", l.moved.nic.Name), slog.String("stays", l.stays.nic.Name))

	defer func() {
		for _, p := range l.ports() {
			if !x.linkBack(ctx, p) {
				l.dark = append(l.dark, p)
			}
		}
	}()

	loop, err := x.wires.Loop(ctx, l.moved.nic.Name, l.stays.nic.Name)
	if err != nil {
		l.why = err.Error()

		return
	}

	defer func() {
		if l.unrestored = loop.End(); l.unrestored != nil {
			x.env.Log.Error("a port is not back", slog.String("port", l.moved.nic.Name), slog.String("error", l.unrestored.Error()))
		}
	}()

	states := func(into *[2]probe.PortState) error {
		into[1] = x.machine.PortState(l.stays.nic.Name)

		return loop.Inside(func() { into[0] = x.machine.PortState(l.moved.nic.Name) })
	}

	if err := states(&l.before); err != nil {
		l.why = err.Error()

		return
	}

	s := x.schedule(l.moved)
	s.Each, s.Mbps, s.LineMbps = min(s.Each, pairEach), 0, l.line()

	for try := 1; ; try++ {
		l.report = loop.Measure(ctx, s, Observer{
			Phase: func(phase string, done float64, left time.Duration) { x.env.Progress(name+" "+phase, done, left) },
			Moved: func(int) {},
		})

		if l.report.Err == nil || l.report.Bad() > 0 || try == maxTests || ctx.Err() != nil {
			break
		}
	}

	l.watched = states(&l.after) == nil

	if l.report.Err != nil && l.report.Bytes() == 0 && !l.report.Proven && !missedCanary(l.report.Err) { // not even begun
		l.why = l.report.Err.Error()
	}
}

func missedCanary(err error) bool {
	var missed *traffic.CanaryError

	return errors.As(err, &missed)
}

// loopWays are the directions as they were measured between two ports.
func (l *netLoop) ways() []netWay {
	r, name := l.report, l.stays.nic.Name

	return []netWay{{"to " + name, &r.Up, false}, {"from " + name, &r.Down, false}, {"to " + name + " while receiving", &r.BothUp, true}, {"from " + name + " while sending", &r.BothDown, true}}
}

// short lists the directions of a loop that were slower than its links allow, and whether
// a CPU was busy all the time, which has both ends to serve.
func (l *netLoop) short() (short []string, busy bool) {
	most := float64(l.line())

	for _, way := range l.ways() {
		enough, _ := demanded(most, way.together)
		if share := 100 * way.flow.Mbps() / max(most, 1); most > 0 && share < enough {
			short = append(short, fmt.Sprintf("%s %.0f Mbit/s, %.0f %% of %.0f", way.name, way.flow.Mbps(), share, most))
		}

		busy = busy || max(way.flow.BusiestCPU, way.flow.Appliance.BusiestCPU) >= busyCPU
	}

	return short, busy
}

// loopUntested tells which ports were not measured with each other though it was asked for.
// Cables may lead where they like: that is no defect.
func (x *netExam) loopUntested(p *netPort) (found []core.Finding) {
	if x.loop && x.unlooped != "" && p == x.firstLinked() {
		found = append(found, wired("network/loop-untested", "", p.part, "no port was tested with another one: %s", x.unlooped))
	}

	for _, l := range x.loops {
		if l.moved == p && l.why != "" {
			found = append(found, wired("network/loop-untested", "", p.part, "%s was NOT tested with another port of the machine: %s", p.nic.Name, l.why))
		}
	}

	return found
}

// firstLinked is the port that what is said of all is said of.
func (x *netExam) firstLinked() *netPort {
	for _, p := range x.ports {
		if p.before.Link && !p.managing() {
			return p
		}
	}

	return nil
}

// loopBroken says why two ports were not measured to the end once they had begun, and what
// of them is not as it was.
func (x *netExam) loopBroken(p *netPort) (found []core.Finding) {
	for _, l := range x.loops {
		if slices.Contains(l.dark, p) {
			found = append(found, wired("network/loop-link-lost", "", p.part, "%s has no link %v after %s was switched off and on", p.nic.Name, linkWait, l.moved.nic.Name))
		}

		if l.moved != p {
			continue
		}

		if l.unrestored != nil {
			found = append(found, wired("network/loop-not-restored", "", p.part, "%s", l.unrestored))
		}

		if l.report == nil || l.report.Err == nil || l.why != "" {
			continue
		}

		code := "network/loop-broken"
		if missedCanary(l.report.Err) {
			code = "network/canary-missed"
		}

		found = append(found, wired(code, "", p.part, "%s with %s, while %s: %s", p.nic.Name, l.stays.nic.Name, l.report.Phase, l.report.Err))
	}

	return found
}

// loopCorrupted: both ends are of this machine, and so is the fault, unless it is of what
// lies between, where the appliance would have seen it as well.
func (x *netExam) loopCorrupted(p *netPort) (found []core.Finding) {
	for _, l := range x.loops {
		if l.moved == p && l.report != nil && l.report.Bad() > 0 {
			found = append(found, wired("network/loop-corruption", "", p.part, "%s with %s: %d frames of %d were not what was sent: %s",
				p.nic.Name, l.stays.nic.Name, l.report.Bad(), l.report.Frames(), l.report.BadWays()))
		}
	}

	return found
}

// loopSlow tells that two ports did not reach the rate of their links. What lies between
// them may be slower by right, so that it is for people to say.
func (x *netExam) loopSlow(p *netPort) (found []core.Finding) {
	for _, l := range x.loops {
		if l.moved != p || !l.done() {
			continue
		}

		short, busy := l.short()
		if len(short) == 0 {
			continue
		}

		severity, words := x.soft(""), ""
		if busy {
			severity, words = core.Info, "; a CPU of the machine, which has both ends to serve, was busy all the time"
		}

		found = append(found, wired("network/loop-slow", severity, p.part, "%s with %s: %s%s", p.nic.Name, l.stays.nic.Name, strings.Join(short, "; "), words))
	}

	return found
}

// loopStates are what a port was before and after each of its loops.
func (x *netExam) loopStates(p *netPort) (all []portSpan) {
	for _, l := range x.loops {
		for i, end := range l.ports() {
			if end == p && l.watched {
				all = append(all, portSpan{&l.before[i], &l.after[i], "with " + l.other(p).nic.Name})
			}
		}
	}

	return all
}

// loopCoverage says which ports were measured with each other, and which were not.
func (x *netExam) loopCoverage() (parts []string) {
	if !x.loop {
		return nil
	}

	if x.unlooped != "" {
		return []string{"ports NOT tested with each other: " + x.unlooped}
	}

	for _, l := range x.loops {
		switch {
		case l.done():
			part := fmt.Sprintf("%s and %s tested with each other, %s verified", l.moved.nic.Name, l.stays.nic.Name, size(l.report.Bytes()))
			if short, busy := l.short(); len(short) > 0 && busy {
				part += ", their speed NOT judged"
			}

			parts = append(parts, part)
		case l.stays == nil:
			parts = append(parts, l.moved.nic.Name+" NOT tested with another port")
		default:
			parts = append(parts, fmt.Sprintf("%s and %s NOT tested with each other", l.moved.nic.Name, l.stays.nic.Name))
		}
	}

	return parts
}

// loopWords tell of a port's loops in its summary.
func (x *netExam) loopWords(p *netPort) (words string) {
	for _, l := range x.loops {
		switch r := l.report; {
		case l.moved != p && l.stays != p:
		case l.done() && l.moved == p:
			words += fmt.Sprintf("; to %s %.0f Mbit/s, from it %.0f, both at once %.0f and %.0f", l.stays.nic.Name, r.Up.Mbps(), r.Down.Mbps(), r.BothUp.Mbps(), r.BothDown.Mbps())
		case l.done():
			words += fmt.Sprintf("; to %s %.0f Mbit/s, from it %.0f, both at once %.0f and %.0f", l.moved.nic.Name, r.Down.Mbps(), r.Up.Mbps(), r.BothDown.Mbps(), r.BothUp.Mbps())
		case l.why != "" && l.moved == p:
			words += "; NOT tested with another port: " + l.why
		}
	}

	return words
}

// loopMeasurements are the rates between ports.
func (x *netExam) loopMeasurements(now time.Time) (samples []core.Sample) {
	for _, l := range x.loops {
		if !l.done() {
			continue
		}

		up, down := l.report.Up.Mbps(), l.report.Down.Mbps()
		samples = append(samples,
			netSample(l.moved, "loop_sent_mbps", up, now), netSample(l.moved, "loop_received_mbps", down, now),
			netSample(l.stays, "loop_sent_mbps", down, now), netSample(l.stays, "loop_received_mbps", up, now))
	}

	return samples
}
