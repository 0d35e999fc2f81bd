package partner

import (
	"time"

	"vetting/agent/wire/load"
)

// overhead is what heads of Ethernet, IP and TCP add to what is sent, at most, as a
// factor.
const overhead = 1.1

// gauge is what was counted at a moment.
type gauge struct {
	link Link
	own  [2]uint64
	cpus []load.Ticks
}

func (p *Partner) gauge(t *ticket) (g gauge) {
	if p.Link != nil {
		g.link = p.Link()
	}

	for i := range g.own {
		g.own[i] = t.moved[i].Load()
	}

	if p.Stat != nil {
		if text, err := p.Stat(); err == nil {
			g.cpus = load.ParseStat(text)
		}
	}

	return g
}

// side says what the appliance's own side could do since the test began.
func (p *Partner) side(f *flow, direction int) load.Appliance {
	now, took := p.gauge(f.ticket), max(time.Since(f.begun).Seconds(), 1e-6)

	moved := now.link.Rx - f.before.link.Rx
	if direction == outgoing {
		moved = now.link.Tx - f.before.link.Tx
	}

	own := float64(now.own[direction]-f.before.own[direction]) * overhead

	return load.Appliance{
		LinkMbps: now.link.Mbps, OthersMbps: max(0, float64(moved)-own) * 8 / 1e6 / took, BusiestCPU: load.Busiest(f.before.cpus, now.cpus),
	}
}
