package agent

import (
	"sync"
	"time"

	"vetting/agent/wire"
	"vetting/core"
)

// progress is how far the stage under way is, written by the stage and read by
// the heartbeat. Safe for concurrent use.
type progress struct {
	mu      sync.Mutex
	stage   core.StageName // guarded by mu
	subStep string         // guarded by mu
	done    float64        // guarded by mu
	eta     time.Duration  // guarded by mu
	meters  []core.Meter   // guarded by mu
}

// begin forgets the stage before; an empty name is none.
func (p *progress) begin(stage core.StageName) { p.set(stage, "", 0, 0) }

func (p *progress) set(stage core.StageName, subStep string, done float64, eta time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()

	p.stage, p.subStep, p.done, p.eta, p.meters = stage, subStep, done, eta, nil
}

// update is set for a stage that may have been replaced meanwhile.
func (p *progress) update(stage core.StageName, subStep string, done float64, eta time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.stage == stage {
		p.subStep, p.done, p.eta = subStep, done, eta
	}
}

// measure takes in how far parts of a stage are, which may have been replaced meanwhile.
func (p *progress) measure(stage core.StageName, meters []core.Meter) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.stage == stage {
		p.meters = meters
	}
}

func (p *progress) beat(uptime time.Duration) wire.Heartbeat {
	p.mu.Lock()
	defer p.mu.Unlock()

	return wire.Heartbeat{
		Stage: wire.StageName(p.stage), SubStep: oneLine(p.subStep, wire.MaxName), Progress: ratio(p.done),
		ETAS: atLeastZero(p.eta), UptimeS: atLeastZero(uptime), Meters: each(p.meters, wire.MaxMeters, meter),
	}
}
