// Package sse tells browsers and programs what happens, as server-sent events.
// Every stream reads the ledger from its own cursor and is woken by the bell: a
// slow reader costs nobody anything, and one that comes back resumes where it
// was. Nothing is queued.
package sse

import (
	"context"
	"sync"
	"time"

	"vetting/core"
	"vetting/core/signal"
)

// logReader is ui.Logs.
type logReader interface {
	ReadLog(ctx context.Context, run core.RunID, after uint64, limit int) ([]core.LogLine, error)
}

// Config is what a Hub needs. Zero durations and numbers get their defaults.
type Config struct {
	Ledger core.Ledger
	Bell   *signal.Bell
	Logs   logReader

	Heartbeat time.Duration // of the comment that keeps proxies awake: 15 s
	Stall     time.Duration // how long a write may take before the reader is dropped: 10 s
	LogEvery  time.Duration // how often the run's log is looked at, and a frame of it sent at most: 250 ms
	PartEvery time.Duration // how often parts of a page that have changed are told at most: 250 ms
	Clock     time.Duration // how often the appliance's time is told where it is wanted: 30 s
	Most      int           // streams at once: 2048
	MostEach  int           // streams of one caller; the oldest gives way: 8

	Now      func() time.Time // default: time.Now
	Upgraded func() bool      // another version of the program starts next; nil: never
}

// Hub knows the open streams. Safe for concurrent use.
type Hub struct {
	cfg    Config
	mu     sync.Mutex
	open   map[*stream]struct{}
	number uint64 // of the stream opened last
	resync uint64 // how often a reader was told to read anew
	bye    chan struct{}
	once   sync.Once
	look   chan struct{} // closed to have every stream look whether it may go on
}

// New returns a Hub without streams.
func New(cfg Config) *Hub {
	orTime := func(d *time.Duration, otherwise time.Duration) {
		if *d == 0 {
			*d = otherwise
		}
	}
	orTime(&cfg.Heartbeat, 15*time.Second)
	orTime(&cfg.Stall, 10*time.Second)
	orTime(&cfg.LogEvery, 250*time.Millisecond)
	orTime(&cfg.PartEvery, 250*time.Millisecond)
	orTime(&cfg.Clock, 30*time.Second)

	if cfg.Now == nil {
		cfg.Now = time.Now
	}

	if cfg.Most == 0 {
		cfg.Most = 2048
	}

	if cfg.MostEach == 0 {
		cfg.MostEach = 8
	}

	return &Hub{cfg: cfg, open: map[*stream]struct{}{}, bye: make(chan struct{}), look: make(chan struct{})}
}

// Close says goodbye to every stream and ends it. More may not be opened. Readers
// that stalled are cut off.
func (h *Hub) Close() {
	h.once.Do(func() { close(h.bye) })

	h.mu.Lock()
	defer h.mu.Unlock()

	for s := range h.open {
		s.deadline()
	}
}

// Recheck has every stream look at once whether its caller may still read, as after
// somebody signed out.
func (h *Hub) Recheck() {
	h.mu.Lock()
	defer h.mu.Unlock()

	close(h.look)
	h.look = make(chan struct{})
}

// looked is closed at the next Recheck.
func (h *Hub) looked() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()

	return h.look
}

// leaving is why all streams end.
func (h *Hub) leaving() string {
	if h.cfg.Upgraded != nil && h.cfg.Upgraded() {
		return "upgrade"
	}

	return "restart"
}

// Open is how many streams there are.
func (h *Hub) Open() int {
	h.mu.Lock()
	defer h.mu.Unlock()

	return len(h.open)
}

// Resyncs is how often a reader was too far behind and was told to read anew.
func (h *Hub) Resyncs() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()

	return h.resync
}

// enter adds s, and asks the oldest of the same caller to go when there are too
// many. It reports whether there was room.
func (h *Hub) enter(s *stream) bool {
	h.mu.Lock()
	defer h.mu.Unlock()

	select {
	case <-h.bye:
		return false
	default:
	}

	if len(h.open) >= h.cfg.Most {
		return false
	}

	var oldest *stream

	same := 0

	for o := range h.open {
		switch {
		case o.want.Caller != s.want.Caller:
		case o.want.Name != "" && (o.want.Name == s.want.Name || o.want.Name == s.want.Instead):
			o.leave()
		default:
			same++

			if oldest == nil || o.number < oldest.number {
				oldest = o
			}
		}
	}

	if same >= h.cfg.MostEach {
		oldest.leave()
	}

	h.number++
	s.number, s.looked = h.number, h.look
	h.open[s] = struct{}{}

	return true
}

func (h *Hub) exit(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()

	delete(h.open, s)
}
