package memory

import (
	"fmt"
	"sync"
	"time"
)

// pace estimates how far a worker is: a step weighs as much as one of its kind took
// before, or as much as its weight against one that was done. Safe for concurrent
// use.
type pace struct {
	earlier  int           // passes that another worker did
	passes   int           // to do
	duration time.Duration // at least
	begun    time.Time

	mu    sync.Mutex               // guards the rest
	pass  int                      // under way, 0 for the first
	steps []step                   // of the pass under way
	at    int                      // step under way
	since time.Time                // when it began
	took  map[string]time.Duration // by kind of step, without waits
	most  float64                  // what was said last; it never goes back
}

// kind is what steps that take about the same time have in common.
func (s *step) kind() string { return fmt.Sprint(s.op, s.remote) }

// begin starts a pass.
func (p *pace) begin(pass int, steps []step) {
	p.mu.Lock()
	defer p.mu.Unlock()

	p.pass, p.steps, p.at, p.since = pass, steps, 0, time.Now()
}

// next says that the step under way is done.
func (p *pace) next() {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.took == nil {
		p.took = map[string]time.Duration{}
	}

	now := time.Now()
	s := &p.steps[p.at]
	p.took[s.kind()] = now.Sub(p.since) - s.idle
	p.at, p.since = p.at+1, now
}

// cost is what a step takes in seconds; before the first was done, its weight.
func (p *pace) cost(s *step) float64 {
	if known, ok := p.took[s.kind()]; ok {
		return (known + s.idle).Seconds()
	}

	unit := 1.0

	if p.at > 0 {
		last := &p.steps[p.at-1]
		unit = p.took[last.kind()].Seconds() / last.weight()
	}

	return s.weight()*unit + s.idle.Seconds()
}

// look returns the part done, 0 to 1, and what is being done; nothing before the
// first pass. part is how far the step under way is.
func (p *pace) look(part float64) (done float64, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.at >= len(p.steps) {
		return p.most, ""
	}

	before, all := 0.0, 0.0

	for i := range p.steps {
		cost := p.cost(&p.steps[i])
		all += cost

		if i < p.at {
			before += cost
		} else if i == p.at {
			idle := min(p.steps[i].idle, time.Since(p.since)).Seconds()
			before += idle + (cost-p.steps[i].idle.Seconds())*part
		}
	}

	done = (float64(p.pass) + before/all) / float64(p.passes)
	if p.duration > 0 {
		done = min(done, time.Since(p.begun).Seconds()/p.duration.Seconds())
	}

	p.most = max(p.most, min(1, done))

	return p.most, fmt.Sprintf("pass %d, step %d of %d: %s", p.earlier+p.pass+1, p.at+1, len(p.steps), p.steps[p.at].name())
}
