package dhcp

import (
	"net/netip"
	"sync"
	"time"
)

const (
	maxStrangers   = 4096             // MACs remembered
	sightingPause  = 10 * time.Second // between two notes about one MAC
	sightingsLimit = 20               // notes a second about all of them
)

// strangers remembers MACs for a short while, so that a flood of packets costs
// neither memory nor writes. Safe for concurrent use.
type strangers struct {
	mu     sync.Mutex // guards all below
	seen   map[[6]byte]time.Time
	burst  map[[6]byte]int
	second int64
	noted  int
}

func newStrangers() *strangers {
	return &strangers{seen: map[[6]byte]time.Time{}, burst: map[[6]byte]int{}}
}

// tick starts a new second's counting. s.mu is held.
func (s *strangers) tick(now time.Time) {
	if now.Unix() != s.second {
		s.second, s.noted = now.Unix(), 0
		clear(s.burst)
	}
}

// allow counts a packet of mac and reports whether it is within rate a second.
func (s *strangers) allow(mac [6]byte, rate int, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.tick(now)

	if len(s.burst) >= maxStrangers {
		clear(s.burst)
	}

	s.burst[mac]++

	return s.burst[mac] <= rate
}

// due reports whether a sighting of mac is worth a note now.
func (s *strangers) due(mac [6]byte, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.tick(now)

	if last, known := s.seen[mac]; known && now.Sub(last) < sightingPause || s.noted >= sightingsLimit {
		return false
	}

	if len(s.seen) >= maxStrangers {
		s.evict(now)
	}

	s.seen[mac] = now
	s.noted++

	return true
}

// evict forgets those not noted lately, or when all were, everybody. s.mu is held.
func (s *strangers) evict(now time.Time) {
	for mac, at := range s.seen {
		if now.Sub(at) > sightingPause {
			delete(s.seen, mac)
		}
	}

	if len(s.seen) >= maxStrangers {
		clear(s.seen)
	}
}

// sighted takes down that an unregistered machine was heard, unless it just was.
func (s *Server) sighted(x *exchange) {
	if s.strange.due(x.msg.MAC, x.now) {
		s.step(x.now, "sighting", x.client.BootClient, x.client.Vendor, netip.Addr{})
	}
}
