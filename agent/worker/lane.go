package worker

import (
	"sync"
	"sync/atomic"
	"time"
)

// Lane is one thread of work, by which a hang is noticed although the other
// threads go on. Tick and End may be called from any goroutine.
type Lane struct {
	name  string
	moved atomic.Int64 // nanoseconds since the lanes began
	over  atomic.Bool
	clock func() time.Duration
}

// Tick says that the lane moves. It costs the reading of a clock: tick once a
// block, not once a step.
func (l *Lane) Tick() { l.moved.Store(int64(l.clock())) }

// End says that the lane has nothing more to do.
func (l *Lane) End() { l.over.Store(true) }

// lanes are those of a worker. Safe for concurrent use.
type lanes struct {
	begin time.Time

	mu  sync.Mutex
	all []*Lane // guarded by mu
}

func newLanes() *lanes { return &lanes{begin: time.Now()} }

func (l *lanes) open(name string) *Lane {
	lane := &Lane{name: name, clock: func() time.Duration { return time.Since(l.begin) }}
	lane.Tick()

	l.mu.Lock()
	defer l.mu.Unlock()

	l.all = append(l.all, lane)

	return lane
}

// slowest names the lane that has not moved for longest, and for how long; an
// empty name says that none is open.
func (l *lanes) slowest() (name string, age time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()

	now := time.Since(l.begin)
	open := l.all[:0]

	for _, lane := range l.all {
		if lane.over.Load() {
			continue
		}

		open = append(open, lane)

		if still := now - time.Duration(lane.moved.Load()); name == "" || still > age {
			name, age = lane.name, max(0, still)
		}
	}

	clear(l.all[len(open):])
	l.all = open

	return name, age
}
