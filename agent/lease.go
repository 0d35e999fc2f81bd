package agent

import (
	"sync/atomic"
	"time"
)

// longestLease bounds what an appliance grants at a time: with a clock that runs
// behind the appliance's, a lease would outlive it.
const longestLease = 2 * time.Minute

// lease is until when a destructive test may write. The zero value grants nothing.
// Safe for concurrent use.
type lease struct{ end atomic.Pointer[time.Time] }

// grant takes what the appliance says in an answer to a heartbeat; the zero time
// takes the lease back.
func (l *lease) grant(until time.Time) {
	if latest := time.Now().Add(longestLease); until.After(latest) {
		until = latest
	}

	l.end.Store(&until)
}

// until returns when the lease ends, or ended; the zero time when there is none.
func (l *lease) until() time.Time {
	if end := l.end.Load(); end != nil {
		return *end
	}

	return time.Time{}
}
