package engine

import (
	"maps"
	"sync"
	"time"

	"vetting/core"
)

// graces remember when starts can be withdrawn no more by the even flow of time: people
// have the whole of a grace, whatever is done to the clock meanwhile. None outlives a
// restart, see resumeRun.
type graces struct {
	mu   sync.Mutex
	ends map[core.RunID]time.Duration // guarded by mu: by Config.Uptime
}

// begin gives a run its grace from now on. What is over for long is forgotten.
func (g *graces) begin(id core.RunID, now, grace time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()

	maps.DeleteFunc(g.ends, func(_ core.RunID, end time.Duration) bool { return now-end > core.MaxGrace })
	g.ends[id] = now + grace
}

// left returns how long the start of a run can be withdrawn yet.
func (g *graces) left(id core.RunID, now time.Duration) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()

	return max(0, g.ends[id]-now)
}
