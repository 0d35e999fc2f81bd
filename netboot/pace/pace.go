// Package pace keeps what strangers send from filling logs and traces.
package pace

import (
	"sync"
	"time"
)

// Limiter lets a few things a second through, and drops the rest. The zero
// Limiter is ready. Safe for concurrent use.
type Limiter struct {
	mu     sync.Mutex // guards all below
	second int64
	count  int
}

// Allow reports whether one more thing may pass in the second of now.
func (l *Limiter) Allow(now time.Time) bool {
	const limit = 5

	l.mu.Lock()
	defer l.mu.Unlock()

	if now.Unix() != l.second {
		l.second, l.count = now.Unix(), 0
	}

	l.count++

	return l.count <= limit
}
