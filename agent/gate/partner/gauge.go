package partner

import (
	"bytes"
	"strconv"
	"strings"
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
	cpus []ticks
}

type ticks struct{ busy, all uint64 }

func (p *Partner) gauge(t *ticket) (g gauge) {
	if p.Link != nil {
		g.link = p.Link()
	}

	for i := range g.own {
		g.own[i] = t.moved[i].Load()
	}

	if p.Stat != nil {
		if text, err := p.Stat(); err == nil {
			g.cpus = parseStat(text)
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
		LinkMbps: now.link.Mbps, OthersMbps: max(0, float64(moved)-own) * 8 / 1e6 / took, BusiestCPU: busiest(f.before.cpus, now.cpus),
	}
}

// parseStat reads the times of each CPU out of /proc/stat (proc_stat(5)).
func parseStat(text []byte) (cpus []ticks) {
	for line := range bytes.Lines(text) {
		fields := strings.Fields(string(line))
		if len(fields) < 6 || !strings.HasPrefix(fields[0], "cpu") || fields[0] == "cpu" {
			continue
		}

		var t ticks

		for i, field := range fields[1:min(len(fields), 9)] { // guest time is in user time already
			n, err := strconv.ParseUint(field, 10, 64)
			if err != nil {
				break
			}

			t.all += n
			if i != 3 && i != 4 { // idle, and waiting for disks
				t.busy += n
			}
		}

		cpus = append(cpus, t)
	}

	return cpus
}

// busiest is the share of time that the busiest CPU was busy, in percent; 0 where it
// is not known.
func busiest(before, now []ticks) (percent float64) {
	if len(before) != len(now) {
		return 0
	}

	for i := range now {
		if all := now[i].all - before[i].all; all > 0 && now[i].all > before[i].all {
			percent = max(percent, 100*float64(now[i].busy-before[i].busy)/float64(all))
		}
	}

	return min(percent, 100)
}
