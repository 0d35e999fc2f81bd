package account

import (
	"maps"
	"sync"
	"time"
)

// FreshLife is how long a password that was typed counts for what asks for it
// again (ASVS 7.5.3).
const FreshLife = 5 * time.Minute

// skew is how far behind what is on record the clock may be after a start.
const skew = 2 * time.Minute

// pulse is what is known of the age of a session by a clock that nobody can set.
// Setting the wall clock neither ends a session nor keeps it alive.
type pulse struct {
	opened  time.Duration // all by Config.Uptime
	seen    time.Duration
	written time.Duration // seen was written down
	typed   time.Duration // the password was, if fresh
	fresh   bool          // the password was typed since the appliance started
}

// pulses are those of the sessions that were used since the appliance started, and
// the sessions that exist only here. Safe for concurrent use.
type pulses struct {
	mu    sync.Mutex
	byKey map[string]pulse
	spare map[string]session       // the ledger was too full to take them
	ends  map[string]time.Duration // of one-time links, by their hash

	tickets map[string]passwordTicket // of passwords that were right, by the hash of what stands for them
	steps   map[string]int64          // of second factors, the last that was used, by name
}

func newPulses() *pulses {
	return &pulses{byKey: map[string]pulse{}, spare: map[string]session{}, ends: map[string]time.Duration{}, tickets: map[string]passwordTicket{}, steps: map[string]int64{}}
}

// mostSpare bounds what exists only in memory.
const mostSpare = 64

// begin notes that the session under key was opened with a password just now.
func (b *Book) begin(key string) {
	b.pulses.mu.Lock()
	defer b.pulses.mu.Unlock()

	up := b.uptime()

	maps.DeleteFunc(b.pulses.byKey, func(_ string, p pulse) bool { return up-p.opened >= SessionLife })
	b.pulses.byKey[key] = pulse{opened: up, seen: up, written: up, typed: up, fresh: true}
}

// keepSpare keeps a session that the ledger is too full for; it ends with the
// process.
func (b *Book) keepSpare(key string, s session) {
	b.pulses.mu.Lock()
	defer b.pulses.mu.Unlock()

	if len(b.pulses.spare) >= mostSpare {
		clear(b.pulses.spare)
	}

	b.pulses.spare[key] = s
}

// spareSession returns a session that exists only here.
func (b *Book) spareSession(key string) (session, bool) {
	b.pulses.mu.Lock()
	defer b.pulses.mu.Unlock()

	s, ok := b.pulses.spare[key]

	return s, ok
}

// dropSpare ends the sessions that exist only here for which doomed holds.
func (b *Book) dropSpare(doomed func(key string, s session) bool) {
	b.pulses.mu.Lock()
	defer b.pulses.mu.Unlock()

	maps.DeleteFunc(b.pulses.spare, doomed)
}

// live reports whether a session has not ended by its age.
func (b *Book) live(key string, s *session) bool {
	b.pulses.mu.Lock()
	defer b.pulses.mu.Unlock()

	p, ok := b.pulse(key, s)
	up := b.uptime()

	return ok && up-p.seen < IdleLife && up-p.opened < SessionLife
}

// pulse returns what is known of a session's age. Of one that an earlier process
// opened, the wall clock tells, once; ok is false when it makes no sense: the
// session was opened or used in the future, so nobody knows how old it is. The
// mutex is held.
func (b *Book) pulse(key string, s *session) (p pulse, ok bool) {
	if p, ok = b.pulses.byKey[key]; ok {
		return p, true
	}

	now, up := b.now(), b.uptime()

	age, idle := now.Sub(s.CreatedAt), now.Sub(s.SeenAt)
	if age < -skew || idle < -skew {
		return p, false
	}

	p = pulse{opened: up - max(0, age), seen: up - max(0, idle), written: up - max(0, idle)}
	b.pulses.byKey[key] = p

	return p, true
}

// beat notes that a session was used by a person, and reports whether it is time to
// write that down.
func (b *Book) beat(key string) (due bool) {
	b.pulses.mu.Lock()
	defer b.pulses.mu.Unlock()

	p, ok := b.pulses.byKey[key]
	if !ok {
		return false
	}

	p.seen = b.uptime()
	if due = p.seen-p.written >= touchEvery; due {
		p.written = p.seen
	}

	b.pulses.byKey[key] = p

	return due
}

// Fresh reports whether the password behind a session (Caller.Session) was typed a
// moment ago.
func (b *Book) Fresh(key string) bool {
	b.pulses.mu.Lock()
	defer b.pulses.mu.Unlock()

	p, ok := b.pulses.byKey[key]

	return ok && p.fresh && b.uptime()-p.typed < FreshLife
}

// endsIn notes how long a one-time link that was just made is good.
func (b *Book) endsIn(hash string, life time.Duration) {
	b.pulses.mu.Lock()
	defer b.pulses.mu.Unlock()

	b.pulses.endsAt(hash, b.uptime()+life)
}

// endsAt notes the end of a link; the mutex is held.
func (p *pulses) endsAt(hash string, end time.Duration) time.Duration {
	if len(p.ends) >= mostSpare {
		clear(p.ends) // the ledger knows it too
	}

	p.ends[hash] = end

	return end
}

// linkOpen reports whether a one-time link has not ended. As with sessions, its age
// is kept by the clock that nobody sets once this process knows it.
func (b *Book) linkOpen(l *link) bool {
	b.pulses.mu.Lock()
	defer b.pulses.mu.Unlock()

	end, known := b.pulses.ends[l.Hash]
	if !known {
		now := b.now()

		left := l.Expires.Sub(now)
		if left > InviteLife+skew || !l.Made.IsZero() && now.Before(l.Made.Add(-skew)) {
			return false // made in the future: nobody knows how old it is
		}

		end = b.pulses.endsAt(l.Hash, b.uptime()+left)
	}

	return b.uptime() < end
}

// renewed gives the age of a session to the key that it has from now on, whose
// password was typed just now.
func (b *Book) renewed(old, now string) {
	b.pulses.mu.Lock()
	defer b.pulses.mu.Unlock()

	p := b.pulses.byKey[old]
	p.typed, p.fresh = b.uptime(), true

	delete(b.pulses.byKey, old)
	b.pulses.byKey[now] = p
}
