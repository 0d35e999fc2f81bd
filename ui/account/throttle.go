package account

import (
	"fmt"
	"math"
	"net/netip"
	"sync"
	"time"

	"vetting/core"
)

// The throttle of logins (ASVS 6.3.1): five free tries, then 2, 4, 8 … seconds
// up to 15 minutes, and never a lock for good, which would be a gift to whoever
// wants the only admin out.
const (
	freeTries  = 5
	longest    = 15 * time.Minute
	forgetting = 24 * time.Hour
	perSecond  = 5    // tries of all comers together
	mostKeys   = 4096 // keys remembered; beyond, the oldest is forgotten
)

// TooSoon says how long to wait before the next try. It is a core.ErrRefused.
type TooSoon struct{ Wait time.Duration }

// Error says it in a sentence.
func (e *TooSoon) Error() string {
	return fmt.Sprintf("Too many tries; wait %d s and try again.", e.Seconds())
}

// Seconds rounds the wait up to whole seconds.
func (e *TooSoon) Seconds() int { return max(1, int(math.Ceil(e.Wait.Seconds()))) }

// Unwrap makes it a refusal.
func (e *TooSoon) Unwrap() error { return core.ErrRefused }

// Throttle counts tries by key. Safe for concurrent use.
type Throttle struct {
	mu     sync.Mutex
	tries  map[string]try
	second time.Time // start of the second being counted
	count  int       // tries in it
}

type try struct {
	failed int
	last   time.Time
	until  time.Time
}

// NewThrottle returns a throttle that has seen nothing.
func NewThrottle() *Throttle { return &Throttle{tries: map[string]try{}} }

// Try counts a try under each key in advance, so that tries side by side cannot
// slip through, and returns how long to wait instead when one of them must.
func (t *Throttle) Try(now time.Time, keys ...string) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()

	for _, key := range keys {
		wait = max(wait, t.tries[key].until.Sub(now))
	}

	if wait > 0 {
		return wait
	}

	if now.Sub(t.second) >= time.Second || now.Before(t.second) {
		t.second, t.count = now, 0
	}

	if t.count >= perSecond {
		return t.second.Add(time.Second).Sub(now)
	}

	t.count++

	for _, key := range keys {
		t.note(now, key)
	}

	return 0
}

// note counts a failure under key; t.mu is held.
func (t *Throttle) note(now time.Time, key string) {
	e := t.tries[key]
	if now.Sub(e.last) > forgetting {
		e = try{}
	}

	e.failed++
	e.last = now

	if over := e.failed - freeTries; over >= 0 {
		e.until = now.Add(min(longest, time.Second<<min(over+1, 12)))
	}

	if _, known := t.tries[key]; !known && len(t.tries) >= mostKeys {
		t.forgetOldest()
	}

	t.tries[key] = e
}

// forgetOldest makes room for one more; t.mu is held.
func (t *Throttle) forgetOldest() {
	oldest, found := "", false

	for key, e := range t.tries {
		if !found || e.last.Before(t.tries[oldest].last) {
			oldest, found = key, true
		}
	}

	delete(t.tries, oldest)
}

// Forgive forgets the tries under the keys: one of them was good.
func (t *Throttle) Forgive(keys ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()

	for _, key := range keys {
		delete(t.tries, key)
	}
}

// network is the part of addr that one person is likely to own: a /24 or a /64.
func network(addr netip.Addr) string {
	bits := 24
	if addr = addr.Unmap(); addr.Is6() {
		bits = 64
	}

	prefix, err := addr.Prefix(bits)
	if err != nil {
		return "net unknown"
	}

	return "net " + prefix.String()
}
