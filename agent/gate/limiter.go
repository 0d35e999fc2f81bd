package gate

import (
	"sync"
	"time"
)

const (
	maxBuckets  = 8192 // callers remembered; beyond, the idle are forgotten
	maxInFlight = 8    // requests of one caller at once: what they may cost in memory
)

// limiter counts the requests of each caller (run and address) with a token
// bucket. Safe for concurrent use.
type limiter struct {
	rate, burst float64
	now         func() time.Time

	mu      sync.Mutex
	buckets map[string]*bucket // guarded by mu
}

type bucket struct {
	left     float64
	at       time.Time
	inFlight int
}

func newLimiter(rate, burst float64, now func() time.Time) *limiter {
	return &limiter{rate: rate, burst: burst, now: now, buckets: map[string]*bucket{}}
}

// enter lets a request in, or refuses with busyError. done must be called when
// the request is over.
func (l *limiter) enter(key string) (done func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	now := l.now()

	b := l.buckets[key]
	if b == nil {
		if len(l.buckets) >= maxBuckets && !l.forget(now) {
			return nil, busyError{}
		}

		b = &bucket{left: l.burst, at: now}
		l.buckets[key] = b
	}

	b.left = min(l.burst, b.left+l.rate*max(0, now.Sub(b.at).Seconds()))
	b.at = now

	if b.left < 1 || b.inFlight >= maxInFlight {
		return nil, busyError{}
	}

	b.left--
	b.inFlight++

	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()

		b.inFlight--
	}, nil
}

// forget drops callers whose bucket is full again, and reports whether there is
// room. l.mu is held.
func (l *limiter) forget(now time.Time) bool {
	for key, b := range l.buckets {
		if b.inFlight == 0 && b.left+l.rate*now.Sub(b.at).Seconds() >= l.burst {
			delete(l.buckets, key)
		}
	}

	return len(l.buckets) < maxBuckets
}
